"""One builder for each operator that edgeprune compiles: raw attributes to a checked operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import tflite

from edgeprune.errors import MalformedModelError, UnsupportedError
from edgeprune.graph.operators import (
    Activation,
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Mean,
    Operator,
    Padding,
    Reshape,
    Softmax,
    Windowed,
)
from edgeprune.graph.tensor import Quantization, Tensor

__all__ = ["KINDS", "Kind", "Site"]

#: Strides, dilations and kernels above this can't belong to a network of this size.
_MOST_STEP = 1 << 15

_ACTIVATIONS: Mapping[int, Activation] = MappingProxyType(
    {
        tflite.ActivationFunctionType.NONE: "none",
        tflite.ActivationFunctionType.RELU: "relu",
        tflite.ActivationFunctionType.RELU6: "relu6",
        tflite.ActivationFunctionType.RELU_N1_TO_1: "relu_n1_to_1",
    }
)


@dataclass(frozen=True)
class Site:
    """One operator of a file, with its tensors checked and its attributes still raw.

    Attributes:
        described: how an error names it.
        inputs: with None where an optional one is left out.
    """

    described: str
    index: int
    kind: str
    version: int
    inputs: tuple[Tensor | None, ...]
    output: Tensor
    options: Mapping[str, Any]

    def input(self, position: int) -> Tensor:
        """An input that must be there.

        Raises:
            MalformedModelError: it is left out.
        """
        tensor = self.inputs[position]
        if tensor is None:
            raise self.malformed(f"has no input {position}")
        return tensor

    def optional(self, position: int) -> Tensor | None:
        """An input that may be left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def option(self, name: str) -> Any:
        """An attribute by its name in the schema.

        Raises:
            MalformedModelError: the operator carries no such attribute.
        """
        if name not in self.options:
            raise self.malformed(f"has no attribute {name}")
        return self.options[name]

    def malformed(self, what: str) -> MalformedModelError:
        """The error of a model that contradicts itself."""
        return MalformedModelError(f"{self.described} {what}")

    def unsupported(self, what: str, hint: str | None = None) -> UnsupportedError:
        """The error of a valid model that edgeprune can't compile."""
        return UnsupportedError(f"{self.described} {what}", hint=hint)

    def common(self) -> dict[str, Any]:
        """What every operator has."""
        return {
            "index": self.index,
            "kind": self.kind,
            "version": self.version,
            "output": self.output,
        }

    def activation(self) -> Activation:
        """The fused activation."""
        code = self.option("FusedActivationFunction")
        if code not in _ACTIVATIONS:
            raise self.unsupported(
                f"has the fused activation {code}",
                hint=f"supported: {', '.join(_ACTIVATIONS.values())}",
            )
        return _ACTIVATIONS[code]


@dataclass(frozen=True)
class Kind:
    """How an operator of one kind is read."""

    build: Callable[[Site], Operator]
    fewest_inputs: int
    most_inputs: int
    newest: int
    oldest: int = 1


def _activations(site: Site, *tensors: Tensor) -> None:
    """Inputs and outputs that are computed with: int8, quantized as a whole."""
    for tensor in tensors:
        if tensor.dtype != "int8":
            raise site.unsupported(
                f"uses tensor {tensor}; int8 is supported",
                hint="convert with full-integer quantization",
            )
        if tensor.quantization is None:
            raise site.malformed(f"uses int8 tensor {tensor}, which has no scale")
        if len(tensor.quantization.scales) != 1:
            raise site.unsupported(f"uses tensor {tensor}, whose scales differ by channel")


def _rank(site: Site, tensor: Tensor, rank: int) -> None:
    if len(tensor.shape) != rank:
        raise site.malformed(f"uses tensor {tensor}; {rank} dimensions are needed")


def _shape(site: Site, tensor: Tensor, expected: tuple[int, ...]) -> None:
    if tensor.shape != expected:
        raise site.malformed(f"uses tensor {tensor}; its shape should be {list(expected)}")


def _weights(site: Site, weights: Tensor, *, axis: int, channels: int) -> None:
    if not weights.is_constant:
        raise site.unsupported(f"has weights that the network computes, tensor {weights}")
    if weights.dtype != "int8":
        raise site.unsupported(f"has weights of another type than int8, tensor {weights}")
    quantization = weights.quantization
    if quantization is None:
        raise site.malformed(f"has weights without a scale, tensor {weights}")
    if any(quantization.zero_points):
        raise site.unsupported(
            f"has weights with a zero point other than 0, tensor {weights}",
            hint="convert with symmetric weights, which is the default of int8",
        )
    _per_channel(site, weights, quantization, axis=axis, channels=channels)


