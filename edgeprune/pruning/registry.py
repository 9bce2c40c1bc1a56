"""From a recipe's ``[pruning]`` to a structure."""

from __future__ import annotations

from collections.abc import Collection

from edgeprune.pruning.allocation import make_allocation
from edgeprune.pruning.patterns import Tiles, WeightGroups, Weights, single_weights
from edgeprune.pruning.structures import Channel, Structure
from edgeprune.recipe import Pruning

__all__ = ["make_structure"]


def make_structure(spec: Pruning, excluded: Collection[str]) -> Structure:
    """The structure of a recipe.

    Args:
        spec: what the recipe says; its structure is not ``none``.
        excluded: names of layers that are left alone.
    """
    allocation = make_allocation(spec.allocation, floor=spec.floor_percent / 100)
    if spec.structure == "channel":
        return Channel(spec.channel_multiple, allocation, excluded)
    if spec.structure == "block":
        return Weights("block", Tiles(*spec.block), allocation, excluded)
    if spec.structure == "n:m":
        return Weights("n:m", WeightGroups(*spec.kept_of), allocation, excluded)
    return Weights("unstructured", single_weights(), allocation, excluded)
