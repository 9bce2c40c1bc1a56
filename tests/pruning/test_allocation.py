"""Allocation: how the sparsity is divided among layers."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.pruning.allocation import Global, Listed, PerLayer, lowest, make_allocation

LOW = np.array([1.0, 2.0, 3.0, 4.0])
HIGH = np.array([5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
NAMES = ["low", "high"]


def test_per_layer_is_the_same_everywhere() -> None:
    assert PerLayer().shares([LOW, HIGH], 0.3, NAMES) == [0.3, 0.3]


@pytest.mark.parametrize(
    ("sparsity", "floor", "taken"),
    [
        (0.3, 0.0, [3, 0]),
        (0.5, 0.0, [3, 2]),  # the highest of a layer stays
        (0.9, 0.0, [3, 5]),
        (0.5, 0.5, [3, 2]),
        (0.5, 1.0, [2, 3]),  # what each would keep anyway
    ],
)
def test_global_takes_the_lowest_of_all(sparsity: float, floor: float, taken: list[int]) -> None:
    shares = Global(floor).shares([LOW, HIGH], sparsity, NAMES)
    assert [share * len(row) for share, row in zip(shares, (LOW, HIGH), strict=True)] == (
        pytest.approx(taken)
    )


def test_global_counts_what_is_gone_already() -> None:
    gone = np.array([-np.inf, -np.inf, 3.0, 4.0])
    assert Global(0.0).shares([gone, HIGH], 0.3, NAMES) == pytest.approx([3 / 4, 0])


def test_listed_shares_are_reached_together() -> None:
    listed = Listed(0.8, {"low": 0.9, "high": 0.0, "other": 0.5})
    assert listed.shares([LOW, HIGH], 0.8, NAMES) == [0.9, 0.0]
    assert listed.shares([HIGH, LOW], 0.4, NAMES[::-1]) == pytest.approx([0.0, 0.45])


def test_global_of_no_layer() -> None:
    assert Global(0.0).shares([], 0.5, []) == []


def test_of_equal_scores_the_first_go_and_what_is_gone_stays_gone() -> None:
    assert lowest(np.ones(4), 2).tolist() == [True, True, False, False]
    assert lowest(np.array([1.0, -np.inf, -np.inf]), 1).tolist() == [False, True, True]
    assert lowest(np.array([[4.0, 1.0], [2.0, 3.0]]), 2).tolist() == [[False, True], [True, False]]


def test_recipes_name_allocations() -> None:
    assert isinstance(make_allocation("layer", floor=0.5), PerLayer)
    assert make_allocation("global", floor=0.5) == Global(0.5)
