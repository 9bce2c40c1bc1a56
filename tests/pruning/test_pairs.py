"""Every criterion with every structure and every schedule, from clips to a pruned network."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.pruning.pruner import PrunedModel
from edgeprune.recipe.pruning import Criterion, Structure
from tests.pruning import small

pytestmark = pytest.mark.usefixtures("eager")

SCHEDULES = ("one-shot", "cubic", "iterative")

STRUCTURES = tuple(name for name in get_args(Structure) if name != "none")

#: Three epochs: one dense where a criterion needs it, and one round or more at the final sparsity.
BRIEF: dict[str, Any] = {"epochs": 3, "ramp_percent": 34.0, "rounds": 2, "gradient_batches": 1}


def check_shape(model: PrunedModel, structure: str) -> None:
    """Half of the pointwise layer is gone, in the structure's shape."""
    kernel = small.kernel(model, "pointwise")
    if structure == "channel":
        assert kernel.shape == (1, 1, small.WIDTH // 2, small.WIDTH // 2)
        assert small.kernel(model, "classifier").shape == (small.WIDTH // 2, 4)
        return
    zeros = (kernel == 0).reshape(small.WIDTH, small.WIDTH)
    assert zeros.sum() == zeros.size // 2
    in_fours = zeros.reshape(-1, 4, small.WIDTH).sum(axis=1)
    if structure == "block":
        assert set(np.unique(in_fours)) == {0, 4}
    if structure == "n:m":
        assert set(np.unique(in_fours)) == {2}
    assert small.kernel(model, "classifier").all()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("criterion", get_args(Criterion))
def test_every_pair(
    start: TrainedModel, few: Dataset, criterion: str, structure: str, schedule: str
) -> None:
    spec = {"criterion": criterion, "structure": structure, "schedule": schedule, "sparsity": 0.5}
    result = small.pruned(start, few, **BRIEF, **spec)
    check_shape(result, structure)
    history = result.model.history
    assert [each.epoch for each in history] == [1, 2, 3]
    assert history[-1].sparsity == 0.5
    assert np.isfinite([each.loss for each in history]).all()
    assert (result.structure, result.criterion) == (structure, criterion)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_and_schedule_from_scratch(
    start: TrainedModel, few: Dataset, structure: str, schedule: str
) -> None:
    spec = {"structure": structure, "schedule": schedule, "sparsity": 0.5, "start": "scratch"}
    check_shape(small.pruned(start, few, **BRIEF, **spec), structure)


@pytest.mark.parametrize("structure", [name for name in STRUCTURES if name != "n:m"])
def test_every_structure_with_global_allocation(
    start: TrainedModel, few: Dataset, structure: str
) -> None:
    """What one layer keeps beyond its half, the other one lacks."""
    spec = {"structure": structure, "allocation": "global", "floor_percent": 20.0, "sparsity": 0.5}
    result = small.pruned(start, few, **BRIEF, **spec)
    if structure == "channel":
        widths = [small.kernel(result, name).shape[-1] for name in ("stem", "pointwise")]
        assert sum(widths) == small.WIDTH
        return
    kernels = [small.kernel(result, name) for name in ("stem", "pointwise")]
    # The stem has ten inputs: two of them fill no block.
    blocks = 8 / 10 if structure == "block" else 1
    free = [kernels[0].size * blocks, kernels[1].size]
    zeros = [int((kernel == 0).sum()) for kernel in kernels]
    assert sum(zeros) == pytest.approx(sum(free) / 2, abs=4)
    assert zeros[0] / free[0] != pytest.approx(zeros[1] / free[1], abs=0.01)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_sparsity_zero_is_the_dense_control_of_every_structure(
    start: TrainedModel, few: Dataset, structure: str
) -> None:
    """The same steps, whatever the structure would have been, and nothing taken out."""
    control = small.pruned(start, few, structure=structure, sparsity=0.0, epochs=2)
    other = small.pruned(start, few, structure="channel", sparsity=0.0, epochs=2)
    assert len(control.model.history) == 2
    assert control.model.cost == start.cost
    assert not np.array_equal(small.kernel(control, "stem"), small.kernel(start, "stem"))
    for one, another in zip(
        control.model.network.get_weights(), other.model.network.get_weights(), strict=True
    ):
        assert np.array_equal(one, another)
