"""The least loss at which enough is saved: one option for each of several layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_loss"]

#: Beyond this many ways to begin, savings are told apart only to one part in so many.
_FINEST = 50_000


def least_loss(
    losses: NDArray[np.float64], savings: NDArray[np.float64], goal: float
) -> tuple[int, ...] | None:
    """Choose an option for each layer such that the savings reach a goal and the losses are least.

    This is the multiple-choice knapsack problem (Sinha & Zoltners 1979). Layer by layer, those
    ways to choose are kept that no other one beats in both saving and loss: exact, and no more of
    them than there are different savings. Where they become many, the best of each fifty-thousandth
    of the greatest saving is kept: exact but for that much.

    Args:
        losses: float64 [layers, options]; added up.
        savings: float64 [layers, options]; added up; may be negative.
        goal: least sum of savings.

    Returns:
        The option of each layer; None when the goal is out of reach.
    """
    saved, lost = np.zeros(1), np.zeros(1)
    steps: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    options = losses.shape[1]
    for layer_losses, layer_savings in zip(losses, savings, strict=True):
        all_saved = (saved[:, None] + layer_savings).ravel()
        all_lost = (lost[:, None] + layer_losses).ravel()
        kept = _thinned(_unbeaten(all_saved, all_lost), all_saved)
        steps.append((kept // options, kept % options))
        saved, lost = all_saved[kept], all_lost[kept]
    enough = np.flatnonzero(saved >= goal - 1e-9 * abs(goal))
    if not enough.size:
        return None
    return _traced(steps, int(enough[np.argmin(lost[enough])]))


def _unbeaten(saved: NDArray[np.float64], lost: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows of which no other saves as much and loses less, or saves more and loses as little."""
    order = np.lexsort((-saved, lost))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(saved[order])[:-1]])
    return order[saved[order] > best_before]


def _thinned(rows: NDArray[np.intp], saved: NDArray[np.float64]) -> NDArray[np.intp]:
    """At most about :data:`_FINEST` rows of ascending loss: of equal savings the first."""
    if len(rows) <= _FINEST:
        return rows
    span = np.ptp(saved[rows]) / _FINEST
    _, first = np.unique(np.floor(saved[rows] / span), return_index=True)
    # The last row saves most: it stays, so that what is within reach remains so.
    return rows[np.union1d(first, len(rows) - 1)]


def _traced(
    steps: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]], row: int
) -> tuple[int, ...]:
    choice = []
    for before, option in reversed(steps):
        choice.append(int(option[row]))
        row = int(before[row])
    return tuple(reversed(choice))
