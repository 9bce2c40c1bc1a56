"""From a recipe's ``[model]`` to a Keras network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeprune.declaration import Declaration
from edgeprune.errors import UnsupportedError
from edgeprune.models import ds_cnn, keras_network, matchbox, mlperf_kws
from edgeprune.models.files import model_file
from edgeprune.recipe import DsCnn, KerasNetwork, MatchboxNet, MlperfKws

__all__ = ["Shape", "build", "initialize", "register"]


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
    MlperfKws: mlperf_kws.build,
    KerasNetwork: keras_network.build,
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
    """Build the network of a declaration, before :func:`initialize`.

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


def initialize(network: Any, declaration: Declaration, labels: Sequence[str]) -> Any:
    """Put the weights that a declaration names into its network, its scores in the recipe's order.

    Args:
        network: from :func:`build`; it may be changed.
        declaration: of the network.
        labels: what the network's scores are to mean, in order.

    Returns:
        The network to train from here on; the same one where there is nothing to do.

    Raises:
        ModelError: a file that is missing, damaged or of another network, or a label that the
            weights were not trained for.
    """
    match declaration:
        case MlperfKws(weights=str(weights)):
            path = model_file(weights, "model.weights")
            mlperf_kws.load_weights(network, path, labels)
        case KerasNetwork(labels=tuple(trained)) if trained != tuple(labels):
            return keras_network.relabel(network, trained, labels, where="model.labels")
    return network
