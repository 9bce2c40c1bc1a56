"""``program.json``: what the generated program says about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprune.errors import ImageError

__all__ = ["Layer", "Manifest", "Region"]

FILE_NAME = "program.json"
_HINT = "build the program again"


@dataclass(frozen=True)
class Region:
    """A tensor in the arena: ``offset`` and ``size`` in bytes."""

    offset: int
    size: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer of the generated program.

    Attributes:
        index: position in the order of execution, from 0.
        name: the name of the output tensor.
        op: the operator, such as ``CONV_2D``.
        symbol: the C function that computes it.
        output: where the output lies in the arena.
        macs: multiply-accumulates of one inference.
        weight_bytes: bytes of the weights as packed in flash.
    """

    index: int
    name: str
    op: str
    symbol: str
    output: Region
    macs: int
    weight_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a program folder holds.

    Attributes:
        identity: of the model, 16 hex digits.
        frontend_identity: of the front-end that its inputs come from, 16 hex digits.
        labels: in the order of the scores; empty if the program has no names for them.
        arena_bytes: size of the model's arena.
        layers: in the order of execution.
    """

    identity: str
    frontend_identity: str
    labels: tuple[str, ...]
    arena_bytes: int
    layers: tuple[Layer, ...]

    @classmethod
    def read(cls, program_dir: Path) -> Manifest:
        """Read ``program_dir/program.json``.

        Raises:
            ImageError: it is missing, not JSON, or lacks a field.
        """
        path = program_dir / FILE_NAME
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                identity=_identity(table["identity"]),
                frontend_identity=_identity(table["frontend_identity"]),
                labels=tuple(map(str, table["labels"])),
                arena_bytes=int(table["arena_bytes"]),
                layers=tuple(_layer(item) for item in table["layers"]),
            )
        except OSError as error:
            raise ImageError(
                f"can't be read: {error.strerror}", where=str(path), hint=_HINT
            ) from error
        except KeyError as error:
            raise ImageError(f"lacks the field {error}", where=str(path), hint=_HINT) from error
        except (TypeError, ValueError) as error:
            raise ImageError(f"is malformed: {error}", where=str(path), hint=_HINT) from error


def _identity(value: object) -> str:
    if value is None:
        raise ValueError("the program was generated without a front-end")
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{16}", value):
        raise ValueError(f"{value!r} is not an identity of 16 hex digits")
    return value


def _layer(table: Mapping[str, Any]) -> Layer:
    output = table["output"]
    return Layer(
        index=int(table["index"]),
        name=str(table["name"]),
        op=str(table["op"]),
        symbol=str(table["symbol"]),
        output=Region(int(output["offset"]), int(output["size"]), tuple(output["shape"])),
        macs=int(table["macs"]),
        weight_bytes=int(table["weight_bytes"]),
    )
