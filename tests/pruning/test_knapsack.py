"""The least loss at which enough is saved, against every combination."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.pruning import knapsack
from edgeprune.pruning.knapsack import least_loss

Table = NDArray[np.float64]


def _sums(table: Table, choice: tuple[int, ...]) -> float:
    return float(sum(row[option] for row, option in zip(table, choice, strict=True)))


def _by_brute_force(losses: Table, savings: Table, goal: float) -> float | None:
    layers, options = losses.shape
    found = [
        _sums(losses, choice)
        for choice in product(range(options), repeat=layers)
        if _sums(savings, choice) >= goal - 1e-9 * abs(goal)
    ]
    return min(found, default=None)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_as_good_as_trying_everything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers, options = rng.integers(1, 6), rng.integers(2, 6)
    losses = rng.normal(0.1, 0.2, (layers, options)).round(int(rng.integers(1, 4)))
    savings = rng.normal(50, 60, (layers, options)).round(int(rng.integers(-1, 2)))
    losses[:, 0] = savings[:, 0] = 0
    for share in (0.0, 0.3, 0.7, 1.0, 1.2):
        goal = share * savings.max(axis=1).sum()
        choice = least_loss(losses, savings, goal)
        best = _by_brute_force(losses, savings, goal)
        if best is None:
            assert choice is None
            continue
        assert choice is not None
        assert _sums(savings, choice) >= goal - 1e-9 * abs(goal)
        assert _sums(losses, choice) == pytest.approx(best, abs=1e-12)


def test_what_saves_nothing_is_left_whole() -> None:
    losses = np.array([[0.0, 0.1, 0.2], [0.0, 0.01, 0.02]])
    savings = np.array([[0.0, 50.0, 80.0], [0.0, 0.0, -10.0]])
    assert least_loss(losses, savings, 50) == (1, 0)
    assert least_loss(losses, savings, 81) is None


def test_many_layers_are_thinned_and_the_goal_still_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(7)
    losses = np.sort(rng.random((12, 6)), axis=1)
    savings = np.sort(rng.random((12, 6)), axis=1)
    exact = least_loss(losses, savings, 8.0)
    everything = least_loss(losses, savings, float(savings.max(axis=1).sum()))
    monkeypatch.setattr(knapsack, "_FINEST", 500)
    thinned = least_loss(losses, savings, 8.0)
    assert exact is not None
    assert thinned is not None
    assert _sums(savings, thinned) >= 8.0
    assert _sums(losses, thinned) == pytest.approx(_sums(losses, exact), rel=0.02)
    assert everything == least_loss(losses, savings, float(savings.max(axis=1).sum()))
