"""Schedules: the formula of the paper, its ends, and its order."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.pruning.schedule import Cubic, Iterative, OneShot, make_schedule


def test_one_shot_is_there_at_once() -> None:
    assert [OneShot().sparsity(progress, 0.7) for progress in (0.0, 0.3, 1.0)] == [0.7] * 3


def test_cubic_is_the_formula_of_zhu_and_gupta() -> None:
    final, initial = 0.8, 0.0
    for progress in (0.0, 0.1, 0.5, 0.9, 1.0):
        expected = final + (initial - final) * (1 - progress) ** 3
        assert Cubic().sparsity(progress, final) == pytest.approx(expected, abs=1e-12)


def test_cubic_ends_exactly_at_the_final_sparsity_and_stays() -> None:
    assert Cubic().sparsity(1.0, 0.37) == 0.37
    assert Cubic().sparsity(1.5, 0.37) == 0.37
    assert Cubic().sparsity(-1.0, 0.37) == 0.0


def test_cubic_rises_and_takes_most_at_first() -> None:
    steps = np.diff([Cubic().sparsity(each, 1.0) for each in np.linspace(0, 1, 11)])
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()


def test_schedules_are_known_by_their_names() -> None:
    for name in ("one-shot", "cubic", "iterative"):
        assert make_schedule(name, rounds=3).name == name


def test_each_round_takes_the_same_share_of_what_is_left() -> None:
    stairs = [Iterative(3).sparsity(each / 6, 0.875) for each in range(6)]
    assert stairs == pytest.approx([0.5, 0.5, 0.75, 0.75, 0.875, 0.875])
    assert stairs[-1] == 0.875


def test_a_round_begins_at_its_fraction_of_the_epochs_whatever_the_rounding() -> None:
    for rounds in range(1, 40):
        stairs = [Iterative(rounds).sparsity(each / rounds, 0.9) for each in range(rounds)]
        assert (np.diff(stairs) > 0).all()
        assert stairs[-1] == 0.9
