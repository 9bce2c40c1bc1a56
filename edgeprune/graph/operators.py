"""Operators: one frozen dataclass a kind, every attribute a number.

Shapes are NHWC, as in the file. Paddings are explicit numbers, whatever the file calls them.
What is only another spelling is told apart by ``kind`` alone: SQUEEZE is a :class:`Reshape`, every
output of a SPLIT a :class:`StridedSlice`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from edgeprune.graph.tensor import Tensor

__all__ = [
    "Activation",
    "Add",
    "AssignVariable",
    "AveragePool2D",
    "Binary",
    "Concatenation",
    "Conv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "FullyConnected",
    "HardSwish",
    "LeakyRelu",
    "Logistic",
    "MaxPool2D",
    "Mean",
    "Mul",
    "Operator",
    "Pad",
    "Padding",
    "Quantize",
    "ReadVariable",
    "Relu",
    "Reshape",
    "Softmax",
    "StridedSlice",
    "Sub",
    "Tanh",
    "Transpose",
    "Windowed",
]

Activation = Literal["none", "relu", "relu6", "relu_n1_to_1"]


@dataclass(frozen=True)
class Padding:
    """Rows and columns outside the image that a window reaches, as in the file's SAME or VALID.

    ``bottom`` and ``right`` are what the last window needs; a stride may leave them smaller than
    the kernel would allow.
    """

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    @property
    def is_none(self) -> bool:
        """Whether every window lies inside the image."""
        return (self.top, self.left, self.bottom, self.right) == (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Operator:
    """What all operators have.

    Attributes:
        index: its place in the file's order of execution; the outputs of one SPLIT share it, and
            operators that only declare variables leave gaps.
        kind: the name in the schema, such as ``CONV_2D``.
        version: of the operator, as the file gives it.
        output: the tensor that it writes.
    """

    index: int
    kind: str
    version: int
    output: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that it computes with and that the network computes: no constants."""
        return ()

    @property
    def constants(self) -> tuple[Tensor, ...]:
        """Weights and biases."""
        return ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, padding counted as if it were data."""
        return 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights and biases in the file."""
        return sum(tensor.size for tensor in self.constants)

    def __str__(self) -> str:
        return (
            f"operator {self.index} ({self.kind} version {self.version}, "
            f"writes {self.output.name!r})"
        )


@dataclass(frozen=True, eq=False)
class _Unary(Operator):
    input: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.input,)


@dataclass(frozen=True, eq=False)
class _Weighted(_Unary):
    """Has weights and perhaps a bias.

    ``bias`` is int32, one value an output channel. ``weights`` are int8 with zero point 0, one
    scale for the tensor or one an output channel.
    """

    weights: Tensor
    bias: Tensor | None
    activation: Activation

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return (self.weights,) if self.bias is None else (self.weights, self.bias)


