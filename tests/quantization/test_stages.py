"""What the stages around fake int8 read, and which networks are converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeprune import stages
from edgeprune.pipeline import Pipeline
from edgeprune.progress import SilentProgress
from edgeprune.recipe import Pruning, Quantization
from edgeprune.store import Artifact, Stage
from tests.models import tiny


def made(name: str) -> Artifact:
    return Artifact(name, f"key of {name}", Path("nowhere"))


def tuned(**spec: Any) -> Stage:
    recipe = tiny.recipe(quantization=Quantization(**spec))
    artifacts = [made(name) for name in ("clips", "features", "pruned", "trained")]
    return stages.tuned(recipe, *artifacts, "pruned", Path("cache"), SilentProgress())


def quantized(network: str = "pruned", **spec: Any) -> Stage:
    recipe = tiny.recipe(quantization=Quantization(**spec))
    return stages.quantized(recipe, made(network), made("features"), "pruned", SilentProgress())


def test_what_is_tuned_depends_on_all_of_its_options() -> None:
    specs: list[dict[str, Any]] = [
        {},
        {"epochs": 3},
        {"weights": "int4"},
        {"weights": "int4", "int4_layers": ("stem",)},
        {"learning_rate": 1e-4},
        {"distillation": 0.1},
        {"temperature": 1.0},
        {"calibration_clips": 8},
    ]
    assert len({tuned(**{"epochs": 2, **spec}).key() for spec in specs}) == len(specs)


def test_a_tuned_network_knows_its_teacher_and_its_code() -> None:
    inputs = tuned(epochs=2).inputs()
    assert inputs["upstream teacher"] == "key of trained"
    assert inputs["upstream network"] == "key of pruned"
    for name in ("quantization/tuner.py", "quantization/layers.py", "models/trainer.py"):
        assert f"code {name}" in inputs


def test_calibration_alone_reads_only_its_clips() -> None:
    """Options of training that is off make nothing anew."""
    plain = quantized().key()
    assert quantized(learning_rate=1e-4, distillation=0.1).key() == plain
    assert quantized(calibration_clips=8).key() != plain
    assert quantized(epochs=2).key() != plain


def test_a_tuned_network_s_file_depends_on_the_network_alone() -> None:
    assert quantized(epochs=2).key() == quantized(epochs=3, calibration_clips=8).key()
    assert quantized(epochs=2).key() != quantized("another", epochs=2).key()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [({}, "network"), ({"epochs": 1}, "tuned"), ({"weights": "int4"}, "tuned")],
)
def test_the_pipeline_tunes_when_asked(
    spec: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def once(_: Pipeline, name: str, describe: Any) -> Artifact:
        asked.append(name)
        describe()
        return made(name)

    recipe = tiny.recipe(pruning=Pruning(structure="none"), quantization=Quantization(**spec))
    pipeline = Pipeline.__new__(Pipeline)
    pipeline.recipe, pipeline.progress, pipeline.build = recipe, SilentProgress(), Path("build")
    monkeypatch.setattr(Pipeline, "once", once)
    monkeypatch.setattr("edgeprune.stages.clips", lambda *_: None)
    pipeline.quantized("dense")
    assert ("tuned dense" in asked) == (expected == "tuned")
    assert "trained" in asked
