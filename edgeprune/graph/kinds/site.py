"""Where an operator stands in a file: its tensors checked, its attributes still raw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import tflite

from edgeprune.errors import MalformedModelError, UnsupportedError
from edgeprune.graph.operators import Activation, Operator
from edgeprune.graph.tensor import Tensor

__all__ = ["MOST_PARTS", "Kind", "Place", "Site"]

#: The most inputs or outputs of one operator, and the most numbers in one list of indices.
MOST_PARTS = 1024

_ACTIVATIONS: Mapping[int, Activation] = MappingProxyType(
    {
        tflite.ActivationFunctionType.NONE: "none",
        tflite.ActivationFunctionType.RELU: "relu",
        tflite.ActivationFunctionType.RELU6: "relu6",
        tflite.ActivationFunctionType.RELU_N1_TO_1: "relu_n1_to_1",
    }
)


@dataclass(frozen=True)
class Place:
    """One operator of a file, by what errors say of it.

    Attributes:
        name: how errors call it.
        index: its place in the file's order of execution.
        kind: its name in the schema.
        version: as the file gives it.
    """

    name: str
    index: int
    kind: str
    version: int

    def malformed(self, what: str) -> MalformedModelError:
        """The error of a model that contradicts itself."""
        return MalformedModelError(f"{self.name}, {what}")

    def unsupported(self, what: str, hint: str | None = None) -> UnsupportedError:
        """The error of a valid model that edgeprune can't compile."""
        return UnsupportedError(f"{self.name}, {what}", hint=hint)

    def common(self, output: Tensor) -> dict[str, Any]:
        """What every operator has."""
        return {
            "index": self.index,
            "kind": self.kind,
            "version": self.version,
            "output": output,
        }


@dataclass(frozen=True)
class Site(Place):
    """An operator with its tensors; one that writes several tensors is a site for each.

    Attributes:
        inputs: with None where an optional one is left out.
        outputs: all that it writes.
        position: which of them this site is of.
        options: attribute to value, by the names of the schema.
    """

    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    position: int
    options: Mapping[str, Any]

    @property
    def output(self) -> Tensor:
        """The tensor that this site is of."""
        return self.outputs[self.position]

    def input(self, position: int) -> Tensor:
        """An input that must be there.

        Raises:
            MalformedModelError: it is left out.
        """
        tensor = self.optional(position)
        if tensor is None:
            raise self.malformed(f"has no input {position}")
        return tensor

    def optional(self, position: int) -> Tensor | None:
        """An input that may be left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def indices(self, position: int, *, count: int | None = None) -> tuple[int, ...]:
        """The values of an input that must be a constant of int32, in their order.

        Args:
            position: of the input.
            count: how many there have to be; any number up to :data:`MOST_PARTS` by default.

        Raises:
            MalformedModelError: there are not as many.
            UnsupportedError: the network computes them, or they are of another type.
        """
        tensor = self.input(position)
        if tensor.data is None or tensor.dtype != "int32":
            raise self.unsupported(f"has the indices {tensor}; a constant of int32 is supported")
        if tensor.elements > MOST_PARTS or (count is not None and tensor.elements != count):
            needed = f"at most {MOST_PARTS}" if count is None else str(count)
            raise self.malformed(f"has {tensor.elements} indices in {tensor}; {needed} are needed")
        return tuple(int(value) for value in tensor.data.reshape(-1))

    def option(self, name: str) -> Any:
        """An attribute by its name in the schema.

        Raises:
            MalformedModelError: the operator carries no such attribute.
        """
        if name not in self.options:
            raise self.malformed(f"has no attribute {name}")
        return self.options[name]

    def activation(self) -> Activation:
        """The fused activation.

        Raises:
            UnsupportedError: one that int8 does not have.
        """
        code = self.option("FusedActivationFunction")
        if code not in _ACTIVATIONS:
            raise self.unsupported(
                f"has the fused activation {code}",
                hint=f"supported: {', '.join(_ACTIVATIONS.values())}",
            )
        return _ACTIVATIONS[code]

    def base(self) -> dict[str, Any]:
        """What the operator of this site has, whatever its kind."""
        return self.common(self.output)


@dataclass(frozen=True)
class Kind:
    """How an operator of one kind is read.

    Attributes:
        build: from a site to the operator that writes the site's output.
        inputs: the fewest and the most.
        newest: the newest version whose int8 meaning is known.
        outputs: the fewest and the most.
        oldest: the oldest version.
    """

    build: Callable[[Site], Operator]
    inputs: tuple[int, int]
    newest: int
    outputs: tuple[int, int] = (1, 1)
    oldest: int = 1