@dataclass(frozen=True)
class Windowed:
    """A window that slides over an image; every pair is (height, width)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class Conv2D(_Weighted):
    """CONV_2D: weights ``[out, kernel_h, kernel_w, in / groups]``."""

    window: Windowed

    @property
    def groups(self) -> int:
        """Groups of input channels; 1 for an ordinary convolution."""
        return self.input.shape[3] // self.weights.shape[3]

    @property
    def macs(self) -> int:
        return self.output.elements * math.prod(self.weights.shape[1:])


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D(_Weighted):
    """DEPTHWISE_CONV_2D: weights ``[1, kernel_h, kernel_w, out]``, out = in * multiplier."""

    window: Windowed

    #: Output channels run along this dimension of the weights.
    CHANNEL_AXIS: ClassVar[int] = 3

    @property
    def multiplier(self) -> int:
        """Output channels for each input channel."""
        return self.output.shape[3] // self.input.shape[3]

    @property
    def macs(self) -> int:
        return self.output.elements * math.prod(self.window.kernel)


@dataclass(frozen=True, eq=False)
class FullyConnected(_Weighted):
    """FULLY_CONNECTED: weights ``[out, depth]``; the input is rows of ``depth`` values."""

    @property
    def rows(self) -> int:
        """How many vectors are multiplied."""
        return self.output.elements // self.weights.shape[0]

    @property
    def macs(self) -> int:
        return self.rows * self.weights.elements


@dataclass(frozen=True, eq=False)
class AveragePool2D(_Unary):
    """AVERAGE_POOL_2D: padding does not count in the average."""

    window: Windowed
    activation: Activation


@dataclass(frozen=True, eq=False)
class Mean(_Unary):
    """MEAN over ``axes``: sorted, each from 0 to rank - 1."""

    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class MaxPool2D(_Unary):
    """MAX_POOL_2D: padding never wins."""

    window: Windowed
    activation: Activation


@dataclass(frozen=True, eq=False)
class Binary(Operator):
    """Two tensors, element by element; either may be a constant.

    Shapes broadcast as NumPy's do: from the last dimension, where sizes are equal or one is 1.
    """

    left: Tensor
    right: Tensor
    activation: Activation

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in (self.left, self.right) if not tensor.is_constant)

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in (self.left, self.right) if tensor.is_constant)


@dataclass(frozen=True, eq=False)
class Add(Binary):
    """ADD: left + right."""


@dataclass(frozen=True, eq=False)
class Sub(Binary):
    """SUB: left - right."""


@dataclass(frozen=True, eq=False)
class Mul(Binary):
    """MUL: left * right."""


@dataclass(frozen=True, eq=False)
class Concatenation(Operator):
    """CONCATENATION along ``axis`` (0 to rank - 1); constants may be among the sources.

    All sources have the output's scale and zero point, as TensorFlow Lite demands of int8.
    """

    sources: tuple[Tensor, ...]
    axis: int

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in self.sources if not tensor.is_constant)

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in self.sources if tensor.is_constant)


@dataclass(frozen=True, eq=False)
class StridedSlice(_Unary):
    """STRIDED_SLICE, SLICE, and one output of SPLIT or SPLIT_V; masks are resolved.

    Element ``i`` of the result along an axis is element ``begin + i * stride`` of the input. Both
    have one number for each dimension of the *input*; ``extent`` is how many are taken along it.
    The output's shape is ``extent`` but for dimensions that a mask drops.
    """

    begin: tuple[int, ...]
    stride: tuple[int, ...]
    extent: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pad(_Unary):
    """PAD and PADV2: ``before`` and ``after`` values on each dimension, all of them ``value``."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int


@dataclass(frozen=True, eq=False)
class Transpose(_Unary):
    """TRANSPOSE: dimension ``i`` of the output is dimension ``permutation[i]`` of the input."""

    permutation: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Relu(_Unary):
    """RELU, RELU6, RELU_N1_TO_1 as operators of their own; may requantize."""

    activation: Activation


@dataclass(frozen=True, eq=False)
class LeakyRelu(_Unary):
    """LEAKY_RELU: ``alpha`` times what is negative."""

    alpha: float


@dataclass(frozen=True, eq=False)
class HardSwish(_Unary):
    """HARD_SWISH: x * relu6(x + 3) / 6."""


@dataclass(frozen=True, eq=False)
class Logistic(_Unary):
    """LOGISTIC: 1 / (1 + exp(-x))."""


@dataclass(frozen=True, eq=False)
class Tanh(_Unary):
    """TANH."""


@dataclass(frozen=True, eq=False)
class Quantize(_Unary):
    """QUANTIZE of a quantized tensor: int8 or uint8 to int8 or uint8 of another scale."""


@dataclass(frozen=True, eq=False)
class Dequantize(_Unary):
    """DEQUANTIZE: int8 or uint8 to float32; only the network's output may be that."""


@dataclass(frozen=True, eq=False)
class ReadVariable(_Unary):
    """READ_VARIABLE: ``input`` is the variable's tensor (:attr:`Graph.variables`)."""


@dataclass(frozen=True, eq=False)
class AssignVariable(_Unary):
    """ASSIGN_VARIABLE: ``output`` is the variable's tensor (:attr:`Graph.variables`)."""


@dataclass(frozen=True, eq=False)
class Reshape(_Unary):
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape."""


@dataclass(frozen=True, eq=False)
class Softmax(_Unary):
    """SOFTMAX along the last dimension, of ``beta`` times the input."""

    beta: float
