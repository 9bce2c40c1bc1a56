"""Smoothing, thresholds, refractory time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.detector import Detection, Detector

LABELS = ("silence", "yes", "no")


def _detector(**options: Any) -> Detector:
    defaults: dict[str, Any] = {
        "thresholds": {},
        "threshold": 0.7,
        "smoothing": 1,
        "refractory_s": 0.0,
    }
    return Detector(LABELS, **{**defaults, **options})


def _heard(detector: Detector, *yes: float) -> list[float]:
    """The times, in steps of 0.1 s, at which ``yes`` is detected."""
    found = []
    for step, score in enumerate(yes):
        detection = detector.push(np.array([1 - score, score, 0]), step / 10)
        if detection is not None:
            assert detection.label == "yes"
            found.append(detection.at_s)
    return found


def test_a_keyword_is_heard_once_until_it_fades() -> None:
    assert _heard(_detector(), 0, 0.69, 0.7, 0.9, 0.9, 0.6, 0.8) == [0.2, 0.6]


def test_posteriors_are_averaged_over_the_window() -> None:
    assert _heard(_detector(smoothing=3), 0, 0, 1, 1, 1, 0) == [0.4]
    assert _heard(_detector(smoothing=3), 0, 0, 1, 0, 1, 0) == []
    detection = _detector(smoothing=2, threshold=0.5).push(np.array([0.25, 0.75, 0]), 1.5)
    assert detection == Detection("yes", 0.75, 1.5)


def test_nothing_is_heard_in_the_refractory_time() -> None:
    scores = (0.9, 0, 0.9, 0, 0.9, 0)
    assert _heard(_detector(refractory_s=0.3), *scores) == [0, 0.4]
    assert _heard(_detector(refractory_s=0.1), *scores) == [0, 0.2, 0.4]


def test_a_keyword_that_comes_in_the_refractory_time_and_stays_is_heard_after_it() -> None:
    detector = _detector(refractory_s=0.35)
    assert detector.push(np.array([0, 0, 1.0]), 0) == Detection("no", 1.0, 0)
    found = [detector.push(np.array([0, 1.0, 0]), step / 10) for step in range(1, 6)]
    assert [each is not None for each in found] == [False, False, False, True, False]


def test_every_keyword_may_have_its_own_threshold() -> None:
    detector = _detector(thresholds={"no": 0.3})
    assert detector.push(np.array([0.4, 0.2, 0.4]), 0) == Detection("no", 0.4, 0)
    assert _heard(_detector(thresholds={"yes": 0.95}), 0.94, 0.96) == [0.1]


def test_only_the_likeliest_keyword_is_heard() -> None:
    detector = _detector(threshold=0.2)
    found = detector.push(np.array([0.0, 0.45, 0.55]), 0)
    assert found is not None
    assert found.label == "no"


@pytest.mark.parametrize("label", ["silence", "unknown", "_unknown_"])
def test_what_is_no_keyword_is_never_heard(label: str) -> None:
    detector = Detector((label, "yes"), thresholds={}, threshold=0.1, smoothing=1, refractory_s=0)
    assert detector.keywords == ["yes"]
    assert detector.push(np.array([1.0, 0.0]), 0) is None
    found = detector.push(np.array([0.8, 0.2]), 0)
    assert found is not None
    assert found.label == "yes"
