"""From a recipe's ``[model]`` to a Keras network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgeprune.declaration import Declaration
from edgeprune.errors import UnsupportedError
from edgeprune.models import ds_cnn, matchbox
from edgeprune.recipe import DsCnn, MatchboxNet

__all__ = ["Shape", "build", "register"]


@dataclass(frozen=True)
class Shape:
    """What goes in and what comes out.

    Attributes:
        frames: in a clip.
        features: in a frame.
        labels: scores.
    """

    frames: int
    features: int
    labels: int


#: Declaration, frames, features, labels, seed → a functional Keras model that gives logits.
Builder = Callable[[Any, int, int, int, int], Any]

_BUILDERS: dict[type[Declaration], Builder] = {
    MatchboxNet: matchbox.build,
    DsCnn: ds_cnn.build,
}


def register(declaration: type[Declaration], builder: Builder) -> None:
    """Add a kind of network.

    Args:
        declaration: the class of its ``[model]`` table.
        builder: called with a declaration, frames, features, labels and seed; returns a
            functional Keras model from [clips, …], of as many values as frames times features,
            to logits [clips, labels]. The same seed gives the same weights.
    """
    _BUILDERS[declaration] = builder


def build(declaration: Declaration, shape: Shape, *, seed: int) -> Any:
    """Build an untrained network.

    Raises:
        UnsupportedError: no builder for the declaration is registered.
    """
    try:
        builder = _BUILDERS[type(declaration)]
    except KeyError:
        known = ", ".join(sorted(each.__name__ for each in _BUILDERS))
        raise UnsupportedError(
            f"no network is registered for {type(declaration).__name__}",
            hint=f"registered are {known}",
        ) from None
    return builder(declaration, shape.frames, shape.features, shape.labels, seed)
