"""Training: it learns, repeats bit for bit, keeps its best weights, says what went wrong."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import StoreError, TrainingError
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.normalization import Normalization
from edgeprune.models.trainer import BestWeights, Distillation, Trainer, evaluate, rates
from edgeprune.models.training import score, train
from edgeprune.progress import SilentProgress
from edgeprune.recipe import Recipe, Training
from tests.models import tiny


def run(recipe: Recipe, clips: Dataset) -> TrainedModel:
    return train(recipe, clips, tiny.features, tiny.normalization(clips), SilentProgress())


def test_it_learns(trained: TrainedModel) -> None:
    assert trained.validation.accuracy > 0.9
    assert trained.test.accuracy > 0.9
    assert trained.test.clips == 40
    assert trained.history[-1].loss < trained.history[0].loss


def test_the_same_seed_gives_the_same_weights(trained: TrainedModel, tones: Dataset) -> None:
    again = run(tiny.recipe(), tones)
    for one, other in zip(trained.network.get_weights(), again.network.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert again.history == trained.history


def test_another_seed_gives_other_weights(trained: TrainedModel, tones: Dataset) -> None:
    recipe = tiny.recipe(training=Training(epochs=1, batch=16)).model_copy(update={"seed": 4})
    first = run(recipe, tones).network.get_weights()[0]
    assert not np.array_equal(first, trained.network.get_weights()[0])


def test_the_weights_of_the_best_epoch_are_kept(trained: TrainedModel) -> None:
    best = min(record.validation.loss for record in trained.history)
    assert trained.validation.loss == pytest.approx(best, abs=1e-6)


def test_only_training_clips_are_augmented_and_trained_on(tones: Dataset) -> None:
    """Other held-out clips change nothing of the weights after one epoch."""
    recipe = tiny.recipe(training=Training(epochs=1, batch=16))
    other = dataclasses.replace(tones, validation=tones.test, test=tones.validation)
    one, swapped = run(recipe, tones), run(recipe, other)
    for mine, theirs in zip(one.network.get_weights(), swapped.network.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)
    assert one.validation == swapped.test
    inputs = one.normalization.apply(tiny.features(tones.validation.pcm))
    assert one.validation == evaluate(one.network, inputs, tones.validation.labels)


def test_it_stops_when_validation_gets_no_better(tones: Dataset) -> None:
    spec = Training(epochs=40, batch=16, learning_rate=0.3, schedule="constant", patience=2)
    stopped = run(tiny.recipe(training=spec), tones)
    losses = [record.validation.loss for record in stopped.history]
    assert len(losses) < 40
    assert len(losses) == int(np.argmin(losses)) + 1 + 2


def test_progress_moves_an_epoch_at_a_time(tones: Dataset) -> None:
    class Recorder:
        advanced = 0.0

        @contextmanager
        def task(
            self, description: str, total: float | None = None, unit: str = ""
        ) -> Iterator[Recorder]:
            self.opened = (description, total, unit)
            yield self

        def advance(self, n: float = 1) -> None:
            self.advanced += n

    recorder = Recorder()
    recipe = tiny.recipe(training=Training(epochs=2, batch=32))
    train(recipe, tones, tiny.features, tiny.normalization(tones), recorder)
    assert recorder.opened == ("train", 2, "epochs")
    assert recorder.advanced == 2


def test_a_loss_that_is_not_finite_is_an_error(tones: Dataset) -> None:
    broken = Normalization(mean=np.zeros(10), std=np.full(10, np.nan), fraction_bits=8)
    with pytest.raises(TrainingError, match="loss became nan in step 1") as caught:
        train(tiny.recipe(), tones, tiny.features, broken, SilentProgress())
    assert "learning_rate" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("split", "message"), [("train", "no training clips"), ("validation", "no clips to measure")]
)
def test_an_empty_split_is_an_error(tones: Dataset, split: str, message: str) -> None:
    whole = tones.splits[split]
    none = dataclasses.replace(whole, pcm=whole.pcm[:0], labels=whole.labels[:0])
    clips = dataclasses.replace(tones, **{split: none})
    with pytest.raises(TrainingError, match=message):
        train(tiny.recipe(), clips, tiny.features, tiny.normalization(tones), SilentProgress())


def test_a_model_survives_its_folder(trained: TrainedModel, tones: Dataset, tmp_path: Path) -> None:
    trained.save(tmp_path / "one")
    loaded = TrainedModel.load(tmp_path / "one")
    for mine, theirs in zip(
        trained.network.get_weights(), loaded.network.get_weights(), strict=True
    ):
        assert np.array_equal(mine, theirs)
    assert loaded.labels == tiny.LABELS
    assert loaded.history == trained.history
    measured = score(loaded.network, tones.test, tiny.features, loaded.normalization)
    assert measured == trained.test
    loaded.save(tmp_path / "two")
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_the_summary_says_what_it_costs(trained: TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path)
    summary = json.loads((tmp_path / "training.json").read_text())
    assert summary["cost"]["macs"] == trained.cost.macs > 0
    assert summary["test"] == {
        "loss": trained.test.loss,
        "accuracy": trained.test.accuracy,
        "clips": 40,
    }


@pytest.mark.parametrize("name", ["network.json", "weights.npz", "training.json"])
def test_a_damaged_folder_is_an_error(trained: TrainedModel, tmp_path: Path, name: str) -> None:
    trained.save(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"does not hold a network|not a training summary"):
        TrainedModel.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(StoreError):
        TrainedModel.load(tmp_path)


def test_the_rate_rises_and_then_falls_as_a_cosine_to_zero() -> None:
    rate = rates(0.1, "cosine", 100)
    assert rate(0) == pytest.approx(0.02)
    assert (
        max(rate(step) for step in range(100))
        == pytest.approx(rate(4))
        == pytest.approx(0.1, rel=0.01)
    )
    assert rate(50) == pytest.approx(0.05)
    assert rate(100) == pytest.approx(0, abs=1e-12)
    assert rates(0.1, "constant", 100)(99) == 0.1


def test_masked_weights_are_zero_after_every_step(trained: TrainedModel) -> None:
    from edgeprune.pruning.surgery import clone

    network = clone(trained.network)
    kernel = network.get_layer("block1_pointwise").kernel
    mask = np.arange(64).reshape(kernel.shape) % 3 > 0
    trainer = Trainer(network, rates(0.1, "constant", 10))
    trainer.set_masks({kernel.path: mask})
    batch = (np.ones((4, 11, 10), np.float32), np.eye(4, dtype=np.float32))
    for _ in range(3):
        before = kernel.numpy()
        trainer.run([batch])
        assert not kernel.numpy()[~mask].any()
        assert not np.array_equal(kernel.numpy()[mask], before[mask])


def test_distillation_alone_follows_the_teacher(trained: TrainedModel) -> None:
    """With all the weight on the teacher, a copy of it has no loss whatever the labels say."""
    from edgeprune.pruning.surgery import clone

    student = clone(trained.network)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(32, 11, 10)).astype(np.float32)
    wrong = np.zeros((32, 4), np.float32)
    wrong[:, 0] = 1
    teaching = Distillation(teacher=student, weight=1.0, temperature=2.0)
    trainer = Trainer(trained.network, rates(0.0, "constant", 1), distillation=teaching)
    plain = Trainer(clone(trained.network), rates(0.0, "constant", 1))
    assert trainer.run([(inputs, wrong)]) < 0.5 < plain.run([(inputs, wrong)])


def test_best_weights_prefer_the_lower_loss(trained: TrainedModel) -> None:
    from edgeprune.pruning.surgery import clone

    network, best = clone(trained.network), BestWeights()
    bias = network.get_layer("classifier").bias
    for value, loss in ((1.0, 3.0), (2.0, 1.0), (3.0, 2.0), (4.0, float("nan"))):
        bias.assign(np.full(4, value, np.float32))
        best.offer(network, loss)
    assert best.epochs_since == 2
    best.restore(network)
    assert bias.numpy().tolist() == [2.0] * 4


def test_importing_the_package_does_not_import_tensorflow() -> None:
    code = (
        "import sys, edgeprune.models, edgeprune.models.batches, edgeprune.pruning.structures,"
        " edgeprune.pruning.criteria, edgeprune.pruning.masks, edgeprune.quantization;"
        " sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_tensorflow_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from edgeprune.errors import MissingExtraError\n"
        "try: import edgeprune.models.training\n"
        "except MissingExtraError as error: sys.exit('[train]' not in str(error))\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_tensorflow_starts_silently() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import edgeprune.models.training"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout == ""
