"""Small int8 networks of the operators that edgeprune compiles, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite

from tests.graph.moving_network import MovingNetwork, Pair
from tests.graph.tflite_files import OperatorSpec, Subgraph

ACTIVATIONS = {
    "none": tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
    "relu_n1_to_1": tflite.ActivationFunctionType.RELU_N1_TO_1,
}
RELUS = {"relu": "RELU", "relu6": "RELU6", "relu_n1_to_1": "RELU_N1_TO_1"}
PADDINGS = {"same": tflite.Padding.SAME, "valid": tflite.Padding.VALID}


class Network(MovingNetwork):
    """A file to which layers are added; weights, biases and scales come from ``rng``."""

    def __init__(self, rng: np.random.Generator, shape: Sequence[int], **quantization: Any) -> None:
        super().__init__(rng, shape, **quantization)
        #: Handle to shape, scale and zero point.
        self.variables: dict[int, tuple[tuple[int, ...], float, int]] = {}

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

    def average_pool_2d(self, source: int, **window: Any) -> int:
        return self._pool("AVERAGE_POOL_2D", source, **window)

    def max_pool_2d(self, source: int, **window: Any) -> int:
        return self._pool("MAX_POOL_2D", source, **window)

    def _pool(
        self,
        kind: str,
        source: int,
        *,
        kernel: Pair = (2, 2),
        stride: Pair = (1, 1),
        padding: str = "same",
        activation: str = "none",
    ) -> int:
        batch, height, width, depth = self.shape(source)
        size = _sizes((height, width), kernel, stride, (1, 1), padding)
        return self.operator(
            kind,
            [source],
            self._like(source, (batch, *size, depth)),
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
        return self.operator(
            "MEAN", [source, self._numbers(axes)], output, version=2, KeepDims=keep
        )

    def add(self, left: int, right: int, **output: Any) -> int:
        return self._binary("ADD", left, right, self._hypot(left, right), **output)

    def sub(self, left: int, right: int, **output: Any) -> int:
        return self._binary("SUB", left, right, self._hypot(left, right), **output)

    def mul(self, left: int, right: int, **output: Any) -> int:
        typical = 73 * 73 * self.scale(left) * self.scale(right)
        return self._binary("MUL", left, right, typical, **output)

    def _hypot(self, left: int, right: int) -> float:
        return 73 * float(np.hypot(self.scale(left), self.scale(right)))

    def _binary(
        self,
        kind: str,
        left: int,
        right: int,
        typical: float,
        *,
        activation: str = "none",
        gain: float = 1.0,
        zero_point: int = 0,
    ) -> int:
        """Element by element; the shapes broadcast, and either may be an :meth:`operand`."""
        shape = np.broadcast_shapes(self.shape(left), self.shape(right))
        return self.operator(
            kind,
            [left, right],
            self._output(shape, typical, gain, zero_point),
            version=2,
            FusedActivationFunction=ACTIVATIONS[activation],
        )

    def logistic(self, source: int) -> int:
        output = self.activation(self.shape(source), 1 / 256, -128)
        return self.operator("LOGISTIC", [source], output, version=2)

    def tanh(self, source: int) -> int:
        output = self.activation(self.shape(source), 1 / 128, 0)
        return self.operator("TANH", [source], output, version=2)

    def relu(
        self, source: int, activation: str = "relu", *, gain: float = 1.0, zero_point: int = 0
    ) -> int:
        """RELU, RELU6 or RELU_N1_TO_1 as an operator of its own."""
        kind = RELUS[activation]
        version = 1 if kind == "RELU_N1_TO_1" else 2
        return self.operator(
            kind, [source], self._scaled(source, gain, zero_point), version=version
        )

    def leaky_relu(
        self, source: int, alpha: float = 0.1, *, gain: float = 1.0, zero_point: int = 0
    ) -> int:
        output = self._scaled(source, gain, zero_point)
        return self.operator("LEAKY_RELU", [source], output, version=2, Alpha=alpha)

    def hard_swish(self, source: int, *, gain: float = 1.0, zero_point: int = 0) -> int:
        return self.operator("HARD_SWISH", [source], self._scaled(source, gain, zero_point))

    def quantize(
        self, source: int, *, dtype: str = "int8", gain: float = 1.0, zero_point: int = 0
    ) -> int:
        """To another type, scale or zero point."""
        output = self._scaled(source, gain, zero_point, dtype=dtype)
        return self.operator("QUANTIZE", [source], output, version=2)

    def dequantize(self, source: int) -> int:
        """To float32, for the network's output."""
        output = self.tensor(self.shape(source), dtype="float32")
        return self.operator("DEQUANTIZE", [source], output, version=2)

    def _scaled(self, source: int, gain: float, zero_point: int, dtype: str = "int8") -> int:
        return self.activation(
            self.shape(source), self.scale(source) * gain, zero_point, dtype=dtype
        )

    def variable(
        self,
        shape: Sequence[int],
        *,
        scale: float = 0.1,
        zero_point: int = 0,
        initial: np.ndarray | None = None,
        name: str | None = None,
    ) -> int:
        """State: its VAR_HANDLE, and its values in the subgraph that CALL_ONCE runs.

        Returns the number of the handle. The values are zero points where none are given.
        """
        name = f"state_{len(self.variables)}" if name is None else name
        if not self.others:
            self.others.append(Subgraph())
            self.operators.insert(0, OperatorSpec("CALL_ONCE", [], [], {"InitSubgraphIndex": 1}))
        values = np.full(shape, zero_point, dtype=np.int8) if initial is None else initial
        quantization = {"scales": [scale], "zero_points": [zero_point]}
        setup = self.others[0]
        there = setup.tensor((), dtype="resource")
        setup.operator_of("VAR_HANDLE", [], [there], Container="", SharedName=name)
        setup.operator_of("ASSIGN_VARIABLE", [there, setup.constant(values, **quantization)], [])
        here = self.tensor((), dtype="resource", name=name)
        self.operator_of("VAR_HANDLE", [], [here], Container="", SharedName=name)
        self.variables[here] = (tuple(shape), scale, zero_point)
        return here

    def read_variable(self, handle: int) -> int:
        return self.operator("READ_VARIABLE", [handle], self.activation(*self.variables[handle]))

    def assign_variable(self, handle: int, source: int) -> None:
        self.operator_of("ASSIGN_VARIABLE", [handle, source], [])

    def stream(self, source: int, rows: int, **variable: Any) -> int:
        """What arrived in the last inferences and now: ``rows`` of state, then the source.

        Concatenated along dimension 1, whose last ``rows`` become the state again, as in
        kws_streaming (Rybakov et al. 2020).
        """
        shape = self.shape(source)
        state = self.variable(
            (shape[0], rows, *shape[2:]),
            scale=self.scale(source),
            zero_point=self.zero_point(source),
            **variable,
        )
        joined = self.concatenation([self.read_variable(state), source], 1)
        rank = len(shape)
        begin = [0, -rows, *[0] * (rank - 2)]
        last = self.strided_slice(joined, begin, [0] * rank, begin_mask=0b1101, end_mask=0b1111)
        self.assign_variable(state, last)
        self.outputs = [joined]
        return joined

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
