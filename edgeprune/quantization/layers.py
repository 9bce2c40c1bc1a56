"""Keras layers that compute in float what int8 will compute."""

from __future__ import annotations

from typing import Any

from edgeprune.models.backend import keras, tf
from edgeprune.quantization.weights import Bits, fake_quantized, shared_axes

__all__ = ["FakeQuantize", "RangeGroup", "fake_quantized_layer"]

#: Of the ranges' moving averages: a memory of about a hundred steps.
_MOMENTUM = 0.99


class RangeGroup:
    """Tensors of one scale: what pooling, padding and concatenation read and make."""

    def __init__(self) -> None:
        self._members: list[FakeQuantize] = []

    def add(self, member: FakeQuantize) -> None:
        """Let a tensor's range widen that of the group."""
        self._members.append(member)

    def limits(self) -> tuple[Any, Any]:
        """The lowest and the highest value of any member, float32 scalars."""
        low = tf.reduce_min(tf.stack([tf.convert_to_tensor(each.low) for each in self._members]))
        high = tf.reduce_max(tf.stack([tf.convert_to_tensor(each.high) for each in self._members]))
        return low, high


class FakeQuantize(keras.layers.Layer):  # type: ignore[misc]
    """Rounds a tensor to the 256 values of its range, the zero among them.

    In training the range follows the batches' lowest and highest values as a moving average
    (Jacob et al. 2018, section 3.1). Gradients pass unchanged where values lie in the range.

    Args:
        group: the tensors that share the range.
        name: of the layer.
    """

    def __init__(self, group: RangeGroup, name: str) -> None:
        super().__init__(name=name)
        self.low = self.add_weight(name="low", initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", initializer="ones", trainable=False)
        self._group = group
        group.add(self)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Any tensor → one of the same shape."""
        if training:
            self.low.assign(_moved(self.low, tf.minimum(tf.reduce_min(inputs), 0.0)))
            self.high.assign(_moved(self.high, tf.maximum(tf.reduce_max(inputs), 0.0)))
        return tf.quantization.fake_quant_with_min_max_vars(inputs, *self._group.limits())

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape


def _moved(average: Any, value: Any) -> Any:
    return _MOMENTUM * average + (1 - _MOMENTUM) * value


class _QuantizedConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution of fake-quantized weights."""

    bits: Bits = 8

    def call(self, inputs: Any) -> Any:
        kernel = fake_quantized(self.kernel, shared_axes(self), self.bits)
        outputs = keras.ops.conv(
            inputs, kernel, list(self.strides), self.padding, self.data_format, self.dilation_rate
        )
        return self.activation(outputs + self.bias)


class _QuantizedDepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution of fake-quantized weights."""

    bits: Bits = 8

    def call(self, inputs: Any) -> Any:
        kernel = fake_quantized(self.kernel, shared_axes(self), self.bits)
        outputs = keras.ops.depthwise_conv(
            inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )
        return self.activation(outputs + self.bias)


class _QuantizedDense(keras.layers.Dense):  # type: ignore[misc]
    """A dense layer of fake-quantized weights."""

    bits: Bits = 8

    def call(self, inputs: Any, training: bool = False) -> Any:
        kernel = fake_quantized(self.kernel, shared_axes(self), self.bits)
        return self.activation(keras.ops.matmul(inputs, kernel) + self.bias)


_QUANTIZED: dict[Any, Any] = {
    keras.layers.Conv2D: _QuantizedConv2D,
    keras.layers.DepthwiseConv2D: _QuantizedDepthwiseConv2D,
    keras.layers.Dense: _QuantizedDense,
}


def fake_quantized_layer(layer: Any, bits: Bits) -> Any:
    """A layer like a convolution or a dense layer, whose weights are fake-quantized; not built.

    Args:
        layer: of a folded network.
        bits: 8 or 4.
    """
    quantized = _QUANTIZED[type(layer)].from_config(layer.get_config())
    quantized.bits = bits
    return quantized
