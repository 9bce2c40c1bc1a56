"""Schedules: how much has been taken out at which moment."""

from __future__ import annotations

import math
from typing import Protocol

__all__ = ["Cubic", "Iterative", "OneShot", "Schedule", "make_schedule"]


class Schedule(Protocol):
    """Sparsity over time.

    Attributes:
        name: as recipes write it.
    """

    name: str

    def sparsity(self, progress: float, final: float) -> float:
        """The sparsity at a moment.

        Args:
            progress: how much of the ramp is over, from 0 (nothing) to 1; more counts as 1.
            final: the sparsity at the end of the ramp.
        """


class OneShot:
    """All at once, at the beginning."""

    name = "one-shot"

    def sparsity(self, progress: float, final: float) -> float:
        """The final sparsity, at any moment."""
        return final


class Cubic:
    """s(p) = s_f - s_f (1 - p)³: much at first, where there is redundancy, then ever less.

    Zhu & Gupta 2017, "To prune, or not to prune", equation 1, starting from a dense network.
    """

    name = "cubic"

    def sparsity(self, progress: float, final: float) -> float:
        """The sparsity on the cubic curve."""
        left = 1.0 - min(max(progress, 0.0), 1.0)
        return final - final * left**3


class Iterative:
    """In rounds, each of which takes the same share of what is left.

    Frankle & Carbin 2019, "The Lottery Ticket Hypothesis"; Renda, Frankle & Carbin 2020, "Comparing
    Rewinding and Fine-tuning in Neural Network Pruning".

    Args:
        rounds: how many.
    """

    name = "iterative"

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def sparsity(self, progress: float, final: float) -> float:
        """A stair of as many steps as there are rounds; the first one begins at once."""
        # Progress that is a fraction of the rounds may lie a rounding error below it.
        round_number = 1 + math.floor(max(progress, 0.0) * self._rounds + 1e-9)
        if round_number >= self._rounds:
            return final
        left: float = (1.0 - final) ** (round_number / self._rounds)
        return 1.0 - left


def make_schedule(name: str, *, rounds: int) -> Schedule:
    """The schedule of a recipe.

    Args:
        name: ``one-shot``, ``cubic`` or ``iterative``.
        rounds: for iterative.
    """
    every: tuple[Schedule, ...] = (OneShot(), Cubic(), Iterative(rounds))
    return {each.name: each for each in every}[name]
