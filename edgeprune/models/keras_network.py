"""A Keras network of someone else's, brought into the form that this house trains and prunes.

That form is a functional model from the front-end's features to logits, whose random numbers have
seeds and whose layers have names that do not depend on what was built before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from edgeprune.errors import ModelError
from edgeprune.models.backend import keras
from edgeprune.models.files import model_file
from edgeprune.models.keras_sources import call_entry, read_file
from edgeprune.models.scores import classifier_columns
from edgeprune.recipe import KerasNetwork

__all__ = ["build", "relabel"]

#: Layers between the classifier and the scores, through which a score stays a channel.
_PASSING = ("Activation", "AveragePooling2D", "Dropout", "Flatten", "GlobalAveragePooling2D")

_CLASSIFIERS = ("Conv2D", "Dense")

#: The name of a network's input, unless a layer has it.
_INPUT = "features"

#: Told apart in the seed sequence from the other things that are drawn.
_SEEDS = 7


def build(declaration: KerasNetwork, frames: int, features: int, labels: int, seed: int) -> Any:
    """Bring a network in.

    A softmax at its end is left out, and so is a reshaping of the features at its beginning.

    Args:
        declaration: where it comes from.
        frames: in a clip.
        features: in a frame.
        labels: scores that the recipe has.
        seed: of random weights, and of dropout.

    Returns:
        A functional Keras model, [clips, …] → logits [clips, labels]; where the declaration names
        labels of the network's own, [clips, those], until :func:`relabel`.

    Raises:
        ModelError: the network can't be read, or its inputs or scores don't fit the recipe.
        UnsupportedError: it has a layer that is not supported.
    """
    if declaration.file is not None:
        where = declaration.file
        network = read_file(model_file(declaration.file, "model.file"))
    else:
        where = f"model.entry: {declaration.entry}"
        network = call_entry(str(declaration.entry), frames, features, labels, seed)
    _check_input(network, frames, features, where)
    _check_output(network, declaration, labels, where)
    network = keras.Model(network.inputs[0], network.outputs[0])
    _check_end(network, where)
    return _settled(
        network, seed, keep=declaration.weights == "keep", rename=declaration.entry is not None
    )


def relabel(network: Any, trained: Sequence[str], wanted: Sequence[str], *, where: str) -> Any:
    """Put a trained network's scores in another order, and leave some out.

    Args:
        network: it is not changed.
        trained: what its scores mean, in its order.
        wanted: what they are to mean.
        where: it comes from, for errors.

    Raises:
        ModelError: a label that the network has no score for, or no classifier at its end.
    """
    columns = classifier_columns(trained, wanted, where=where)
    classifier = _classifier(network, where)
    size = "units" if type(classifier).__name__ == "Dense" else "filters"
    copy = _copied(
        network,
        lambda layer: {size: len(columns)} if layer is classifier else {},
        shape=network.input_shape[1:],
    )
    mine = {id(weight) for weight in classifier.weights}
    copy.set_weights(
        [
            weight.numpy()[..., columns] if id(weight) in mine else weight.numpy()
            for weight in network.weights
        ]
    )
    return copy


def _classifier(network: Any, where: str) -> Any:
    layer = _last(network)
    while type(layer).__name__ in _PASSING:
        layer = layer.input._keras_history.operation
    if (
        type(layer).__name__ not in _CLASSIFIERS
        or layer.output.shape[-1] != network.output_shape[-1]
    ):
        raise ModelError(
            f"its scores come from layer {layer.name}, a {type(layer).__name__}; they can't be put"
            " in another order",
            where=where,
            hint="leave out model.labels, and give data.keywords in the network's own order",
        )
    return layer


def _check_input(network: Any, frames: int, features: int, where: str) -> None:
    shapes = [tuple(tensor.shape[1:]) for tensor in network.inputs]
    sizes = [size for size in shapes[0] if size != 1] if len(shapes) == 1 else None
    if sizes != [size for size in (frames, features) if size != 1]:
        shown = " and ".join(str(list(shape)) for shape in shapes)
        raise ModelError(
            f"takes inputs of shape {shown}; the front-end gives [{frames}, {features}]: frames,"
            " features",
            where=where,
            hint=f"[{frames}, {features}] may have dimensions of 1 anywhere, such as"
            f" [{frames}, {features}, 1]; change the network, or the recipe's [frontend]",
        )


def _check_output(network: Any, declaration: KerasNetwork, labels: int, where: str) -> None:
    shapes = [tuple(tensor.shape[1:]) for tensor in network.outputs]
    known = declaration.labels
    expected = labels if known is None else len(known)
    if shapes != [(expected,)]:
        shown = " and ".join(str(list(shape)) for shape in shapes)
        raise ModelError(
            f"gives scores of shape {shown}; "
            + (
                f"the recipe has {labels} labels: [{labels}]"
                if known is None
                else f"model.labels names {expected}: [{expected}]"
            ),
            where=where,
            hint="change the network or data.keywords; model.labels names the scores of a trained"
            " network that has more of them",
        )


def _leading_reshape(network: Any) -> Any:
    """The Reshape that the network begins with: what it does is done when features are fed."""
    users = [layer for layer in network.layers if _feeds(network.input, layer)]
    return users[0] if len(users) == 1 and type(users[0]).__name__ == "Reshape" else None


def _feeds(tensor: Any, layer: Any) -> bool:
    if isinstance(layer, keras.layers.InputLayer):
        return False
    inputs = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
    return any(each is tensor for each in inputs)


def _last(network: Any) -> Any:
    return network.output._keras_history.operation


def _check_end(network: Any, where: str) -> None:
    last = _last(network)
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    if activation not in ("linear", "softmax"):
        raise ModelError(
            f"ends in activation = {activation!r}; its scores are no logits",
            where=f"{where}: layer {last.name}",
            hint="end with a Dense layer without an activation; training adds the softmax",
        )


def _settled(network: Any, seed: int, *, keep: bool, rename: bool) -> Any:
    """The network with nothing left open: names, seeds, and every layer trainable."""
    names = _names(network) if rename else {}
    first, last = _leading_reshape(network), _last(network)

    def changes(layer: Any) -> dict[str, Any]:
        config = layer.get_config()
        changed = _seeded(config, [seed, _SEEDS, network.layers.index(layer)])
        changed["name"] = names.get(layer.name, layer.name)
        if layer is last and "activation" in config:
            changed["activation"] = "linear"
        return changed

    skipped = [] if first is None else [first]
    if isinstance(last, keras.layers.Softmax):
        skipped.append(last)
    shape = network.input_shape if first is None else first.output.shape
    copy = _copied(
        network,
        changes,
        shape=shape[1:],
        skipped={names.get(layer.name, layer.name) for layer in skipped},
    )
    for layer in copy.layers:
        layer.trainable = True
    if keep:
        for old in network.layers:
            if old.weights:
                copy.get_layer(names.get(old.name, old.name)).set_weights(old.get_weights())
    return copy


def _copied(
    network: Any,
    changes: Callable[[Any], Mapping[str, Any]],
    *,
    shape: Sequence[int],
    skipped: Collection[str] = (),
) -> Any:
    """A network of layers with other options, and with weights of their own.

    Args:
        network: it is not changed.
        changes: layer → the options that are to be others.
        shape: of the input, without the clips.
        skipped: names of new layers with one input that are left out.
    """

    def changed(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), **changes(layer)})

    def called(layer: Any, *tensors: Any, **options: Any) -> Any:
        return tensors[0] if layer.name in skipped else layer(*tensors, **options)

    taken = {
        layer.name for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)
    }
    inputs = keras.Input(shape, name=f"{_INPUT}_input" if _INPUT in taken else _INPUT)
    copy = keras.models.clone_model(
        network, input_tensors=inputs, clone_function=changed, call_function=called
    )
    return keras.Model(copy.input, copy.output, name="network")


def _seeded(config: Mapping[str, Any], entropy: list[int]) -> dict[str, Any]:
    """Seeds for what a layer draws, where it has none."""
    drawn = np.random.default_rng(entropy)
    changed: dict[str, Any] = {}
    for key, value in sorted(config.items()):
        new = int(drawn.integers(2**31))
        if key == "seed" and value is None:
            changed[key] = new
        elif isinstance(value, dict) and value.get("config", {}).get("seed", new) is None:
            changed[key] = {**value, "config": {**value["config"], "seed": new}}
    return changed


def _names(network: Any) -> dict[str, str]:
    """New names for the layers that Keras named, which counts all layers of the process."""
    given: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for layer in network.layers:
        base = _without_number(layer.name)
        config = {key: value for key, value in layer.get_config().items() if key != "name"}
        if base == _without_number(type(layer).from_config(config).name):
            given[layer.name] = f"{base}_{counts[base]}" if counts[base] else base
            counts[base] += 1
    return given


def _without_number(name: str) -> str:
    return re.sub(r"_\d+$", "", name)
