"""From a recipe's ``[pruning]`` to a structure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgeprune.errors import TrainingError
from edgeprune.pruning.allocation import Allocation, Listed, make_allocation
from edgeprune.pruning.channels import ChannelMap
from edgeprune.pruning.exclusion import spared_layers, values_by_layer
from edgeprune.pruning.patterns import Tiles, WeightGroups, Weights, single_weights
from edgeprune.pruning.structures import Channel, Structure
from edgeprune.recipe import Pruning

__all__ = ["fitted_structure", "joined_layers", "make_structure"]

_LAYERS = "pruning.layers"


def make_structure(
    spec: Pruning, excluded: Collection[str], allocation: Allocation | None = None
) -> Structure:
    """The structure of a recipe.

    Args:
        spec: what the recipe says; its structure is not ``none``.
        excluded: names of layers that are left alone.
        allocation: how much of which layer goes; None for what the recipe says of all of them.
    """
    allocation = allocation or make_allocation(spec.allocation, floor=spec.floor_percent / 100)
    if spec.structure == "channel":
        return Channel(spec.channel_multiple, allocation, excluded)
    if spec.structure == "block":
        return Weights("block", Tiles(*spec.block), allocation, excluded)
    if spec.structure == "n:m":
        return Weights("n:m", WeightGroups(*spec.kept_of), allocation, excluded)
    return Weights("unstructured", single_weights(), allocation, excluded)


def fitted_structure(spec: Pruning, channels: ChannelMap) -> Structure:
    """The structure of a recipe for one network: layers are those that its patterns match.

    Args:
        spec: what the recipe says; its structure is not ``none``.
        channels: of the network.

    Raises:
        TrainingError: a pattern of ``pruning.only``, ``pruning.exclude`` or ``pruning.layers``
            matches no layer, or ``pruning.layers`` contradicts itself.
    """
    names = [kernel.layer for kernel in channels.kernels]
    spared = spared_layers(names, only=spec.only, exclude=spec.exclude)
    structure = make_structure(spec, spared)
    if not (spec.layers and spec.sparsity):
        return structure
    return make_structure(spec, spared, Listed(spec.sparsity, _shares(spec, structure, channels)))


def joined_layers(structure: Structure, channels: ChannelMap) -> tuple[tuple[str, ...], ...]:
    """The prunable layers in the network's order, those together that shrink together.

    Raises:
        TrainingError: there is none.
    """
    prunable = [kernel.layer for kernel in structure.prunable(channels)]
    if not structure.takes_channels:
        return tuple((layer,) for layer in prunable)
    order = [kernel.layer for kernel in channels.kernels]
    groups = (group.layers for group in channels.groups if group.layers[0] in prunable)
    ordered = (tuple(sorted(layers, key=order.index)) for layers in groups)
    return tuple(sorted(ordered, key=lambda layers: order.index(layers[0])))


def _shares(spec: Pruning, structure: Structure, channels: ChannelMap) -> Mapping[str, float]:
    """The share of every prunable layer."""
    joined = joined_layers(structure, channels)
    every = [layer for layers in joined for layer in layers]
    given = values_by_layer(spec.layers, every, where=_LAYERS, purpose="be pruned")
    shares: dict[str, float] = {}
    for layers in joined:
        values = {given[layer] for layer in layers if layer in given}
        if len(values) > 1:
            raise TrainingError(
                f"{', '.join(layers)} share their channels and can't differ",
                where=_LAYERS,
                hint="give one of them a sparsity; the others follow",
            )
        shares |= dict.fromkeys(layers, values.pop() if values else spec.sparsity)
    return shares
