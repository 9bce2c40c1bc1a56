"""A network in fake int8: it computes in float what its int8 file will compute."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from edgeprune.models.backend import keras
from edgeprune.quantization.folding import WEIGHTED
from edgeprune.quantization.layers import FakeQuantize, RangeGroup, fake_quantized_layer
from edgeprune.quantization.ranges import Range, RangePlan
from edgeprune.quantization.replay import copied, replay
from edgeprune.quantization.weights import bits_of, shared_axes, snapped

__all__ = ["fake_quantized_network", "ranges_of", "snapped_network"]

#: Stands behind the name of a layer in the name of the layer that rounds what it gives.
_SUFFIX = "_int8"


def fake_quantized_network(
    folded: Any,
    plan: RangePlan,
    ranges: Mapping[str, Range],
    int4_layers: Collection[str] = (),
) -> Any:
    """Build the network whose weights and activations are fake-quantized.

    Args:
        folded: a functional Keras model without normalizations; it is not changed.
        plan: its ranges.
        ranges: layer name → lowest and highest value, for each layer of the plan.
        int4_layers: convolutions and dense layers with weights of 4 bits; others have 8.

    Returns:
        A functional Keras model that gives logits; layers and variables keep their names. Each
        layer of the plan is followed by one that rounds what it gives.
    """
    groups = {group: RangeGroup() for group in plan.groups.values()}

    def visit(layer: Any, inputs: list[Any]) -> Any:
        output = _applied(layer, inputs, int4_layers)
        if layer.name not in plan.groups:
            return output
        rounding = FakeQuantize(groups[plan.groups[layer.name]], f"{layer.name}{_SUFFIX}")
        low, high = ranges[layer.name]
        rounding.low.assign(low)
        rounding.high.assign(high)
        return rounding(output)

    return replay(folded, visit)


def _applied(layer: Any, inputs: list[Any], int4_layers: Collection[str]) -> Any:
    if isinstance(layer, keras.layers.InputLayer):
        return inputs[0]
    if not isinstance(layer, WEIGHTED):
        return copied(layer, inputs)
    quantized = fake_quantized_layer(layer, bits_of(layer, int4_layers))
    output = quantized(inputs[0])
    quantized.set_weights(layer.get_weights())
    return output


def snapped_network(folded: Any, trained: Any, int4_layers: Collection[str] = ()) -> Any:
    """Build the folded network with the weights that a fake-quantized one computes with.

    Args:
        folded: a functional Keras model without normalizations; it is not changed.
        trained: what :func:`fake_quantized_network` made of it, trained or not.
        int4_layers: those of ``trained``.
    """
    built = replay(
        folded,
        lambda layer, inputs: (
            inputs[0] if isinstance(layer, keras.layers.InputLayer) else copied(layer, inputs)
        ),
    )
    for layer in built.layers:
        if isinstance(layer, WEIGHTED):
            source = trained.get_layer(layer.name)
            bits = bits_of(layer, int4_layers)
            layer.kernel.assign(snapped(source.kernel, shared_axes(source), bits))
            layer.bias.assign(source.bias)
    return built


def ranges_of(trained: Any, plan: RangePlan) -> dict[str, Range]:
    """The ranges that a fake-quantized network has, layer by layer, joined to those of groups."""
    layers = {name: trained.get_layer(f"{name}{_SUFFIX}") for name in plan.groups}
    return plan.joined(
        {name: (float(each.low.numpy()), float(each.high.numpy())) for name, each in layers.items()}
    )
