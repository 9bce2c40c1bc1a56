"""Operators with a window that slides over an image: convolutions and pools."""

from __future__ import annotations

import tflite

from edgeprune.graph.kinds.checks import (
    check_quantized,
    check_rank,
    check_shape,
    refused_quantization,
)
from edgeprune.graph.kinds.site import Site
from edgeprune.graph.kinds.weights import check_bias, check_weights
from edgeprune.graph.operators import (
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    MaxPool2D,
    Operator,
    Padding,
    Windowed,
)
from edgeprune.graph.tensor import Tensor

__all__ = ["average_pool_2d", "conv_2d", "depthwise_conv_2d", "max_pool_2d"]

#: Strides, dilations and kernels above this can't belong to a network of this size.
_MOST_STEP = 1 << 15
#: TensorFlow Lite Micro's pools take scales for the same that differ by no more than this.
_SAME_SCALE = 1e-6


def conv_2d(site: Site) -> Operator:
    """CONV_2D, grouped or not."""
    source, weights, bias = site.input(0), site.input(1), site.optional(2)
    check_quantized(site, source, site.output)
    for tensor in (source, weights, site.output):
        check_rank(site, tensor, 4)
    channels, height, width, depth = weights.shape
    if source.shape[3] % depth or channels % (source.shape[3] // depth):
        raise site.malformed(f"has weights {weights} for the input {source}")
    check_weights(site, weights, axis=0, channels=channels)
    check_bias(site, bias, channels)
    dilation = _pair(site, "DilationHFactor", "DilationWFactor")
    return Conv2D(
        **site.base(),
        input=source,
        weights=weights,
        bias=bias,
        activation=site.activation(),
        window=_window(site, source, (height, width), dilation, channels),
    )


def depthwise_conv_2d(site: Site) -> Operator:
    """DEPTHWISE_CONV_2D with any multiplier."""
    source, weights, bias = site.input(0), site.input(1), site.optional(2)
    check_quantized(site, source, site.output)
    for tensor in (source, weights, site.output):
        check_rank(site, tensor, 4)
    one, height, width, channels = weights.shape
    if one != 1 or channels % source.shape[3]:
        raise site.malformed(f"has weights {weights} for the input {source}")
    check_weights(site, weights, axis=DepthwiseConv2D.CHANNEL_AXIS, channels=channels)
    check_bias(site, bias, channels)
    dilation = _pair(site, "DilationHFactor", "DilationWFactor")
    return DepthwiseConv2D(
        **site.base(),
        input=source,
        weights=weights,
        bias=bias,
        activation=site.activation(),
        window=_window(site, source, (height, width), dilation, channels),
    )


def average_pool_2d(site: Site) -> Operator:
    """AVERAGE_POOL_2D."""
    return AveragePool2D(
        **site.base(),
        input=site.input(0),
        activation=site.activation(),
        window=_pool_window(site),
    )


def max_pool_2d(site: Site) -> Operator:
    """MAX_POOL_2D."""
    return MaxPool2D(
        **site.base(),
        input=site.input(0),
        activation=site.activation(),
        window=_pool_window(site),
    )


def _pool_window(site: Site) -> Windowed:
    source = site.input(0)
    check_quantized(site, source, site.output)
    for tensor in (source, site.output):
        check_rank(site, tensor, 4)
    scales_differ = abs(source.scale - site.output.scale) > _SAME_SCALE
    if scales_differ or source.zero_point != site.output.zero_point:
        raise refused_quantization(site, source, site.output)
    kernel = _pair(site, "FilterHeight", "FilterWidth")
    return _window(site, source, kernel, (1, 1), source.shape[3])


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
    check_shape(site, site.output, (source.shape[0], sizes[0], sizes[1], channels))
    padding = Padding(top=before[0], left=before[1], bottom=after[0], right=after[1])
    return Windowed(kernel=kernel, stride=stride, padding=padding, dilation=dilation)
