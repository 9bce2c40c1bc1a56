"""The graph: tensors, operators in the order of execution, one input, one output."""

from __future__ import annotations

from dataclasses import dataclass

from edgeprune.graph.operators import Operator
from edgeprune.graph.tensor import Tensor

__all__ = ["Graph"]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network of one subgraph, int8 from input to output.

    Every operator reads the input, constants, or what an earlier operator wrote; every tensor is
    written at most once.

    Attributes:
        tensors: those that the operators touch, by their number in the file.
        operators: in the order of execution.
        input: the tensor that the caller fills.
        output: the tensor that the caller reads.
        digest: SHA-256 of the file, hexadecimal.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: Tensor
    output: Tensor
    digest: str

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
