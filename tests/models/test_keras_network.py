"""Networks of others: what is taken over, what is refused, and that it repeats."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.errors import EdgepruneError, MalformedModelError, ModelError, UnsupportedError
from edgeprune.models.backend import keras, tf
from edgeprune.models.keras_config import SUPPORTED_LAYERS
from edgeprune.models.registry import Shape, build, initialize
from edgeprune.models.trainer import shaped
from edgeprune.recipe import KerasNetwork
from tests.models import foreign
from tests.models.foreign import FEATURES, FRAMES, LABELS

layers = keras.layers

SHAPE = Shape(FRAMES, FEATURES, LABELS)
NETWORKS = [foreign.residual, foreign.concatenating, foreign.depthwise, foreign.gated]
CLIPS = np.random.default_rng(4).normal(size=(6, FRAMES, FEATURES)).astype(np.float32)


def from_file(path: Path, **options: Any) -> KerasNetwork:
    return KerasNetwork(kind="keras", file=str(path), **{"normalization": "raw", **options})


def from_entry(name: str, **options: Any) -> KerasNetwork:
    return KerasNetwork(kind="keras", entry=f"tests.models.foreign:{name}", **options)


def saved(network: Any, folder: Path) -> Path:
    return foreign.saved(network, folder / "network.keras")


def scores(network: Any) -> Any:
    return network(shaped(network, CLIPS)).numpy()


def probabilities(network: Any) -> Any:
    """Of a network that may or may not end in a softmax."""
    given = scores(network)
    plain = np.allclose(given.sum(axis=1), 1, atol=1e-4)
    return given if plain else tf.nn.softmax(given).numpy()


@pytest.mark.parametrize("make", NETWORKS)
def test_a_file_is_taken_over_with_its_weights(make: Callable[..., Any], tmp_path: Path) -> None:
    network = make(FRAMES, FEATURES, LABELS, 1)
    brought = build(from_file(saved(network, tmp_path)), SHAPE, seed=1)
    assert not np.allclose(scores(brought).sum(axis=1), 1, atol=1e-3)
    assert np.allclose(probabilities(brought), probabilities(network), atol=1e-5)
    names = {layer.name for layer in network.layers}
    assert {layer.name for layer in brought.layers} <= names | {"features"}
    assert type(brought.layers[1]).__name__ != "Reshape"


@pytest.mark.parametrize("make", NETWORKS)
def test_an_entry_point_gives_the_same_bytes_each_time(make: Callable[..., Any]) -> None:
    one, same = (build(from_entry(make.__name__), SHAPE, seed=1) for _ in range(2))
    other = build(from_entry(make.__name__), SHAPE, seed=2)
    assert one.to_json() == same.to_json()
    assert np.array_equal(scores(one), scores(same))
    assert not np.allclose(scores(one), scores(other), atol=1e-3)


@pytest.mark.parametrize("make", NETWORKS)
def test_fresh_weights_come_from_the_seed(make: Callable[..., Any], tmp_path: Path) -> None:
    network = make(FRAMES, FEATURES, LABELS, 1)
    declared = from_file(saved(network, tmp_path), weights="fresh")
    one, same, other = (build(declared, SHAPE, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(scores(one), scores(same))
    assert not np.allclose(scores(one), scores(other), atol=1e-3)
    assert not np.allclose(probabilities(one), probabilities(network), atol=1e-3)


def test_whatever_draws_has_a_seed(tmp_path: Path) -> None:
    network = foreign.residual(FRAMES, FEATURES, LABELS, 1)
    brought = build(from_file(saved(network, tmp_path)), SHAPE, seed=1)
    text = json.dumps([layer.get_config() for layer in brought.layers])
    assert '"seed"' in text
    assert '"seed": null' not in text


def test_frozen_layers_are_trained_again(tmp_path: Path) -> None:
    network = foreign.residual(FRAMES, FEATURES, LABELS, 1)
    for layer in network.layers:
        layer.trainable = False
    brought = build(from_file(saved(network, tmp_path)), SHAPE, seed=1)
    assert all(layer.trainable for layer in brought.layers if layer.weights)


@pytest.mark.parametrize("make", NETWORKS)
def test_scores_are_put_in_the_recipes_order(make: Callable[..., Any], tmp_path: Path) -> None:
    path = saved(make(FRAMES, FEATURES, LABELS, 1), tmp_path)
    declared = from_file(path, labels=("a", "b", "c", "d"))
    brought = build(declared, Shape(FRAMES, FEATURES, 2), seed=1)
    network = initialize(brought, declared, ("d", "b"))
    assert np.allclose(scores(network), scores(brought)[:, [3, 1]], atol=1e-6)
    with pytest.raises(ModelError, match="no score for the label 'e'; it knows a, b, c, d"):
        initialize(brought, declared, ("a", "e"))


def test_scores_that_no_classifier_gives_keep_their_order(tmp_path: Path) -> None:
    inputs = keras.Input((FRAMES, FEATURES, 1))
    x = layers.Conv2D(2, 3, padding="same", name="maker")(inputs)
    x = layers.AveragePooling2D((FRAMES, 5), name="pool")(x)
    path = saved(keras.Model(inputs, layers.Flatten()(x)), tmp_path)
    declared = from_file(path, labels=("a", "b", "c", "d"))
    brought = build(declared, SHAPE, seed=1)
    assert initialize(brought, declared, ("a", "b", "c", "d")) is brought
    with pytest.raises(ModelError, match="scores come from layer maker, a Conv2D"):
        initialize(brought, declared, ("b", "a", "c", "d"))


@pytest.mark.parametrize(
    "shape",
    [(FRAMES, FEATURES), (FRAMES, FEATURES, 1), (FRAMES, 1, FEATURES), (1, FRAMES, FEATURES)],
)
def test_dimensions_of_one_may_stand_anywhere(shape: tuple[int, ...], tmp_path: Path) -> None:
    inputs = keras.Input(shape)
    network = keras.Model(inputs, layers.Dense(LABELS)(layers.Flatten()(inputs)))
    brought = build(from_file(saved(network, tmp_path)), SHAPE, seed=1)
    assert np.allclose(scores(brought), scores(network), atol=1e-6)


def test_a_layer_may_have_the_name_of_our_input(tmp_path: Path) -> None:
    inputs = keras.Input((FRAMES, FEATURES, 1), name="clip")
    x = layers.Flatten(name="features")(inputs)
    network = keras.Model(inputs, layers.Dense(LABELS)(x))
    brought = build(from_file(saved(network, tmp_path)), SHAPE, seed=1)
    assert np.allclose(scores(brought), scores(network), atol=1e-5)


def test_a_reshape_at_the_end_stays(tmp_path: Path) -> None:
    inputs = keras.Input((FRAMES, FEATURES, 1))
    x = layers.Conv2D(LABELS, (FRAMES, FEATURES))(inputs)
    network = keras.Model(inputs, layers.Reshape((LABELS,))(x))
    brought = build(from_file(saved(network, tmp_path)), SHAPE, seed=1)
    assert np.allclose(scores(brought), scores(network), atol=1e-5)


def flat(*shape: int | None, outputs: int = LABELS) -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Dense(outputs)(layers.GlobalAveragePooling2D()(inputs)))


def two_inputs() -> Any:
    inputs = [keras.Input((FRAMES, FEATURES, 1)) for _ in range(2)]
    x = layers.Flatten()(layers.Add()(inputs))
    return keras.Model(inputs, layers.Dense(LABELS)(x))


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (
            flat(FEATURES, FRAMES, 1),
            r"inputs of shape \[10, 11, 1\]; the front-end gives \[11, 10\]",
        ),
        (flat(None, FEATURES, 1), r"inputs of shape \[None, 10, 1\]; the front-end gives"),
        (two_inputs(), r"inputs of shape \[11, 10, 1\] and \[11, 10, 1\]; the front-end gives"),
        (flat(FRAMES, FEATURES, 1, outputs=3), r"scores of shape \[3\]; the recipe has 4 labels"),
    ],
)
def test_shapes_that_do_not_fit_are_named(network: Any, says: str, tmp_path: Path) -> None:
    path = saved(network, tmp_path)
    with pytest.raises(ModelError, match=says) as caught:
        build(from_file(path), SHAPE, seed=1)
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_labels_that_are_not_as_many_as_the_scores_are_refused(tmp_path: Path) -> None:
    path = saved(flat(FRAMES, FEATURES, 1, outputs=3), tmp_path)
    with pytest.raises(ModelError, match=r"scores of shape \[3\]; model.labels names 2: \[2\]"):
        build(from_file(path, labels=("a", "b")), SHAPE, seed=1)


def ending(layer: Any) -> Any:
    inputs = keras.Input((FRAMES, FEATURES, 1))
    return keras.Model(inputs, layer(layers.Flatten()(inputs)))


def sharing() -> Any:
    inputs = keras.Input((FRAMES, FEATURES, 1))
    twice = layers.Conv2D(1, 3, padding="same", name="culprit")
    return keras.Model(inputs, layers.Dense(LABELS)(layers.Flatten()(twice(twice(inputs)))))


def holding(layer: Any) -> Any:
    inputs = keras.Input((FRAMES, FEATURES, 1))
    x = layers.Flatten()(layer(layers.Conv2D(4, 3)(inputs)))
    return keras.Model(inputs, layers.Dense(LABELS)(x))


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (
            holding(layers.UpSampling2D(name="culprit")),
            "class UpSampling2D, which is not supported",
        ),
        (holding(layers.Lambda(lambda x: x, name="culprit")), "is a Lambda, which holds code"),
        (holding(keras.Sequential([layers.ReLU()], name="culprit")), "is a network of its own"),
        (holding(layers.ReLU(dtype="float16", name="culprit")), "computes in float16"),
        (sharing(), "is used more than once"),
        (holding(tf.keras.ops.exp), r"class keras\.src\.ops\.numpy\.Exp"),
    ],
)
def test_an_unsupported_layer_is_named_with_its_class(
    network: Any, says: str, tmp_path: Path
) -> None:
    path = saved(network, tmp_path)
    with pytest.raises(UnsupportedError, match=says) as caught:
        build(from_file(path), SHAPE, seed=1)
    assert str(caught.value.where).startswith(f"{path}: layer ")
    if "supported" in says:
        assert all(name in str(caught.value.hint) for name in SUPPORTED_LAYERS)


def test_scores_that_are_no_logits_are_refused(tmp_path: Path) -> None:
    path = saved(ending(layers.Dense(LABELS, activation="sigmoid", name="last")), tmp_path)
    with pytest.raises(ModelError, match="ends in activation = 'sigmoid'") as caught:
        build(from_file(path), SHAPE, seed=1)
    assert caught.value.where == f"{path}: layer last"


def rewritten(path: Path, name: str, change: Callable[[bytes], bytes | None]) -> None:
    """Change or drop one member of a ``.keras`` file."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    changed = change(members.pop(name))
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)
        if changed is not None:
            archive.writestr(name, changed)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", lambda content: None),
        ("config.json", lambda content: content[: len(content) // 2]),
        ("config.json", lambda content: b"[]"),
        ("config.json", lambda content: content.replace(b'"filters"', b'"filtres"')),
        ("model.weights.h5", lambda content: None),
        ("model.weights.h5", lambda content: content[: len(content) // 2]),
    ],
)
def test_a_damaged_file_is_refused(
    name: str, change: Callable[[bytes], bytes | None], tmp_path: Path
) -> None:
    path = saved(foreign.residual(FRAMES, FEATURES, LABELS, 1), tmp_path)
    rewritten(path, name, change)
    with pytest.raises(MalformedModelError) as caught:
        build(from_file(path), SHAPE, seed=1)
    assert caught.value.where == str(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(MalformedModelError, match=r"is not a whole \.keras file"):
        build(from_file(path), SHAPE, seed=1)


@pytest.mark.parametrize(
    "planted",
    [
        {"module": "os", "class_name": "function", "config": "getcwd", "registered_name": "getcwd"},
        {"module": "keras.utils", "class_name": "function", "config": "get_file"},
        {"module": "keras.initializers", "class_name": "Ones", "registered_name": "mine>Ones"},
    ],
)
def test_a_file_that_names_functions_of_others_is_refused_before_they_are_looked_up(
    planted: dict[str, str], tmp_path: Path
) -> None:
    def plant(content: bytes) -> bytes:
        config = json.loads(content)
        config["config"]["layers"][1]["config"]["kernel_initializer"] = planted
        return json.dumps(config).encode()

    path = saved(foreign.residual(FRAMES, FEATURES, LABELS, 1), tmp_path)
    rewritten(path, "config.json", plant)
    with pytest.raises(UnsupportedError, match=r"holds an object of class .*only Keras' own"):
        build(from_file(path), SHAPE, seed=1)


def test_a_missing_file_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist") as caught:
        build(from_file(tmp_path / "absent.keras"), SHAPE, seed=1)
    assert str(caught.value.where).startswith("model.file: ")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("absent_package.module:build", "can't be imported: No module named 'absent_package'"),
        ("tests.models.foreign:absent", "module tests.models.foreign has no function absent"),
        ("tests.models.foreign:NOT_CALLABLE", "has no function NOT_CALLABLE"),
        ("tests.models.foreign:failing", r"failed: ZeroDivisionError: no layers left \(.*foreign"),
        ("tests.models.foreign:a_number", "returned an object of type int, not a Keras model"),
        ("tests.models.foreign:of_another_shape", r"inputs of shape \[10, 11, 1\]; the front-end"),
    ],
)
def test_an_entry_point_that_gives_no_network_is_an_error(entry: str, says: str) -> None:
    with pytest.raises(EdgepruneError, match=says) as caught:
        build(KerasNetwork(kind="keras", entry=entry), SHAPE, seed=1)
    assert caught.value.where == f"model.entry: {entry}"


def test_a_module_that_breaks_on_import_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_networks.py").write_text("import math\nmath.absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    declared = KerasNetwork(kind="keras", entry="broken_networks:build")
    with pytest.raises(ModelError, match=r"AttributeError: .*broken_networks\.py, line 2"):
        build(declared, SHAPE, seed=1)
