"""Normalization: the statistics are right, and survive a file bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.errors import StoreError, TrainingError
from edgeprune.models import Normalization


def measured() -> tuple[np.ndarray, Normalization]:
    rng = np.random.default_rng(1)
    spread = np.array([100, 1_000, 30])
    features = rng.normal([4_000, -2_000, 0], spread, (50, 7, 3)).astype(np.int16)
    return features, Normalization.measure(features, 8)


def test_normalized_features_have_mean_zero_and_deviation_one() -> None:
    features, normalization = measured()
    inputs = normalization.apply(features)
    assert inputs.dtype == np.float32
    assert inputs.shape == features.shape
    assert np.allclose(inputs.mean(axis=(0, 1)), 0, atol=1e-4)
    assert np.allclose(inputs.std(axis=(0, 1)), 1, atol=1e-4)


def test_statistics_are_of_real_values() -> None:
    features, normalization = measured()
    assert np.allclose(normalization.mean, features.mean(axis=(0, 1)) / 256)
    assert np.allclose(normalization.std, features.std(axis=(0, 1)) / 256)


def test_a_feature_that_never_changes_gives_finite_inputs() -> None:
    features = np.full((2, 3, 4), 77, dtype=np.int16)
    inputs = Normalization.measure(features, 8).apply(features)
    assert np.allclose(inputs, 0, atol=1e-3)


def test_a_file_gives_the_same_bits(tmp_path: Path) -> None:
    _, normalization = measured()
    normalization.save(tmp_path / "n.json")
    loaded = Normalization.load(tmp_path / "n.json")
    assert np.array_equal(loaded.mean, normalization.mean)
    assert np.array_equal(loaded.std, normalization.std)
    assert loaded.fraction_bits == 8


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{",
        "[]",
        '{"mean": [1], "std": [1]}',
        '{"mean": [1, 2], "std": [1], "fraction_bits": 8}',
        '{"mean": [1], "std": [0], "fraction_bits": 8}',
        '{"mean": ["x"], "std": [1], "fraction_bits": 8}',
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "n.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StoreError) as caught:
        Normalization.load(path)
    assert caught.value.where == str(path)


def test_no_clips_have_no_mean() -> None:
    with pytest.raises(TrainingError, match=r"\[0, 7, 3\]"):
        Normalization.measure(np.zeros((0, 7, 3), np.int16), 8)
