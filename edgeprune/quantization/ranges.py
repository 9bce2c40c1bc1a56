"""Which tensors of a network are int8 in TensorFlow Lite, and which of them share a scale.

The rules are those of the converter: an activation is part of the convolution, dense layer or
addition before it where nothing else reads that one; pooling over windows, padding, concatenation
and activations that stand alone have the scale of what they read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import UnsupportedError
from edgeprune.models.backend import keras
from edgeprune.models.trainer import shaped
from edgeprune.quantization.replay import consumers, sources

__all__ = ["Range", "RangePlan", "measure_ranges", "plan_ranges"]

#: Lowest and highest value, zero among them.
Range = tuple[float, float]

_BATCH = 64


@dataclass(frozen=True)
class RangePlan:
    """Where a network's tensors are rounded to int8.

    Attributes:
        groups: layer name, in the network's order → the layer whose range its output shares; its
            own name where it shares none. Layers that are missing round nothing.
    """

    groups: Mapping[str, str]

    def joined(self, ranges: Mapping[str, Range]) -> dict[str, Range]:
        """Ranges of layers → those of their groups, for each layer again."""
        found: dict[str, Range] = {}
        for layer, group in self.groups.items():
            low, high = ranges[layer]
            lowest, highest = found.get(group, (low, high))
            found[group] = (min(low, lowest), max(high, highest))
        return {layer: found[group] for layer, group in self.groups.items()}


def plan_ranges(folded: Any) -> RangePlan:
    """Plan the ranges of a network.

    Args:
        folded: a functional Keras model without normalizations.

    Raises:
        UnsupportedError: a layer that can't be fake-quantized as the converter quantizes it, by
            name.
    """
    return _Planner(folded).plan()


class _Planner:
    """Goes through the layers in order; every tensor belongs to a group."""

    def __init__(self, folded: Any) -> None:
        self._network = folded
        self._readers = consumers(folded)
        self._of_tensor: dict[int, str] = {}
        self._groups: dict[str, str] = {}

    def plan(self) -> RangePlan:
        for layer in self._network.layers:
            self._visit(layer)
        return RangePlan(dict(self._groups))

    def _visit(self, layer: Any) -> None:
        kind = type(layer).__name__
        if kind not in _RULES or type(layer) is not getattr(keras.layers, kind):
            raise _unsupported(layer, f"layers of type {kind} can't be fake-quantized")
        self._of_tensor[id(layer.output)] = _RULES[kind](self, layer)

    def _own(self, layer: Any) -> str:
        """A range of its own."""
        self._groups[layer.name] = layer.name
        return str(layer.name)

    def _weighted(self, layer: Any) -> str:
        if getattr(layer, "groups", 1) != 1:
            raise _unsupported(layer, f"groups = {layer.groups} can't be fake-quantized")
        _check_activation(layer)
        linear = layer.activation is keras.activations.linear
        return self._before_activation(layer) if linear else self._own(layer)

    def _sum(self, layer: Any) -> str:
        if len(sources(layer)) != 2:
            raise _unsupported(layer, f"an addition of {len(sources(layer))} tensors has no range")
        return self._before_activation(layer)

    def _before_activation(self, layer: Any) -> str:
        """No range where an activation takes the layer in: then that has it."""
        readers = self._readers[layer.name]
        if len(readers) == 1 and isinstance(readers[0], _ACTIVATIONS):
            return ""
        return self._own(layer)

    def _activation(self, layer: Any) -> str:
        _check_activation(layer)
        (group,) = self._sources(layer)
        return self._shared(layer) if group else self._own(layer)

    def _shared(self, layer: Any) -> str:
        """One range for what a layer reads and makes."""
        first, *others = self._sources(layer)
        for other in others:
            self._groups = {
                name: first if group == other else group for name, group in self._groups.items()
            }
            self._of_tensor = {
                tensor: first if group == other else group
                for tensor, group in self._of_tensor.items()
            }
        self._groups[layer.name] = first
        return first

    def _same_values(self, layer: Any) -> str:
        (group,) = self._sources(layer)
        return group

    def _sources(self, layer: Any) -> list[str]:
        return [self._of_tensor[id(tensor)] for tensor in sources(layer)]


_ACTIVATIONS = (keras.layers.ReLU, keras.layers.Activation)

#: Keras layer class → the group of its output.
_RULES: dict[str, Callable[[_Planner, Any], str]] = {
    "InputLayer": _Planner._own,
    "Conv2D": _Planner._weighted,
    "DepthwiseConv2D": _Planner._weighted,
    "Dense": _Planner._weighted,
    "Add": _Planner._sum,
    "ReLU": _Planner._activation,
    "Activation": _Planner._activation,
    "GlobalAveragePooling2D": _Planner._own,
    "AveragePooling2D": _Planner._shared,
    "MaxPooling2D": _Planner._shared,
    "ZeroPadding2D": _Planner._shared,
    "Concatenate": _Planner._shared,
    "Flatten": _Planner._same_values,
    "Reshape": _Planner._same_values,
}


def _check_activation(layer: Any) -> None:
    """Raises UnsupportedError for what is no ReLU of TensorFlow Lite."""
    if isinstance(layer, keras.layers.ReLU):
        plain = not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6)
        name = "relu" if plain else "a leaky or clipped ReLU"
    else:
        name = getattr(layer.activation, "__name__", str(layer.activation))
    allowed = ("relu", "relu6") if isinstance(layer, _ACTIVATIONS) else ("linear", "relu", "relu6")
    if name not in allowed:
        raise _unsupported(layer, f"activation = {name} can't be fake-quantized")


def _unsupported(layer: Any, what: str) -> UnsupportedError:
    return UnsupportedError(
        what,
        where=f"layer {layer.name}",
        hint="leave quantization.epochs at 0 and quantization.weights at 'int8', or build the "
        "network of " + ", ".join(_RULES),
    )


def measure_ranges(
    folded: Any, plan: RangePlan, calibration: NDArray[np.float32]
) -> dict[str, Range]:
    """The lowest and the highest value of each layer that the plan names, over clips.

    Args:
        folded: the network that the plan is of.
        plan: its ranges.
        calibration: float32 [clips, frames, features], normalized.
    """
    tensors = [folded.get_layer(name).output for name in plan.groups]
    watched = keras.Model(folded.input, tensors)
    found = dict.fromkeys(plan.groups, (0.0, 0.0))
    for start in range(0, len(calibration), _BATCH):
        values = watched(shaped(folded, calibration[start : start + _BATCH]))
        for name, tensor in zip(plan.groups, values, strict=True):
            low, high = found[name]
            array = tensor.numpy()
            found[name] = (min(low, float(array.min())), max(high, float(array.max())))
    return found
