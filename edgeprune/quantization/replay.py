"""Functional Keras networks, built anew layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgeprune.errors import UnsupportedError
from edgeprune.models.backend import keras

__all__ = ["consumers", "copied", "replay", "sources"]


def replay(network: Any, visit: Callable[[Any, list[Any]], Any]) -> Any:
    """Build a network from another one's layers, in their order.

    Args:
        network: a functional Keras model of one input; it is not changed.
        visit: gets each layer, the input first, and the new tensors that take the place of its
            inputs; gives the tensor that takes the place of its output. For the input the list
            holds the new input itself.

    Raises:
        UnsupportedError: a layer is used more than once, by name, or there are several inputs.
    """
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise UnsupportedError(
            f"a network of {len(network.inputs)} inputs and {len(network.outputs)} outputs can't "
            "be quantized",
            where=f"network {network.name}",
            hint="give it one input and one output",
        )
    tensors: dict[int, Any] = {}
    start = None
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            start = keras.Input(network.input_shape[1:], name=layer.name)
            given = [start]
        else:
            given = [_found(tensors, tensor) for tensor in sources(layer)]
        tensors[id(layer.output)] = visit(layer, given)
    return keras.Model(start, _found(tensors, network.outputs[0]), name=network.name)


def _found(tensors: Mapping[int, Any], tensor: Any) -> Any:
    if id(tensor) not in tensors:
        raise UnsupportedError(
            "a layer that is used more than once can't be quantized",
            where=f"layer {tensor._keras_history.operation.name}",
            hint="make a layer of its own for each use",
        )
    return tensors[id(tensor)]


def sources(layer: Any) -> list[Any]:
    """The tensors that a layer reads, as a list."""
    tensors = layer.input
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def consumers(network: Any) -> dict[str, list[Any]]:
    """Layer name → the layers that read its output; None stands for the network's output."""
    found: dict[str, list[Any]] = {layer.name: [] for layer in network.layers}
    for layer in network.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            for tensor in sources(layer):
                found[tensor._keras_history.operation.name].append(layer)
    for tensor in network.outputs:
        found[tensor._keras_history.operation.name].append(None)
    return found


def copied(layer: Any, inputs: list[Any]) -> Any:
    """Apply a copy of a layer, weights included, to other tensors."""
    copy = type(layer).from_config(layer.get_config())
    output = copy(inputs if len(inputs) > 1 else inputs[0])
    copy.set_weights(layer.get_weights())
    return output
