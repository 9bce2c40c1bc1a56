"""Layers that an option of the recipe names by pattern."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from edgeprune.errors import TrainingError

__all__ = ["excluded_layers", "matching_layers", "spared_layers", "values_by_layer"]


def excluded_layers(patterns: Sequence[str], layers: Sequence[str]) -> frozenset[str]:
    """The layers that ``pruning.exclude`` keeps out of pruning.

    Args:
        patterns: layer names, or shell patterns of them.
        layers: the names of the network's layers that could be pruned.

    Raises:
        TrainingError: a pattern matches none, naming the layers.
    """
    return matching_layers(patterns, layers, where="pruning.exclude", purpose="be pruned")


def spared_layers(
    layers: Sequence[str], *, only: Sequence[str], exclude: Sequence[str]
) -> frozenset[str]:
    """The layers that pruning leaves alone.

    Args:
        layers: the names of the network's layers that could be pruned.
        only: the patterns of ``pruning.only``: what none of them matches is left alone; without
            any, everything may be pruned.
        exclude: the patterns of ``pruning.exclude``: what is left alone in any case.

    Raises:
        TrainingError: a pattern matches none, naming the layers.
    """
    every = frozenset(layers)
    wanted = (
        matching_layers(only, layers, where="pruning.only", purpose="be pruned") if only else every
    )
    return every - wanted | excluded_layers(exclude, layers)


def matching_layers(
    patterns: Sequence[str], layers: Sequence[str], *, where: str, purpose: str
) -> frozenset[str]:
    """The layers that any pattern of an option matches.

    Args:
        patterns: layer names, or shell patterns of them.
        layers: the names of the network's layers that the option could mean.
        where: the option, table and key.
        purpose: what those layers could do, for the message.

    Raises:
        TrainingError: a pattern matches none, naming the layers.
    """
    found: set[str] = set()
    for pattern in patterns:
        matching = [layer for layer in layers if fnmatchcase(layer, pattern)]
        if not matching:
            close = difflib.get_close_matches(pattern, layers, n=1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            raise TrainingError(
                f"{pattern!r} matches no layer that could {purpose}",
                where=where,
                hint=f"{guess}the network has {', '.join(layers)}",
            )
        found.update(matching)
    return frozenset(found)


def values_by_layer(
    values: Mapping[str, float], layers: Sequence[str], *, where: str, purpose: str
) -> dict[str, float]:
    """The value that an option gives each layer.

    A layer's own name goes before any pattern.

    Args:
        values: layer name, or shell pattern of names → value.
        layers: the names of the network's layers that the option could mean.
        where: the option, table and key.
        purpose: what those layers could do, for the message.

    Returns:
        Layer name → value, of the layers that are matched.

    Raises:
        TrainingError: a pattern matches none, or two give a layer different values.
    """
    found: dict[str, float] = {}
    for pattern, value in values.items():
        for layer in sorted(matching_layers([pattern], layers, where=where, purpose=purpose)):
            if layer not in values and found.setdefault(layer, value) != value:
                raise TrainingError(
                    f"two patterns give layer {layer!r} {found[layer]:g} and {value:g}",
                    where=where,
                    hint=f"name the layer itself: {layer!r} = {value:g}",
                )
    return found | {layer: values[layer] for layer in layers if layer in values}
