"""The plan of a recipe: sparsity, rewinding and the curve of the rate, epoch by epoch."""

from __future__ import annotations

from typing import Any

import pytest

from edgeprune.pruning.plan import Phase, Plan
from edgeprune.recipe import Pruning


def sparsities(**spec: Any) -> list[float]:
    recipe = Pruning(**{"sparsity": 0.5, **spec})
    plan = Plan(recipe)
    return [plan.sparsity(epoch) for epoch in range(1, recipe.epochs + 1)]


def test_the_cubic_ramp_ends_with_its_last_epoch() -> None:
    assert sparsities(epochs=4, ramp_percent=50.0) == [0.4375, 0.5, 0.5, 0.5]
    assert sparsities(epochs=4, ramp_percent=100.0)[-2:] == [pytest.approx(0.4921875), 0.5]


def test_one_shot_has_it_from_the_first_epoch() -> None:
    assert sparsities(epochs=3, schedule="one-shot") == [0.5] * 3


def test_dense_epochs_come_first() -> None:
    assert sparsities(epochs=8, schedule="one-shot", dense_percent=25.0) == [0, 0] + [0.5] * 6
    ramp = sparsities(epochs=8, dense_percent=25.0, ramp_percent=25.0)
    assert ramp == [0, 0, 0.4375, 0.5, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("criterion", ["movement", "batchnorm", "l1-penalty", "l2-penalty"])
def test_criteria_that_score_training_wait_for_some(criterion: str) -> None:
    assert sparsities(epochs=8, schedule="one-shot", criterion=criterion)[:3] == [0, 0, 0.5]


def test_from_scratch_some_training_comes_first() -> None:
    assert sparsities(epochs=8, schedule="one-shot", start="scratch")[:3] == [0, 0, 0.5]
    at_once = sparsities(
        epochs=8, schedule="one-shot", start="scratch", dense_percent=0.0, criterion="taylor"
    )
    assert at_once == [0.5] * 8


def test_rounds_are_as_long_as_each_other_and_each_begins_with_rewinding() -> None:
    spec = Pruning(sparsity=0.75, epochs=6, schedule="iterative", rounds=2)
    plan = Plan(spec)
    assert [plan.sparsity(epoch) for epoch in range(1, 7)] == [0.5] * 3 + [0.75] * 3
    assert plan.phases == {1: Phase(3), 4: Phase(3, rewinds=True)}
    assert plan.snapshot_before == 1


def test_rewinding_skips_the_epochs_that_it_keeps() -> None:
    spec = Pruning(
        sparsity=0.75,
        epochs=11,
        schedule="iterative",
        rounds=2,
        dense_percent=25.0,
        rewind_epoch=1,
    )
    plan = Plan(spec)
    assert [plan.sparsity(epoch) for epoch in range(1, 12)] == [0] * 3 + [0.5] * 4 + [0.75] * 4
    rounds = {4: Phase(5, skipped=1, rewinds=True), 8: Phase(5, skipped=1, rewinds=True)}
    assert plan.phases == {1: Phase(3), **rounds}
    assert plan.snapshot_before == 2


def test_rounds_that_do_not_divide_the_epochs() -> None:
    spec = Pruning(sparsity=0.5, epochs=7, schedule="iterative", rounds=3)
    plan = Plan(spec)
    found = [plan.sparsity(epoch) for epoch in range(1, 8)]
    changes = [epoch for epoch in range(2, 8) if found[epoch - 1] != found[epoch - 2]]
    assert changes == [start for start in sorted(plan.phases) if start > 1]
    assert found[-1] == 0.5


def test_n_of_m_says_itself_how_much_goes() -> None:
    assert Pruning(structure="n:m").sparsity == 0.5
    assert Pruning(structure="n:m", pattern="1:4").sparsity == 0.75
    assert Pruning(structure="n:m", pattern="4:8", sparsity=0.5).sparsity == 0.5
    assert Pruning(structure="n:m", sparsity=0.0).sparsity == 0
    assert Pruning(pattern="1:4").sparsity == 0.4  # not read


def test_the_dense_control_needs_nothing_to_score() -> None:
    control = Pruning(sparsity=0.0, start="scratch", schedule="one-shot", dense_percent=0.0)
    assert [Plan(control).sparsity(epoch) for epoch in (1, 40)] == [0, 0]


@pytest.mark.parametrize("schedule", ["one-shot", "cubic"])
def test_nothing_rewinds_without_rounds(schedule: str) -> None:
    plan = Plan(Pruning(epochs=4, schedule=schedule))
    assert plan.snapshot_before is None
    assert plan.phases == {1: Phase(4)}
