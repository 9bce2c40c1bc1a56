"""What a run does with networks that can't be made, and how its line moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeprune.errors import ImageError, StoreError, TrainingError
from edgeprune.payoff import Grid, PayoffRecord, Shape, run, run_payoff
from edgeprune.payoff.overall import StepProgress, Work
from edgeprune.payoff.points import Point, make_plan
from edgeprune.pipeline import Pipeline
from edgeprune.progress import Progress, Task
from edgeprune.store import Store
from edgeprune.target import Budgets, Target
from tests.models import tiny
from tests.payoff.table import record

TARGET = Target(name="here", core="host", device="host", budgets=Budgets(accuracy=0.5))


class Counting:
    """A progress that counts, and the task of it."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.done = 0.0

    def advance(self, n: float = 1) -> None:
        self.done += n

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self.total = total
        yield self


def _pipeline(folder: Path, progress: Progress, said: list[str]) -> Pipeline:
    return Pipeline(
        target=TARGET,
        build=folder,
        store=Store(folder / "store"),
        progress=progress,
        say=said.append,
        recipe=tiny.recipe(),
    )


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A run that has nothing to train: each network takes 10 steps."""
    monkeypatch.setattr(Pipeline, "features", lambda self: None)
    monkeypatch.setattr(run, "plan", lambda base, grid: make_plan(base.recipe, grid, None))
    monkeypatch.setattr(run, "outstanding", lambda base, points: [Work(6, 4)] * len(points))
    return monkeypatch


GRID = Grid((Shape.read("channel"),), sparsities=(0.5, 0.9))


def _measured(pipeline: Pipeline, point: Point, backend: str) -> PayoffRecord:
    with pipeline.progress.task("train", 3, "epochs") as task:
        task.advance(3)
    with pipeline.progress.task("run clips", 100, "clips") as task:
        task.advance(100)
    return record(point.id, title=point.title, role=point.role, structure=point.structure)


def test_what_does_not_fit_is_left_out_with_the_reason(
    tmp_path: Path, stubbed: pytest.MonkeyPatch
) -> None:
    def measured(pipeline: Pipeline, point: Point, backend: str) -> PayoffRecord:
        if point.role == "control":
            raise ImageError("does not fit", where="flash")
        return _measured(pipeline, point, backend)

    stubbed.setattr(run, "_record", measured)
    said: list[str] = []
    result = run_payoff(_pipeline(tmp_path, Counting(), said), GRID)
    assert [each.id for each in result.records] == [
        "dense",
        "channel-50",
        "channel-90",
        "dense-4bit",
    ]
    assert "dense, fine-tuned: flash: does not fit" in result.missing
    assert any("left out: flash: does not fit" in line for line in said)
    assert result.budgets == TARGET.budgets


def test_other_errors_end_the_run(tmp_path: Path, stubbed: pytest.MonkeyPatch) -> None:
    def measured(*_: object) -> PayoffRecord:
        raise StoreError("is damaged")

    stubbed.setattr(run, "_record", measured)
    with pytest.raises(StoreError, match="is damaged"):
        run_payoff(_pipeline(tmp_path, Counting(), []), GRID)


def test_a_table_without_a_network_is_an_error(tmp_path: Path, stubbed: pytest.MonkeyPatch) -> None:
    def measured(*_: object) -> PayoffRecord:
        raise ImageError("does not fit", where="flash")

    stubbed.setattr(run, "_record", measured)
    with pytest.raises(TrainingError, match="none of the networks could be made") as raised:
        run_payoff(_pipeline(tmp_path, Counting(), []), GRID)
    assert "does not fit" in str(raised.value)


def test_one_line_moves_by_epochs_and_ends_full(
    tmp_path: Path, stubbed: pytest.MonkeyPatch
) -> None:
    stubbed.setattr(run, "_record", _measured)
    progress, said = Counting(), []
    run_payoff(_pipeline(tmp_path, progress, said), GRID)
    assert progress.total == progress.done == 50
    assert len(said) == 5
    assert said[4].startswith(" 5 of 5  dense, 4-bit ")
    assert "92.0 %, made in" in said[4]


def test_a_point_never_moves_the_line_past_its_own_work() -> None:
    overall = Counting()
    progress = StepProgress(overall, Work(epochs=5, measuring=2))
    with progress.task("train", 40, "epochs") as task:
        task.advance(3)
        assert overall.done == 3
        task.advance(40)
    assert overall.done == 7
    progress.finish()
    assert overall.done == 7
    early = StepProgress(overall, Work(epochs=5, measuring=2))
    early.finish()
    assert overall.done == 14
