"""Channel surgery on functional Keras networks: number channels, build a smaller network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgeprune.errors import UnsupportedError
from edgeprune.models.backend import keras
from edgeprune.pruning.channels import (
    ChannelMap,
    ChannelNumbers,
    Kernel,
    Numbers,
    Variable,
    group_kernels,
)
from edgeprune.pruning.masks import Mask

__all__ = ["clone", "fresh", "map_channels", "map_kernels", "remove_channels"]

#: Activations that leave zero at zero, so that a silent channel stays silent.
_SILENT_ACTIVATIONS = ("linear", "relu", "relu6", "tanh")

#: Told apart in the seed sequence from the other things that are drawn.
_FRESH = 6


def map_channels(network: Any) -> ChannelMap:
    """Number the channels of a network.

    Args:
        network: a functional Keras model whose tensors have their channels last.

    Raises:
        UnsupportedError: a layer through which channels can't be followed, by name.
    """
    return _Walk(network).result()


def map_kernels(network: Any) -> ChannelMap:
    """List the kernels of a network without following its channels.

    Enough to zero weights, and for any network: each kernel's channels are its own, and there are
    no groups and no variables.
    """
    numbers = ChannelNumbers()
    scaling = _normalizations(network)
    kernels = tuple(
        _kernel(layer, numbers.new(int(layer.kernel.shape[-1])), scaling)
        for layer in network.layers
        if type(layer) in _KERNEL_LAYERS
    )
    return ChannelMap(
        count=len(numbers),
        layers=tuple(layer.name for layer in network.layers),
        variables={},
        kernels=kernels,
        outputs={},
        groups=(),
    )


class _Walk:
    """Goes through the layers in order and notes the channels of every tensor."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._numbers = ChannelNumbers()
        self._tensors: dict[int, Numbers] = {}
        self._outputs: dict[str, Numbers] = {}
        self._variables: list[Variable] = []
        self._kernels: list[Kernel] = []
        self._scaling = _normalizations(network)
        self._fixed: list[Numbers] = []
        for tensor in network.inputs:
            self._tensors[id(tensor)] = self._numbers.new(int(tensor.shape[-1]))
            self._fixed.append(self._tensors[id(tensor)])
        for layer in network.layers:
            self._visit(layer)
        self._fixed += [self._numbers_of(tensor) for tensor in network.outputs]

    def result(self) -> ChannelMap:
        """The map, with all joined channels under one number."""
        resolve = self._numbers.resolve
        variables = {
            each.path: Variable(
                each.path,
                each.shape,
                {axis: resolve(numbers) for axis, numbers in each.axes.items()},
                each.silenced,
            )
            for each in self._variables
        }
        kernels = tuple(replace(each, outputs=resolve(each.outputs)) for each in self._kernels)
        return ChannelMap(
            count=len(self._numbers),
            layers=tuple(layer.name for layer in self._network.layers),
            variables=variables,
            kernels=kernels,
            outputs={name: resolve(numbers) for name, numbers in self._outputs.items()},
            groups=group_kernels(kernels, resolve(np.concatenate(self._fixed))),
        )

    def _visit(self, layer: Any) -> None:
        if isinstance(layer, keras.layers.InputLayer):
            return
        kind = type(layer).__name__
        if kind not in _RULES or type(layer) is not getattr(keras.layers, kind):
            raise _unsupported(layer, f"layers of type {kind}")
        numbers = _RULES[kind](self, layer)
        self._outputs[layer.name] = self._tensors[id(layer.output)] = numbers

    def _inputs(self, layer: Any) -> list[Numbers]:
        tensors = layer.input
        found = tensors if isinstance(tensors, list | tuple) else [tensors]
        return [self._numbers_of(tensor) for tensor in found]

    def _numbers_of(self, tensor: Any) -> Numbers:
        """The channels of a tensor; unknown when it is not the first that its layer made."""
        if id(tensor) not in self._tensors:
            producer = tensor._keras_history.operation
            raise _unsupported(producer, "a layer that is used more than once")
        return self._tensors[id(tensor)]

    def _convolution(self, layer: Any) -> Numbers:
        if layer.groups != 1:
            raise _unsupported(layer, f"groups = {layer.groups}")
        return self._maker(layer)

    def _maker(self, layer: Any) -> Numbers:
        """A layer whose kernel ends in [inputs, outputs]."""
        self._check_activation(layer)
        (inputs,) = self._inputs(layer)
        outputs = self._numbers.new(int(layer.kernel.shape[-1]))
        last = len(layer.kernel.shape) - 1
        self._add(layer.kernel, {last - 1: inputs, last: outputs}, silenced=last)
        if layer.use_bias:
            self._add(layer.bias, {0: outputs}, silenced=0)
        self._kernels.append(_kernel(layer, outputs, self._scaling))
        return outputs

    def _depthwise(self, layer: Any) -> Numbers:
        self._check_activation(layer)
        (inputs,) = self._inputs(layer)
        self._add(layer.kernel, {2: inputs}, silenced=2)
        if layer.depth_multiplier == 1:
            outputs = inputs
        else:
            outputs = np.repeat(inputs, layer.depth_multiplier)
        if layer.use_bias:
            self._add(layer.bias, {0: outputs}, silenced=0)
        return outputs

    def _normalization(self, layer: Any) -> Numbers:
        (inputs,) = self._inputs(layer)
        axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
        if axis not in (-1, len(layer.output.shape) - 1):
            raise _unsupported(layer, f"axis = {layer.axis}")
        for variable in (layer.gamma, layer.beta, layer.moving_mean):
            if variable is not None:
                self._add(variable, {0: inputs}, silenced=0)
        self._add(layer.moving_variance, {0: inputs}, silenced=None)
        return inputs

    def _activation(self, layer: Any) -> Numbers:
        self._check_activation(layer)
        return self._same(layer)

    def _same(self, layer: Any) -> Numbers:
        (inputs,) = self._inputs(layer)
        return inputs

    def _sum(self, layer: Any) -> Numbers:
        first, *others = self._inputs(layer)
        for other in others:
            if len(other) != len(first):
                raise _unsupported(layer, "broadcasting of channels")
            self._numbers.join(first, other)
        return first

    def _concatenation(self, layer: Any) -> Numbers:
        if layer.axis not in (-1, len(layer.output.shape) - 1):
            raise _unsupported(layer, f"axis = {layer.axis}")
        return np.concatenate(self._inputs(layer))

    def _flatten(self, layer: Any) -> Numbers:
        """Channels are the fastest index, so they repeat for each position."""
        (inputs,) = self._inputs(layer)
        return np.tile(inputs, int(layer.output.shape[-1]) // len(inputs))

    def _check_activation(self, layer: Any) -> None:
        name = getattr(layer.activation, "__name__", str(layer.activation))
        last = any(layer.output is tensor for tensor in self._network.outputs)
        if name not in _SILENT_ACTIVATIONS and not last:
            raise _unsupported(layer, f"activation = {name}")

    def _add(self, variable: Any, axes: Mapping[int, Numbers], *, silenced: int | None) -> None:
        self._variables.append(Variable(variable.path, tuple(variable.shape), dict(axes), silenced))


def _normalizations(network: Any) -> dict[str, Any]:
    """Name of a layer → the batch normalization with factors that its output goes into."""
    found: dict[str, Any] = {}
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.gamma is not None:
            found.setdefault(layer.input._keras_history.operation.name, layer)
    return found


def _kernel(layer: Any, outputs: Numbers, scaling: Mapping[str, Any]) -> Kernel:
    normalization = scaling.get(layer.name)
    if normalization is not None:
        gates = (normalization.gamma, normalization.beta)
    else:
        gates = (layer.kernel, layer.bias)
    return Kernel(
        layer=layer.name,
        path=layer.kernel.path,
        shape=tuple(layer.kernel.shape),
        outputs=outputs,
        scale=None if normalization is None else normalization.gamma.path,
        gates=tuple(variable.path for variable in gates if variable is not None),
    )


#: Layers that make channels with a kernel [..., inputs, outputs].
_KERNEL_LAYERS = (keras.layers.Conv2D, keras.layers.Dense)

#: Keras layer class → how its channels run.
_RULES: dict[str, Callable[[_Walk, Any], Numbers]] = {
    "DepthwiseConv2D": _Walk._depthwise,
    "Conv2D": _Walk._convolution,
    "Dense": _Walk._maker,
    "BatchNormalization": _Walk._normalization,
    "Activation": _Walk._activation,
    "ReLU": _Walk._same,
    "Dropout": _Walk._same,
    "ZeroPadding2D": _Walk._same,
    "AveragePooling2D": _Walk._same,
    "MaxPooling2D": _Walk._same,
    "GlobalAveragePooling2D": _Walk._same,
    "Add": _Walk._sum,
    "Concatenate": _Walk._concatenation,
    "Flatten": _Walk._flatten,
}


def _unsupported(layer: Any, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"channel pruning can't follow channels through {what}",
        where=f"layer {layer.name}",
        hint="structure = 'unstructured' takes no channels out; supported layers are "
        + ", ".join(_RULES),
    )


def clone(network: Any) -> Any:
    """A network of its own, with the same layers and weights."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def fresh(network: Any, seed: int) -> Any:
    """A network with the same layers and random weights.

    Args:
        network: a functional Keras model.
        seed: for layers that bring none of their own.
    """

    def seeded(layer: Any) -> Any:
        config = layer.get_config()
        for number, (key, value) in enumerate(sorted(config.items())):
            if not (key.endswith("_initializer") and isinstance(value, dict)):
                continue
            if "seed" in value["config"] and value["config"]["seed"] is None:
                place = list(network.layers).index(layer)
                drawn = np.random.default_rng([seed, _FRESH, place, number]).integers(2**31)
                config[key] = {**value, "config": {**value["config"], "seed": int(drawn)}}
        return type(layer).from_config(config)

    return keras.models.clone_model(network, clone_function=seeded)


def remove_channels(network: Any, channels: ChannelMap, kept: Mask) -> Any:
    """Build the network that is left without some channels.

    It gives what ``network`` gives under :func:`edgeprune.pruning.masks.channel_masks`.

    Args:
        network: a functional Keras model.
        channels: its channels.
        kept: channel number → whether it stays, bool [count].

    Returns:
        A functional Keras model with the same layer names, fewer channels, and the weights of the
        channels that stay, in their order.
    """

    def smaller(layer: Any) -> Any:
        config = layer.get_config()
        for key in ("filters", "units"):
            if key in config:
                config[key] = int(kept[channels.outputs[layer.name]].sum())
        return type(layer).from_config(config)

    built = keras.models.clone_model(network, clone_function=smaller)
    old = {weight.path: weight.numpy() for weight in network.weights}
    for weight in built.weights:
        weight.assign(_sliced(old[weight.path], channels.variables[weight.path], kept))
    return built


def _sliced(values: Any, variable: Variable, kept: Mask) -> Any:
    for axis, numbers in variable.axes.items():
        values = np.compress(kept[numbers], values, axis=axis)
    return values
