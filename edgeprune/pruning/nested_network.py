"""A network and narrower ones that lie in it: channels sorted, weights shared, own normalizations.

Slimmable networks (Yu, Yang, Xu, Yang & Huang 2019, "Slimmable Neural Networks"): each width has
the first channels of every layer, and batch normalizations of its own, without which the statistics
of the widths spoil each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.models.backend import keras, tf
from edgeprune.pruning.channels import ChannelGroup, ChannelMap, Variable
from edgeprune.pruning.masks import Mask
from edgeprune.pruning.surgery import clone, map_channels, remove_channels
from edgeprune.quantization.replay import copied, replay

__all__ = ["NestedNetwork", "nest"]

#: What a normalization's factor stays away from zero by, so that it keeps its sign.
_SMALLEST_FACTOR = 1e-3

#: Axis → positions along it.
_Block = Mapping[int, NDArray[np.int64]]


class _KeepSign(keras.constraints.Constraint):  # type: ignore[misc]
    """Keeps factors on their side of zero: weights have one sign at all levels, like their int8."""

    def __init__(self, signs: NDArray[np.float32]) -> None:
        self._signs = signs

    def __call__(self, values: Any) -> Any:
        return self._signs * tf.maximum(values * self._signs, _SMALLEST_FACTOR)


@dataclass(frozen=True, eq=False)
class NestedNetwork:
    """Networks of falling widths that share their weights.

    Attributes:
        levels: functional Keras models that give logits, the widest first. Kernels and biases are
            the variables of the widest, normalizations each level's own.
        channels: of the widest.
        kept: which of them each level has; nested.
    """

    levels: tuple[Any, ...]
    channels: ChannelMap
    kept: tuple[Mask, ...]

    def joint(self) -> Any:
        """All levels as one Keras model: an input → a list of logits."""
        widest = self.levels[0]
        inputs = keras.Input(widest.input_shape[1:], name="features")
        return keras.Model(inputs, [level(inputs) for level in self.levels], name="levels")

    def plain(self, level: int) -> Any:
        """A copy of a level that shares nothing: layers of Keras, named like the widest's."""
        widest = self.levels[0]
        if level == 0:
            return clone(widest)
        built = remove_channels(widest, self.channels, self.kept[level])
        for layer in built.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                own = self.levels[level].get_layer(_name(layer.name, level))
                layer.set_weights(own.get_weights())
        return built


def nest(network: Any, kept: Sequence[Mask]) -> NestedNetwork:
    """Build the networks that have some of a network's channels.

    Channels are sorted first, those that more levels have before the others, so that each level's
    weights are leading blocks of the widest's wherever a layer's channels come from one layer.

    Args:
        network: a functional Keras model that :func:`map_channels` follows; it is not changed.
        kept: channel number → whether a level has it, for each level; the first has all.
    """
    channels = map_channels(network)
    order = _sorted_channels(channels, np.sum(kept, axis=0))
    widest = clone(network)
    for weight in widest.weights:
        weight.assign(_reordered(weight.numpy(), channels.variables[weight.path], order))
    for layer in widest.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.gamma is not None:
            _constrain(layer)
    masks = tuple(np.asarray(mask)[order] for mask in kept)
    narrower = [
        _level(widest, channels, mask, level) for level, mask in enumerate(masks) if level > 0
    ]
    return NestedNetwork((widest, *narrower), channels, masks)


def _sorted_channels(channels: ChannelMap, levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each channel number the channel that takes its place.

    Args:
        channels: of the network.
        levels: how many levels each channel is in.
    """
    order = np.arange(channels.count)
    for group in channels.groups:
        if not group.fixed and _is_uniform(group):
            ranked = group.channels[np.argsort(-levels[group.channels], kind="stable")]
            order[group.channels] = ranked
    return order


def _is_uniform(group: ChannelGroup) -> bool:
    """Whether all its kernels make all its channels, in one order: they can be exchanged."""
    return all(np.array_equal(each.outputs, group.channels) for each in group.kernels)


def _reordered(values: NDArray[Any], variable: Variable, order: NDArray[np.int64]) -> NDArray[Any]:
    for axis, numbers in variable.axes.items():
        places: dict[int, list[int]] = defaultdict(list)
        for place, number in enumerate(numbers.tolist()):
            places[number].append(place)
        # A channel that comes several times, as behind a flattening, keeps the order of its places.
        seen: dict[int, int] = defaultdict(int)
        taken = []
        for number in numbers.tolist():
            taken.append(places[int(order[number])][seen[number]])
            seen[number] += 1
        values = np.take(values, taken, axis=axis)
    return values


def _constrain(layer: Any) -> None:
    layer.gamma.constraint = _KeepSign(np.where(layer.gamma.numpy() < 0, -1.0, 1.0).astype("f"))


def _name(layer: str, level: int) -> str:
    return f"{layer}_level_{level}"


def _level(widest: Any, channels: ChannelMap, kept: Mask, level: int) -> Any:
    """The network of some channels, on the variables of the widest."""

    def block(variable: Any) -> _Block:
        axes = channels.variables[variable.path].axes
        return {axis: np.flatnonzero(kept[numbers]) for axis, numbers in axes.items()}

    def visit(layer: Any, inputs: list[Any]) -> Any:
        if isinstance(layer, keras.layers.InputLayer):
            return inputs[0]
        if isinstance(layer, keras.layers.BatchNormalization):
            return _normalized(layer, block(layer.moving_mean)[0], inputs[0], level)
        if not layer.weights:
            return copied(layer, inputs)
        bias = block(layer.bias) if layer.use_bias else {}
        return _Part(layer, block(layer.kernel), bias, _name(layer.name, level))(inputs[0])

    built = replay(widest, visit)
    return keras.Model(built.input, built.output, name=_name(widest.name, level))


def _normalized(layer: Any, places: NDArray[np.int64], inputs: Any, level: int) -> Any:
    """A normalization of its own, which starts as the widest's."""
    built = type(layer).from_config(layer.get_config() | {"name": _name(layer.name, level)})
    output = built(inputs)
    built.set_weights([values[places] for values in layer.get_weights()])
    if built.gamma is not None:
        _constrain(built)
    return output


class _Part(keras.layers.Layer):  # type: ignore[misc]
    """Some channels of a convolution or a dense layer; has no variables but that layer's.

    Args:
        whole: the layer.
        kernel: which of its weights.
        bias: which of its biases; nothing for a layer without them.
        name: of the part.
    """

    def __init__(self, whole: Any, kernel: _Block, bias: _Block, name: str) -> None:
        super().__init__(name=name)
        self.whole = whole
        self._kernel, self._bias = kernel, bias

    def call(self, inputs: Any) -> Any:
        """The part's channels of what the layer gives for the part's channels of its input."""
        whole = self.whole
        kernel = _gathered(whole.kernel, self._kernel)
        if isinstance(whole, keras.layers.Dense):
            outputs = keras.ops.matmul(inputs, kernel)
        else:
            convolve = (
                keras.ops.depthwise_conv
                if isinstance(whole, keras.layers.DepthwiseConv2D)
                else keras.ops.conv
            )
            outputs = convolve(
                inputs,
                kernel,
                whole.strides,
                whole.padding,
                whole.data_format,
                whole.dilation_rate,
            )
        if whole.use_bias:
            outputs = outputs + _gathered(whole.bias, self._bias)
        return whole.activation(outputs)


def _gathered(variable: Any, block: _Block) -> Any:
    values = tf.convert_to_tensor(variable)
    for axis, places in block.items():
        values = tf.gather(values, places, axis=axis)
    return values