def _per_channel(
    site: Site, weights: Tensor, quantization: Quantization, *, axis: int, channels: int
) -> None:
    count = len(quantization.scales)
    if count != 1 and (count != channels or quantization.axis != axis):
        raise site.malformed(
            f"has {count} scales along dimension {quantization.axis} of its weights {weights}"
        )


def _bias(site: Site, bias: Tensor | None, channels: int) -> None:
    if bias is None:
        return
    if not bias.is_constant or bias.dtype != "int32":
        raise site.unsupported(f"has the bias {bias}; a constant of int32 is supported")
    if bias.elements != channels:
        raise site.malformed(f"has the bias {bias} for {channels} output channels")


def _pair(site: Site, height: str, width: str) -> tuple[int, int]:
    pair = (int(site.option(height)), int(site.option(width)))
    if not all(1 <= value <= _MOST_STEP for value in pair):
        raise site.malformed(f"has {height} {pair[0]} and {width} {pair[1]}")
    return pair


def _window(
    site: Site,
    source: Tensor,
    kernel: tuple[int, int],
    dilation: tuple[int, int],
    channels: int,
) -> Windowed:
    """Stride and padding in numbers; checks the output's shape against them.

    The arithmetic is TensorFlow's: SAME gives ``ceil(in / stride)``, VALID
    ``ceil((in - reach + 1) / stride)``; an odd total of padding has its larger half at the end.
    """
    stride = _pair(site, "StrideH", "StrideW")
    if any(value > _MOST_STEP for value in kernel):
        raise site.malformed(f"has a kernel of {list(kernel)}")
    scheme = site.option("Padding")
    if scheme not in (tflite.Padding.SAME, tflite.Padding.VALID):
        raise site.malformed(f"has the padding {scheme}")
    sizes, before, after = [], [], []
    for axis in (0, 1):
        size = source.shape[1 + axis]
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        if scheme == tflite.Padding.SAME:
            out = -(-size // stride[axis])
        else:
            out = (size + stride[axis] - reach) // stride[axis]
        if out < 1:
            raise site.malformed(f"has a kernel of {reach} values for an input {source}")
        total = max(0, (out - 1) * stride[axis] + reach - size)
        sizes.append(out)
        before.append(total // 2)
        after.append(total - total // 2)
    _shape(site, site.output, (source.shape[0], sizes[0], sizes[1], channels))
    padding = Padding(top=before[0], left=before[1], bottom=after[0], right=after[1])
    return Windowed(kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def _conv_2d(site: Site) -> Operator:
    source, weights, bias = site.input(0), site.input(1), site.optional(2)
    _activations(site, source, site.output)
    for tensor in (source, weights, site.output):
        _rank(site, tensor, 4)
    channels, height, width, depth = weights.shape
    if source.shape[3] % depth or channels % (source.shape[3] // depth):
        raise site.malformed(f"has weights {weights} for the input {source}")
    _weights(site, weights, axis=0, channels=channels)
    _bias(site, bias, channels)
    dilation = _pair(site, "DilationHFactor", "DilationWFactor")
    return Conv2D(
        **site.common(),
        input=source,
        weights=weights,
        bias=bias,
        activation=site.activation(),
        window=_window(site, source, (height, width), dilation, channels),
    )


def _depthwise_conv_2d(site: Site) -> Operator:
    source, weights, bias = site.input(0), site.input(1), site.optional(2)
    _activations(site, source, site.output)
    for tensor in (source, weights, site.output):
        _rank(site, tensor, 4)
    one, height, width, channels = weights.shape
    if one != 1 or channels % source.shape[3]:
        raise site.malformed(f"has weights {weights} for the input {source}")
    _weights(site, weights, axis=DepthwiseConv2D.CHANNEL_AXIS, channels=channels)
    _bias(site, bias, channels)
    dilation = _pair(site, "DilationHFactor", "DilationWFactor")
    return DepthwiseConv2D(
        **site.common(),
        input=source,
        weights=weights,
        bias=bias,
        activation=site.activation(),
        window=_window(site, source, (height, width), dilation, channels),
    )


def _fully_connected(site: Site) -> Operator:
    source, weights, bias = site.input(0), site.input(1), site.optional(2)
    _activations(site, source, site.output)
    _rank(site, weights, 2)
    channels, depth = weights.shape
    if site.option("WeightsFormat") != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise site.unsupported("has shuffled weights", hint="convert with default weights")
    _weights(site, weights, axis=0, channels=channels)
    _bias(site, bias, channels)
    if source.elements % depth:
        raise site.malformed(f"has weights {weights} for the input {source}")
    rows = source.elements // depth
    if site.output.elements != rows * channels or site.output.shape[-1:] != (channels,):
        raise site.malformed(f"writes tensor {site.output}; {rows} rows of {channels} are needed")
    return FullyConnected(
        **site.common(),
        input=source,
        weights=weights,
        bias=bias,
        activation=site.activation(),
    )


def _average_pool_2d(site: Site) -> Operator:
    source = site.input(0)
    _activations(site, source, site.output)
    for tensor in (source, site.output):
        _rank(site, tensor, 4)
    # TFLite Micro refuses what would need a requantization here; so does this reader.
    if abs(source.scale - site.output.scale) > 1e-6 or source.zero_point != site.output.zero_point:
        raise site.unsupported("has an input and an output of different scale or zero point")
    kernel = _pair(site, "FilterHeight", "FilterWidth")
    return AveragePool2D(
        **site.common(),
        input=source,
        activation=site.activation(),
        window=_window(site, source, kernel, (1, 1), source.shape[3]),
    )


def _mean(site: Site) -> Operator:
    source, axes = site.input(0), site.input(1)
    _activations(site, source, site.output)
    if axes.data is None or axes.dtype != "int32":
        raise site.unsupported(f"has the axes {axes}; a constant of int32 is supported")
    rank = len(source.shape)
    numbers = [int(axis) for axis in axes.data.reshape(-1)]
    if not numbers or not all(-rank <= axis < rank for axis in numbers):
        raise site.malformed(f"reduces the axes {numbers} of tensor {source}")
    reduced = tuple(sorted({axis % rank for axis in numbers}))
    keep = bool(site.option("KeepDims"))
    kept = [
        1 if axis in reduced else size
        for axis, size in enumerate(source.shape)
        if keep or axis not in reduced
    ]
    _shape(site, site.output, tuple(kept))
    return Mean(**site.common(), input=source, axes=reduced)


def _add(site: Site) -> Operator:
    left, right = site.input(0), site.input(1)
    _activations(site, left, right, site.output)
    if left.is_constant and right.is_constant:
        raise site.unsupported("adds two constants", hint="convert with constant folding")
    if left.shape != right.shape:
        raise site.unsupported(
            f"adds tensors {left} and {right}, of different shapes",
            hint="tensors of the same shape are supported",
        )
    _shape(site, site.output, left.shape)
    return Add(**site.common(), left=left, right=right, activation=site.activation())


def _reshape(site: Site) -> Operator:
    source = site.input(0)
    _activations(site, source, site.output)
    if source.is_constant:
        raise site.unsupported("reshapes a constant", hint="convert with constant folding")
    if source.elements != site.output.elements:
        raise site.malformed(f"turns tensor {source} into tensor {site.output}")
    return Reshape(**site.common(), input=source)


def _softmax(site: Site) -> Operator:
    source = site.input(0)
    _activations(site, source, site.output)
    _shape(site, site.output, source.shape)
    if not source.shape:
        raise site.malformed(f"uses tensor {source}; one dimension is needed")
    beta = float(site.option("Beta"))
    if not math.isfinite(beta) or beta <= 0:
        raise site.malformed(f"has a beta of {beta}")
    if site.output.scale != 1 / 256 or site.output.zero_point != -128:
        raise site.unsupported(
            f"writes scale {site.output.scale:g} and zero point {site.output.zero_point}",
            hint="scale 1/256 and zero point -128 are supported, as converters write",
        )
    return Softmax(**site.common(), input=source, beta=beta)


#: Builtin code to how it is read. The newest versions are those whose int8 meaning is known.
KINDS: Mapping[int, Kind] = MappingProxyType(
    {
        tflite.BuiltinOperator.CONV_2D: Kind(_conv_2d, 2, 3, newest=8),
        tflite.BuiltinOperator.DEPTHWISE_CONV_2D: Kind(_depthwise_conv_2d, 2, 3, newest=7),
        tflite.BuiltinOperator.FULLY_CONNECTED: Kind(_fully_connected, 2, 3, newest=14),
        tflite.BuiltinOperator.AVERAGE_POOL_2D: Kind(_average_pool_2d, 1, 1, newest=3),
        tflite.BuiltinOperator.MEAN: Kind(_mean, 2, 2, newest=3),
        tflite.BuiltinOperator.ADD: Kind(_add, 2, 2, newest=5),
        tflite.BuiltinOperator.RESHAPE: Kind(_reshape, 1, 2, newest=1),
        tflite.BuiltinOperator.SQUEEZE: Kind(_reshape, 1, 1, newest=2),
        tflite.BuiltinOperator.EXPAND_DIMS: Kind(_reshape, 2, 2, newest=1),
        tflite.BuiltinOperator.SOFTMAX: Kind(_softmax, 1, 1, newest=3),
    }
)
