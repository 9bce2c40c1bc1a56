"""Criteria: scores of arrays made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.pruning.criteria import CRITERIA, Evidence
from edgeprune.recipe import Pruning

WEIGHTS = np.array([[1.0, -2.0], [0.0, 0.5]], dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1", [[1, 2], [0, 0.5]]),
        ("l2", [[1, 4], [0, 0.25]]),
        ("magnitude", [[1, 2], [0, 0.5]]),
    ],
)
def test_scores(name: str, expected: list[list[float]]) -> None:
    scores = CRITERIA[name].scores(Evidence("layer", WEIGHTS))
    assert scores.dtype == np.float32
    assert scores.tolist() == expected


def test_filter_norms_can_disagree() -> None:
    """One large weight has the larger L2 norm, many middling ones the larger L1 norm."""
    filters = np.array([[3.0, 2.0], [0.0, 2.0]], dtype=np.float32)
    evidence = Evidence("layer", filters)
    assert CRITERIA["l1"].scores(evidence).sum(axis=0).argmax() == 1
    assert CRITERIA["l2"].scores(evidence).sum(axis=0).argmax() == 0


def test_every_criterion_carries_its_own_name_and_a_paper() -> None:
    for name, criterion in CRITERIA.items():
        assert criterion.name == name
        assert "20" in (type(criterion).__doc__ or "")


def test_recipes_can_name_every_criterion() -> None:
    assert {Pruning(criterion="l1").criterion, Pruning(criterion="l2").criterion} < set(CRITERIA)
    assert Pruning(structure="unstructured", criterion="magnitude").criterion in CRITERIA
