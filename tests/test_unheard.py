"""No test clip enters training, pruning, distillation or calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset, Split
from edgeprune.pipeline import Pipeline
from edgeprune.progress import SilentProgress
from edgeprune.recipe import Pruning, Quantization, Recipe, Training
from edgeprune.store import Stage, Store
from edgeprune.target import Target
from tests.models import tiny

pytestmark = pytest.mark.slow

WAYS: dict[str, dict[str, Any]] = {
    "channels, calibrated": {
        "pruning": Pruning(structure="channel", criterion="taylor", epochs=1, distillation=0.5)
    },
    "weights, 4 bits": {
        "pruning": Pruning(structure="unstructured", epochs=1, reestimate_batchnorm=True),
        "quantization": Quantization(weights="int4", epochs=1),
    },
    "levels": {"pruning": Pruning(levels=(1.0, 0.5), epochs=1, channel_multiple=2)},
}


def models(
    recipe: Recipe, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[bytes]:
    """The dense and the pruned .tflite file, and those of further levels."""
    stage = Stage(
        name="clips", reads={"of": folder.name}, upstream={}, code=(), run=dataset.save, slot="tiny"
    )
    monkeypatch.setattr("edgeprune.stages.clips", lambda *_: stage)
    pipeline = Pipeline(
        recipe=recipe,
        target=Target(name="host", core="host", device="host"),
        build=folder,
        store=Store(folder / "store"),
        progress=SilentProgress(),
        say=lambda _: None,
        explain=False,
    )
    folders = [pipeline.quantized("dense").path, pipeline.quantized("pruned").path]
    return [path.read_bytes() for each in folders for path in sorted(each.glob("*.tflite"))]


def other(split: Split) -> Split:
    """As many clips, with nothing of the old ones."""
    rng = np.random.default_rng(5)
    pcm = rng.integers(-30_000, 30_000, split.pcm.shape).astype(np.int16)
    return replace(split, pcm=pcm, labels=np.roll(split.labels, 1))


@pytest.mark.parametrize("way", WAYS)
def test_other_test_clips_leave_every_bit_of_the_model(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(epochs=1, batch=16, mixup=0.3)
    recipe = tiny.recipe(training=training, **WAYS[way])
    dataset = tiny.dataset(train=64, held_out=16)
    made = models(recipe, dataset, tmp_path / "a", monkeypatch)
    assert len(made) == (3 if way == "levels" else 2)
    unheard = replace(dataset, test=other(dataset.test))
    assert models(recipe, unheard, tmp_path / "b", monkeypatch) == made


def test_other_training_clips_change_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the guard could fail."""
    training = Training(epochs=1, batch=16, mixup=0.3)
    recipe = tiny.recipe(training=training, pruning=Pruning(structure="none"))
    dataset = tiny.dataset(train=64, held_out=16)
    made = models(recipe, dataset, tmp_path / "a", monkeypatch)
    heard = replace(dataset, train=other(dataset.train))
    assert models(recipe, heard, tmp_path / "b", monkeypatch) != made
