"""Schedules: how much has been taken out at which moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["SCHEDULES", "Cubic", "OneShot", "Schedule"]


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


#: Every schedule by its name in recipes.
SCHEDULES: Mapping[str, Schedule] = {each.name: each for each in (OneShot(), Cubic())}
