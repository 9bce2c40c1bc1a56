"""The scale of a network's input: fixed where weights expect one, measured otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune import stages
from edgeprune.models.normalization import Normalization
from edgeprune.progress import SilentProgress
from edgeprune.recipe import KerasNetwork, MatchboxNet, MlperfKws, Model, fixed_normalization
from edgeprune.store import Artifact, Store
from tests.models import tiny

RAW = ((0.0,), (1.0,))


def mlperf(**options: Any) -> MlperfKws:
    return MlperfKws(kind="mlperf-kws", **options)


def keras_file(**options: Any) -> KerasNetwork:
    return KerasNetwork(kind="keras", file="x.keras", **options)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (MatchboxNet(kind="matchbox"), None),
        (mlperf(), None),
        (mlperf(weights="x.npz"), RAW),
        (mlperf(weights="x.npz", normalization="measured"), None),
        (mlperf(normalization="raw"), RAW),
        (
            mlperf(weights="x.npz", normalization="fixed", input_mean=(1.0,), input_std=(2.0,)),
            ((1.0,), (2.0,)),
        ),
        (keras_file(normalization="raw"), RAW),
        (keras_file(normalization="measured"), None),
        (keras_file(weights="fresh"), None),
        (KerasNetwork(kind="keras", entry="networks:build"), None),
    ],
)
def test_weights_decide_the_scale(model: Model, expected: object) -> None:
    assert fixed_normalization(model) == expected


def test_a_fixed_scale_is_applied_to_real_units() -> None:
    features = np.array([[[256, 512], [-256, 0]]], np.int16)
    raw = Normalization.fixed((0.0,), (1.0,), features=2, fraction_bits=8)
    assert raw.apply(features).tolist() == [[[1.0, 2.0], [-1.0, 0.0]]]
    scaled = Normalization.fixed((1.0, 0.0), (0.5, 4.0), features=2, fraction_bits=8)
    assert scaled.apply(features).tolist() == [[[0.0, 0.5], [-4.0, 0.0]]]


def test_a_fixed_scale_survives_a_file(tmp_path: Path) -> None:
    Normalization.fixed((1.0,), (0.5,), features=3, fraction_bits=8).save(tmp_path / "scale.json")
    loaded = Normalization.load(tmp_path / "scale.json")
    assert loaded.mean.tolist() == [1.0] * 3
    assert loaded.std.tolist() == [0.5] * 3


def features_artifact(model: Model, folder: Path, cache: Path) -> Artifact:
    clips = folder / "clips"
    if not clips.exists():
        clips.mkdir()
        tiny.dataset(train=8, held_out=4).save(clips)
    stage = stages.features(
        tiny.recipe(model=model), Artifact("clips", "0", clips), cache, SilentProgress()
    )
    return Store(folder / "store").ensure(stage).artifact


def test_the_features_carry_the_scale_to_training_and_image(
    tmp_path: Path, build_cache: Path
) -> None:
    measured = features_artifact(mlperf(), tmp_path, build_cache)
    raw = features_artifact(mlperf(normalization="raw"), tmp_path, build_cache)
    assert measured.key != raw.key
    assert (
        measured.key == features_artifact(MatchboxNet(kind="matchbox"), tmp_path, build_cache).key
    )
    clips = np.load(measured.path / "train.npy")
    for artifact, spread in ((measured, 1.0), (raw, clips.std() / 2**8)):
        scale = Normalization.load(artifact.path / "normalization.json")
        assert np.array_equal(np.load(artifact.path / "train.npy"), clips)
        assert scale.apply(clips).std() == pytest.approx(spread, rel=0.2)
    assert set(Normalization.load(raw.path / "normalization.json").std.tolist()) == {1.0}
