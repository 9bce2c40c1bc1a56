"""What ``program.json`` says of a generated program, for the tools that run and report it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from edgeprune.errors import ImageError, ModelError
from edgeprune.graph.tensor import DType

__all__ = ["SCHEMA_VERSION", "Endpoint", "Layer", "Level", "Manifest", "Region", "Rival"]

FILE_NAME = "program.json"

#: Of ``program.json``.
SCHEMA_VERSION = 1

_Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


@dataclass(frozen=True)
class Region:
    """Where a tensor lies in the caller's memory.

    Attributes:
        offset: bytes from its start.
        size: bytes.
        shape: of the tensor.
    """

    offset: int
    size: int
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Endpoint(Region):
    """The network's input or output: where it lies, and ``real = scale * (q - zero_point)``.

    ``dtype`` is ``int8``, ``uint8`` or, of an output alone, ``float32``, which holds the real
    values themselves: scale 1, zero point 0.
    """

    scale: float
    zero_point: int
    dtype: DType


@dataclass(frozen=True)
class Rival:
    """What a layer is estimated to cost with its weights in an encoding."""

    encoding: str
    instructions: int
    flash_bytes: int


@dataclass(frozen=True)
class Layer:
    """One layer: one C function.

    Attributes:
        index: in the order of execution; what ``EDGEPRUNE_MODEL_TRACE`` passes.
        name: of the tensor that it writes.
        op: the operator's name in the .tflite schema.
        symbol: the C function.
        kernel: the C function that it calls.
        tensor: the number of the tensor that it writes, in the .tflite file.
        output: where it writes.
        macs: multiply-accumulates.
        weight_bytes: bytes of weights and biases in the .tflite file.
        constant_bytes: bytes of constant arrays in the generated C.
        scratch_bytes: bytes of the arena that only this layer uses, while it runs.
        encoding: how the weights lie in flash.
        rivals: what the layer would cost in each encoding that was weighed, by estimate; the
            dense one comes first.
    """

    index: int
    name: str
    op: str
    symbol: str
    kernel: str
    tensor: int
    output: Region
    macs: int
    weight_bytes: int
    constant_bytes: int
    scratch_bytes: int
    encoding: str = "dense"
    rivals: tuple[Rival, ...] = ()


@dataclass(frozen=True)
class Level:
    """An operating point of a network with levels: the network that runs after it is set.

    Attributes:
        layers: in the order of execution; numbered on from those of the level before.
        arena_bytes: of memory that it uses.
        input: the input, at this level.
        output: the output, at this level.
        macs: multiply-accumulates of an inference.
        weight_bytes: bytes of weights and biases in the level's own .tflite file.
        constant_bytes: bytes of constant arrays that no wider level has.
        model_digest: SHA-256 of the level's own .tflite file.
    """

    layers: tuple[Layer, ...]
    arena_bytes: int
    input: Endpoint
    output: Endpoint
    macs: int
    weight_bytes: int
    constant_bytes: int
    model_digest: str


@dataclass(frozen=True)
class Manifest:
    """What a program is made of.

    Attributes:
        layers: in the order of execution; a RESHAPE moves nothing and is not among them.
        arena_bytes: what the caller's memory holds of tensors and scratch while the network runs.
        state_bytes: what follows the arena: variables, which last from one inference to the next.
        input: the input; valid until the network is invoked.
        output: the output; valid after it was.
        labels: of the scores, in their order; empty if the caller gave none.
        identity: 16 hexadecimal digits of the .tflite file and the generator.
        frontend_identity: of the front-end that the network was trained with, if any.
        macs: multiply-accumulates of an inference.
        model_digest: SHA-256 of the .tflite file.
        levels: all operating points, the full network first; empty where there is only that one.
    """

    layers: tuple[Layer, ...]
    arena_bytes: int
    state_bytes: int
    input: Endpoint
    output: Endpoint
    labels: tuple[str, ...]
    identity: _Identity
    frontend_identity: _Identity | None
    macs: int
    model_digest: str
    levels: tuple[Level, ...] = ()

    def layers_of(self, level: int) -> tuple[Layer, ...]:
        """The layers that run at a level; 0 is the full network.

        Raises:
            ModelError: the program has no such level.
        """
        return self._level(level).layers

    def input_of(self, level: int) -> Endpoint:
        """The input at a level; raises what :meth:`layers_of` does."""
        return self._level(level).input

    def output_of(self, level: int) -> Endpoint:
        """The output at a level; raises what :meth:`layers_of` does."""
        return self._level(level).output

    def _level(self, level: int) -> Level | Manifest:
        if level == 0:
            return self
        if not 0 < level < len(self.levels):
            raise ModelError(
                f"the program has no level {level}",
                where=f"program {self.identity}",
                hint=f"it has {max(1, len(self.levels))}; 0 is the full network",
            )
        return self.levels[level]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, with the layout's version."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    def to_json(self) -> str:
        """The text of ``program.json``."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read ``program.json`` in a program's folder.

        Raises:
            ImageError: it is missing, damaged, or of another version.
        """
        path = folder / FILE_NAME
        hint = "build the program again"
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            version = table.pop("schema_version", None)
            if version != SCHEMA_VERSION:
                raise ImageError(
                    f"has the layout {version}; {SCHEMA_VERSION} is needed",
                    where=str(path),
                    hint=hint,
                )
            return _adapter().validate_json(json.dumps(table), strict=True)
        except OSError as error:
            raise ImageError(
                f"can't be read: {error.strerror}", where=str(path), hint=hint
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(map(str, first["loc"])) or "its content"
            raise ImageError(
                f"is damaged: {name}: {first['msg']}", where=str(path), hint=hint
            ) from error
        except (ValueError, AttributeError) as error:
            raise ImageError(f"is damaged: {error}", where=str(path), hint=hint) from error


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)
