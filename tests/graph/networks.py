"""Small int8 networks of the operators that edgeprune compiles, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite

from tests.graph.tflite_files import ModelFile

ACTIVATIONS = {
    "none": tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
    "relu_n1_to_1": tflite.ActivationFunctionType.RELU_N1_TO_1,
}
PADDINGS = {"same": tflite.Padding.SAME, "valid": tflite.Padding.VALID}

Pair = tuple[int, int]


class Network(ModelFile):
    """A file to which layers are added; weights, biases and scales come from ``rng``."""

    def __init__(self, rng: np.random.Generator, shape: Sequence[int], **quantization: Any) -> None:
        super().__init__()
        self.rng = rng
        self.activation(shape, **quantization)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(self.tensors[tensor].shape)

    def scale(self, tensor: int) -> float:
        """The scale of an activation."""
        return float(self.tensors[tensor].scales[0])

    def zero_point(self, tensor: int) -> int:
        """The zero point of an activation."""
        return int(self.tensors[tensor].zero_points[0])

    def _weights(self, shape: Sequence[int], channels: int, axis: int, per_channel: bool) -> int:
        values = self.rng.integers(-127, 128, shape, dtype=np.int8)
        scales = self.rng.uniform(0.002, 0.05, channels if per_channel else 1)
        return self.constant(values, scales=scales, zero_points=[0] * len(scales), axis=axis)

    def _bias(self, channels: int, weights: int, source: int) -> int:
        values = self.rng.integers(-3000, 3000, channels, dtype=np.int32)
        scales = np.array(self.tensors[weights].scales) * self.scale(source)
        return self.constant(values, scales=scales, zero_points=[0] * len(scales))

    def _output(self, shape: Sequence[int], typical: float, gain: float, zero_point: int) -> int:
        """An activation whose range is ``gain`` times what the values typically need."""
        return self.activation(shape, scale=typical * gain / 64, zero_point=zero_point)

    def _typical(self, source: int, weights: int, taps: int) -> float:
        scale = float(np.mean(self.tensors[weights].scales))
        return float(np.sqrt(taps)) * self.scale(source) * scale * 73 * 73

    def conv_2d(
        self,
        source: int,
        channels: int,
        *,
        kernel: Pair = (1, 1),
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        padding: str = "same",
        groups: int = 1,
        activation: str = "none",
        bias: bool = True,
        per_channel: bool = True,
        gain: float = 1.0,
        zero_point: int = 0,
        version: int = 3,
    ) -> int:
        batch, height, width, depth = self.shape(source)
        weights = self._weights((channels, *kernel, depth // groups), channels, 0, per_channel)
        inputs = [source, weights]
        if bias:
            inputs.append(self._bias(channels, weights, source))
        size = _sizes((height, width), kernel, stride, dilation, padding)
        taps = kernel[0] * kernel[1] * depth // groups
        output = self._output(
            (batch, *size, channels), self._typical(source, weights, taps), gain, zero_point
        )
        return self.operator(
            "CONV_2D",
            inputs,
            output,
            version=version,
            Padding=PADDINGS[padding],
            StrideH=stride[0],
            StrideW=stride[1],
            DilationHFactor=dilation[0],
            DilationWFactor=dilation[1],
            FusedActivationFunction=ACTIVATIONS[activation],
        )

    def depthwise_conv_2d(
        self,
        source: int,
        multiplier: int = 1,
        *,
        kernel: Pair = (3, 3),
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        padding: str = "same",
        activation: str = "none",
        bias: bool = True,
        per_channel: bool = True,
        gain: float = 1.0,
        zero_point: int = 0,
    ) -> int:
        batch, height, width, depth = self.shape(source)
        channels = depth * multiplier
        weights = self._weights((1, *kernel, channels), channels, 3, per_channel)
        inputs = [source, weights]
        if bias:
            inputs.append(self._bias(channels, weights, source))
        size = _sizes((height, width), kernel, stride, dilation, padding)
        output = self._output(
            (batch, *size, channels),
            self._typical(source, weights, kernel[0] * kernel[1]),
            gain,
            zero_point,
        )
        return self.operator(
            "DEPTHWISE_CONV_2D",
            inputs,
            output,
            version=3,
            Padding=PADDINGS[padding],
            StrideH=stride[0],
            StrideW=stride[1],
            DepthMultiplier=multiplier,
            DilationHFactor=dilation[0],
            DilationWFactor=dilation[1],
            FusedActivationFunction=ACTIVATIONS[activation],
        )

    def fully_connected(
        self,
        source: int,
        channels: int,
        *,
        activation: str = "none",
        bias: bool = True,
        per_channel: bool = False,
        gain: float = 1.0,
        zero_point: int = 0,
    ) -> int:
        *outer, depth = self.shape(source)
        weights = self._weights((channels, depth), channels, 0, per_channel)
        inputs = [source, weights, self._bias(channels, weights, source) if bias else -1]
        rows = int(np.prod(outer, dtype=int))
        output = self._output(
            (rows, channels), self._typical(source, weights, depth), gain, zero_point
        )
        return self.operator(
            "FULLY_CONNECTED",
            inputs,
            output,
            version=4,
            FusedActivationFunction=ACTIVATIONS[activation],
        )

    def average_pool_2d(
        self,
        source: int,
        *,
        kernel: Pair = (2, 2),
        stride: Pair = (1, 1),
        padding: str = "same",
        activation: str = "none",
    ) -> int:
        batch, height, width, depth = self.shape(source)
        size = _sizes((height, width), kernel, stride, (1, 1), padding)
        output = self.activation((batch, *size, depth), self.scale(source), self.zero_point(source))
        return self.operator(
            "AVERAGE_POOL_2D",
            [source],
            output,
            version=2,
            Padding=PADDINGS[padding],
            StrideH=stride[0],
            StrideW=stride[1],
            FilterHeight=kernel[0],
            FilterWidth=kernel[1],
            FusedActivationFunction=ACTIVATIONS[activation],
        )

    def mean(
        self,
        source: int,
        axes: Sequence[int],
        *,
        keep: bool = True,
        gain: float = 1.0,
        zero_point: int = 0,
    ) -> int:
        shape = self.shape(source)
        reduced = {axis % len(shape) for axis in axes}
        kept = [
            1 if axis in reduced else size
            for axis, size in enumerate(shape)
            if keep or axis not in reduced
        ]
        output = self.activation(kept, self.scale(source) * gain, zero_point)
        numbers = self.constant(np.array(axes, dtype=np.int32))
        return self.operator("MEAN", [source, numbers], output, version=2, KeepDims=keep)

    def add(
        self,
        left: int,
        right: int,
        *,
        activation: str = "none",
        gain: float = 1.0,
        zero_point: int = 0,
    ) -> int:
        typical = 73 * float(np.hypot(self.scale(left), self.scale(right)))
        output = self._output(self.shape(left), typical, gain, zero_point)
        return self.operator(
            "ADD",
            [left, right],
            output,
            version=2,
            FusedActivationFunction=ACTIVATIONS[activation],
        )

    def reshape(self, source: int, shape: Sequence[int]) -> int:
        output = self.activation(shape, self.scale(source), self.zero_point(source))
        numbers = self.constant(np.array(shape, dtype=np.int32))
        return self.operator("RESHAPE", [source, numbers], output)

    def softmax(self, source: int, *, beta: float = 1.0) -> int:
        output = self.activation(self.shape(source), 1 / 256, -128)
        return self.operator("SOFTMAX", [source], output, version=2, Beta=beta)


def _sizes(image: Pair, kernel: Pair, stride: Pair, dilation: Pair, padding: str) -> Pair:
    sizes = []
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        room = image[axis] if padding == "same" else image[axis] - reach + 1
        sizes.append(-(-room // stride[axis]))
    return sizes[0], sizes[1]
