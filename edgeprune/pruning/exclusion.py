"""Layers that the recipe keeps out of pruning."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from edgeprune.errors import TrainingError

__all__ = ["excluded_layers"]


def excluded_layers(patterns: Sequence[str], layers: Sequence[str]) -> frozenset[str]:
    """The layers that any pattern matches.

    Args:
        patterns: layer names, or shell patterns of them.
        layers: the names of the network's layers that could be pruned.

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
                f"{pattern!r} matches no layer that could be pruned",
                where="pruning.exclude",
                hint=f"{guess}the network has {', '.join(layers)}",
            )
        found.update(matching)
    return frozenset(found)
