"""What is to be tried: criteria × structures × sparsities, as the command line gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from edgeprune.errors import DeclarationError
from edgeprune.recipe import Pruning

__all__ = ["DEFAULT_SPARSITIES", "Grid", "Shape"]

DEFAULT_SPARSITIES = (0.3, 0.5, 0.7, 0.8, 0.9)

#: Of N:M, the patterns that are tried when none is asked for.
_PATTERNS = ("2:4", "1:4", "4:8")

_HIGHEST = 0.98

_EXAMPLE = "--sparsity 0.3,0.5,0.7,0.8,0.9"


@dataclass(frozen=True)
class Shape:
    """A structure, with the shape that it has.

    Attributes:
        name: ``channel``, ``unstructured``, ``block`` (of the recipe's shape), ``1x4`` (blocks of
            1 output and 4 input channels) or ``2:4`` (2 of 4 weights stay).
        changes: the keys of ``[pruning]`` that make it.
        sparsity: the only one that it has; None when any will do.
    """

    name: str
    changes: Mapping[str, object] = field(hash=False)
    sparsity: float | None = None

    @classmethod
    def read(cls, name: str) -> Shape:
        """Read a name.

        Raises:
            DeclarationError: there is no such structure.
        """
        pattern = re.fullmatch(r"([1-9]\d?):([1-9]\d?)", name)
        if pattern:
            share = 1 - int(pattern[1]) / int(pattern[2])
            # N:M has no sparsity to move from layer to layer.
            changes = {"structure": "n:m", "pattern": name, "sparsity": share}
            return cls(name, changes | {"allocation": "layer"}, share)
        block = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", name)
        if block:
            return cls(name, {"structure": "block", "block": (int(block[1]), int(block[2]))})
        if name not in _plain_structures():
            known = (*_plain_structures(), "blocks such as 1x4", *_PATTERNS)
            raise DeclarationError(
                f"there is no structure {name!r}",
                where="--structures",
                hint=f"any of: {', '.join(known)}",
            )
        return cls(name, {"structure": name})


@dataclass(frozen=True)
class Grid:
    """The sparse networks that are asked for.

    Attributes:
        shapes: what is taken out.
        criteria: as recipes write them; None is the recipe's own, or else the structure's default.
        sparsities: fractions, ascending.
    """

    shapes: tuple[Shape, ...]
    criteria: tuple[str | None, ...] = (None,)
    sparsities: tuple[float, ...] = DEFAULT_SPARSITIES

    @classmethod
    def parse(
        cls, structures: str | None = None, criteria: str | None = None, sparsity: str | None = None
    ) -> Grid:
        """Read the comma-separated lists of the command line; one left out is the default.

        Raises:
            DeclarationError: a structure or criterion that recipes don't have, or a sparsity that
                is no fraction.
        """
        default = (*_plain_structures(), *_PATTERNS)
        names = default if structures is None else _items("--structures", structures)
        return cls(
            shapes=tuple(Shape.read(name) for name in names),
            criteria=(None,) if criteria is None else _criteria(criteria),
            sparsities=DEFAULT_SPARSITIES if sparsity is None else _fractions(sparsity),
        )

    def sparsities_of(self, shape: Shape) -> tuple[float, ...]:
        """The sparsities at which a shape is tried."""
        return self.sparsities if shape.sparsity is None else (shape.sparsity,)


def _plain_structures() -> tuple[str, ...]:
    """The structures that need no more than their name."""
    return tuple(each for each in _choices("structure") if each not in ("none", "n:m"))


def _choices(key: str) -> tuple[str, ...]:
    """What ``[pruning]`` allows for a key."""
    return tuple(_literals(Pruning.model_fields[key].annotation))


def _literals(annotation: Any) -> list[str]:
    found: list[str] = []
    for argument in get_args(annotation):
        found += [argument] if isinstance(argument, str) else _literals(argument)
    return found


def _items(where: str, text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in text.split(","))
    items = tuple(dict.fromkeys(part for part in parts if part))
    if not items:
        raise DeclarationError("is empty", where=where, hint="leave it out for the default")
    return items


def _criteria(text: str) -> tuple[str, ...]:
    names, known = _items("--criteria", text), _choices("criterion")
    for name in names:
        if name not in known:
            raise DeclarationError(
                f"there is no criterion {name!r}",
                where="--criteria",
                hint=f"any of: {', '.join(known)}",
            )
    return names


def _fractions(text: str) -> tuple[float, ...]:
    fractions = set()
    for item in _items("--sparsity", text):
        try:
            value = float(item)
        except ValueError:
            value = -1.0
        if not 0 < value <= _HIGHEST:
            raise DeclarationError(
                f"{item!r} is not a share above 0 and up to {_HIGHEST}",
                where="--sparsity",
                hint=_EXAMPLE,
            )
        fractions.add(value)
    return tuple(sorted(fractions))
