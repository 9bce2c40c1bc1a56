"""Operators that compute element by element, along one dimension, or over some."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgeprune.graph.kinds.checks import (
    axis_of,
    check_output_quantization,
    check_quantized,
    check_shape,
)
from edgeprune.graph.kinds.site import Site
from edgeprune.graph.operators import (
    Activation,
    Add,
    Dequantize,
    HardSwish,
    LeakyRelu,
    Logistic,
    Mean,
    Mul,
    Operator,
    Quantize,
    Relu,
    Softmax,
    Sub,
    Tanh,
)
from edgeprune.graph.tensor import Tensor

__all__ = [
    "binary",
    "dequantize",
    "hard_swish",
    "leaky_relu",
    "logistic",
    "mean",
    "quantize",
    "relu",
    "softmax",
    "tanh",
]

#: What TensorFlow Lite Micro's QUANTIZE turns into what, of the types that a network may have.
_QUANTIZE = frozenset({("int8", "int8"), ("int8", "uint8"), ("uint8", "int8")})


def binary(operator: type[Add | Sub | Mul]) -> Callable[[Site], Operator]:
    """How ADD, SUB and MUL are read; the shapes broadcast."""

    def build(site: Site) -> Operator:
        left, right = site.input(0), site.input(1)
        check_quantized(site, left, right, site.output)
        if left.is_constant and right.is_constant:
            raise site.unsupported(
                f"computes with the constants {left} and {right} alone",
                hint="convert with constant folding",
            )
        check_shape(site, site.output, _broadcast(site, left, right))
        return operator(**site.base(), left=left, right=right, activation=site.activation())

    return build


def _broadcast(site: Site, left: Tensor, right: Tensor) -> tuple[int, ...]:
    rank = max(len(left.shape), len(right.shape))
    sizes = []
    for a, b in zip(_filled(left, rank), _filled(right, rank), strict=True):
        if a != b and 1 not in (a, b):
            raise site.malformed(
                f"combines tensors {left} and {right}, whose shapes don't broadcast"
            )
        sizes.append(max(a, b))
    return tuple(sizes)


def _filled(tensor: Tensor, rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(tensor.shape)) + tensor.shape


def _like(site: Site) -> Tensor:
    """The one input, int8 as the output and of its shape."""
    source = site.input(0)
    check_quantized(site, source, site.output)
    check_shape(site, site.output, source.shape)
    return source


def relu(activation: Activation) -> Callable[[Site], Operator]:
    """How RELU, RELU6 and RELU_N1_TO_1 are read."""

    def build(site: Site) -> Operator:
        return Relu(**site.base(), input=_like(site), activation=activation)

    return build


def leaky_relu(site: Site) -> Operator:
    """LEAKY_RELU with a slope that is not negative."""
    alpha = float(site.option("Alpha"))
    if not math.isfinite(alpha):
        raise site.malformed(f"has an alpha of {alpha}")
    if alpha < 0:
        raise site.unsupported(f"has an alpha of {alpha:g}; 0 or more is supported")
    return LeakyRelu(**site.base(), input=_like(site), alpha=alpha)


def hard_swish(site: Site) -> Operator:
    """HARD_SWISH, of scales that leave the kernel's 16-bit steps room."""
    source = _like(site)
    if source.scale / 128 >= site.output.scale:
        raise site.unsupported(
            f"would have to multiply by {source.scale / site.output.scale:g}, the scale of tensor "
            f"{source} by that of tensor {site.output}; less than 128 is supported"
        )
    return HardSwish(**site.base(), input=source)


def logistic(site: Site) -> Operator:
    """LOGISTIC; TensorFlow Lite fixes its output's quantization."""
    source = _like(site)
    check_output_quantization(site, 1 / 256, -128)
    return Logistic(**site.base(), input=source)


def tanh(site: Site) -> Operator:
    """TANH; TensorFlow Lite fixes its output's quantization."""
    source = _like(site)
    check_output_quantization(site, 1 / 128, 0)
    return Tanh(**site.base(), input=source)


def softmax(site: Site) -> Operator:
    """SOFTMAX; TensorFlow Lite fixes its output's quantization."""
    source = _like(site)
    if not source.shape:
        raise site.malformed(f"uses tensor {source}; one dimension is needed")
    beta = float(site.option("Beta"))
    if not math.isfinite(beta) or beta <= 0:
        raise site.malformed(f"has a beta of {beta}")
    check_output_quantization(site, 1 / 256, -128)
    return Softmax(**site.base(), input=source, beta=beta)


def mean(site: Site) -> Operator:
    """MEAN over constant axes."""
    source = site.input(0)
    check_quantized(site, source, site.output)
    numbers = site.indices(1)
    if not numbers:
        raise site.malformed(f"reduces no dimension of tensor {source}")
    reduced = tuple(sorted({axis_of(site, number, source) for number in numbers}))
    keep = bool(site.option("KeepDims"))
    kept = [
        1 if axis in reduced else size
        for axis, size in enumerate(source.shape)
        if keep or axis not in reduced
    ]
    check_shape(site, site.output, tuple(kept))
    return Mean(**site.base(), input=source, axes=reduced)


def quantize(site: Site) -> Operator:
    """QUANTIZE from one quantized type, scale or zero point to another."""
    source = site.input(0)
    check_quantized(site, source, site.output, dtypes=("int8", "uint8"))
    check_shape(site, site.output, source.shape)
    if (source.dtype, site.output.dtype) not in _QUANTIZE:
        raise site.unsupported(f"turns {source.dtype} into {site.output.dtype}")
    return Quantize(**site.base(), input=source)


def dequantize(site: Site) -> Operator:
    """DEQUANTIZE to float32."""
    source = site.input(0)
    check_quantized(site, source, dtypes=("int8", "uint8"))
    if site.output.dtype != "float32":
        raise site.unsupported(f"writes tensor {site.output}; float32 is supported")
    check_shape(site, site.output, source.shape)
    return Dequantize(**site.base(), input=source)
