"""What a scan of a network's layers found: loss by layer and sparsity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeprune.errors import StoreError
from edgeprune.recipe import Pruning

__all__ = ["Heard", "Scan", "Unit", "scanned_sparsities"]

_SUMMARY = "sensitivity.json"

#: That every layer is pruned to, beside the recipe's own.
_SPARSITIES = (0.25, 0.5, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Unit:
    """What has one sparsity: a layer, or layers whose channels shrink together.

    Attributes:
        layers: their names, in the network's order.
        weights: values of their kernels.
    """

    layers: tuple[str, ...]
    weights: int

    @property
    def name(self) -> str:
        """Of the first layer."""
        return self.layers[0]


@dataclass(frozen=True)
class Heard:
    """How a network does on the validation split, in float.

    Attributes:
        loss: mean cross-entropy, in nats.
        accuracy: share of clips whose highest score is right.
    """

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Scan:
    """Every unit pruned alone, to every sparsity.

    Attributes:
        units: in the network's order.
        sparsities: ascending; 0 is not among them.
        clips: of the validation split.
        dense: with nothing taken out and the normalizations measured anew, as for all others.
        alone: unit by unit, sparsity by sparsity.
    """

    units: tuple[Unit, ...]
    sparsities: tuple[float, ...]
    clips: int
    dense: Heard
    alone: tuple[tuple[Heard, ...], ...]

    def save(self, folder: Path) -> None:
        """Write ``sensitivity.json`` into a folder."""
        text = json.dumps(asdict(self), indent=1)
        (folder / _SUMMARY).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Scan:
        """Read what :meth:`save` wrote.

        Raises:
            StoreError: the file is missing or damaged.
        """
        path = folder / _SUMMARY
        try:
            table: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                units=tuple(
                    Unit(tuple(each["layers"]), each["weights"]) for each in table["units"]
                ),
                sparsities=tuple(table["sparsities"]),
                clips=table["clips"],
                dense=Heard(**table["dense"]),
                alone=tuple(tuple(Heard(**each) for each in row) for row in table["alone"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"is not a scan of layers: {error}", where=str(path)) from error


def scanned_sparsities(spec: Pruning) -> tuple[float, ...]:
    """The sparsities of a recipe's scan, ascending; N:M has its own alone."""
    if spec.structure == "n:m":
        return (spec.sparsity,)
    return tuple(sorted({*_SPARSITIES, spec.sparsity}))
