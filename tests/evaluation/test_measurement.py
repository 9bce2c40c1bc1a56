"""Accuracy with its interval, and the confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.evaluation.measurement import Accuracy, confusion_matrix


@pytest.mark.parametrize(
    ("correct", "clips", "low", "high"),
    [
        # Wilson intervals by an independent formula, as tabulated by Newcombe (1998).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (29, 29, 0.8830, 1.0000),
    ],
)
def test_the_interval_is_wilsons(correct: int, clips: int, low: float, high: float) -> None:
    accuracy = Accuracy.of(correct, clips)
    assert (accuracy.low, accuracy.high) == pytest.approx((low, high), abs=1e-4)
    assert accuracy.low <= accuracy.fraction <= accuracy.high


def test_scores_are_counted_by_their_highest() -> None:
    scores = np.array([[1, 5, 3], [9, 0, 0], [0, 0, 7], [-128, -128, 127]], dtype=np.int8)
    labels = np.array([1, 1, 2, 0], dtype=np.int16)
    accuracy = Accuracy.from_scores(scores, labels)
    assert (accuracy.correct, accuracy.clips) == (2, 4)
    assert confusion_matrix(scores, labels, 3) == [[0, 0, 1], [1, 1, 0], [0, 0, 1]]
