"""The graph: tensors, operators in the order of execution, one input, one output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from edgeprune.graph.operators import Operator
from edgeprune.graph.tensor import Tensor

__all__ = ["Graph", "Variable"]


@dataclass(frozen=True, eq=False)
class Variable:
    """State that a network keeps from one inference to the next.

    Attributes:
        name: as the file has it, for people.
        tensor: what READ_VARIABLE reads and ASSIGN_VARIABLE writes; its number is above those of
            the file's own tensors.
        initial: the values after a reset, int8 in the tensor's shape.
    """

    name: str
    tensor: Tensor
    initial: npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network of one input and one output, int8 between them.

    The input may be uint8 where QUANTIZE reads it, the output uint8 or float32 where QUANTIZE or
    DEQUANTIZE writes it. Every operator reads the input, constants, variables, or what an earlier
    operator wrote; every tensor but those of variables is written at most once. A variable that
    was assigned holds the new value for whatever reads it later, in the same inference too.

    Attributes:
        tensors: those that the operators touch, by their number; the variables' are the last.
        operators: in the order of execution.
        input: the tensor that the caller fills.
        output: the tensor that the caller reads.
        digest: SHA-256 of the file, hexadecimal.
        variables: state between inferences; empty for most networks.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: Tensor
    output: Tensor
    digest: str
    variables: tuple[Variable, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(operator.macs for operator in self.operators)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights and biases in the file; a tensor that several operators share, once."""
        constants = {
            tensor.index: tensor for operator in self.operators for tensor in operator.constants
        }
        return sum(tensor.size for tensor in constants.values())
