"""Criteria: what each of them takes out of arrays made by hand."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.errors import UnsupportedError
from edgeprune.pruning.criteria import (
    L1,
    BatchNormScale,
    Evidence,
    Random,
    Regularization,
    Scores,
    Taylor,
    comparable_scores,
    criteria,
)
from edgeprune.pruning.patterns import Tiles, single_weights
from edgeprune.pruning.structures import Channel
from edgeprune.recipe.pruning import Criterion

#: Two inputs, two outputs.
WEIGHTS = np.array([[1.0, -2.0], [0.0, 0.5]], dtype=np.float32)

#: Of two batches.
GRADIENTS = np.array([[[4.0, 1.0], [9.0, 2.0]], [[-4.0, 3.0], [1.0, -4.0]]], dtype=np.float32)

EVERY = criteria(seed=1)


def evidence(**known: NDArray[np.float32] | None) -> Evidence:
    given: dict[str, Any] = {"layer": "layer", "weights": WEIGHTS, "gradients": GRADIENTS}
    return Evidence(**given | known)


def of_weights(name: str, what: Evidence) -> list[list[float]]:
    return single(EVERY[name].scores(what, single_weights().pool))


def single(scores: Scores) -> list[list[float]]:
    """Scores of single weights in the kernel's shape."""
    rows: list[list[float]] = scores.reshape(WEIGHTS.shape).tolist()
    return rows


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1", [[1, 2], [0, 0.5]]),
        ("l2", [[1, 4], [0, 0.25]]),
        ("magnitude", [[1, 2], [0, 0.5]]),
        ("l1-penalty", [[1, 2], [0, 0.5]]),
        ("l2-penalty", [[1, 4], [0, 0.25]]),
        ("gradient", [[0, 2], [5, 1]]),
        ("taylor", [[16, (4 + 36) / 2], [0, (1 + 4) / 2]]),
    ],
)
def test_scores_of_single_weights(name: str, expected: list[list[float]]) -> None:
    assert of_weights(name, evidence()) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("l1", [1, 2.5]), ("l2", [1, 4.25]), ("magnitude", [1, 2.5]), ("gradient", [5, 3])],
)
def test_scores_of_filters_are_sums(name: str, expected: list[float]) -> None:
    assert EVERY[name].scores(evidence(), Channel().pool).tolist() == expected


def test_filter_norms_can_disagree() -> None:
    """One large weight has the larger L2 norm, many middling ones the larger L1 norm."""
    filters = evidence(weights=np.array([[3.0, 2.0], [0.0, 2.0]], dtype=np.float32))
    assert EVERY["l1"].scores(filters, Channel().pool).argmax() == 1
    assert EVERY["l2"].scores(filters, Channel().pool).argmax() == 0


def test_taylor_squares_what_goes_at_once_as_one() -> None:
    """Two weights whose changes cancel cost nothing together."""
    weights = np.array([[1.0], [1.0]], dtype=np.float32)
    slopes = np.array([[[3.0], [-3.0]]], dtype=np.float32)
    both = Evidence("layer", weights, gradients=slopes)
    assert Taylor().scores(both, Tiles(1, 2).pool).ravel().tolist() == [0]
    assert Taylor().scores(both, single_weights().pool).ravel().tolist() == [9, 9]


def test_taylor_of_channels_is_the_mean_square_at_their_gates() -> None:
    gates = np.array([[3.0, 1.0], [-3.0, 2.0]], dtype=np.float32)
    assert Taylor().scores(evidence(gates=gates), Channel().pool).tolist() == [9, 2.5]


def test_movement_takes_out_what_shrinks_however_large_it_is() -> None:
    movement = np.array([[-1.0, 0.5], [0.1, -3.0]], dtype=np.float32)
    scores = of_weights("movement", evidence(movement=movement))
    assert np.array(scores).argmin() == 3
    assert np.array(scores).argmax() == 1


def test_batchnorm_scale_of_a_channel_is_the_size_of_its_factor() -> None:
    known = evidence(scale=np.array([-3.0, 0.5], dtype=np.float32))
    assert BatchNormScale().scores(known, Channel().pool).tolist() == [3, 0.5]


def test_batchnorm_scale_of_a_weight_is_its_part_of_its_channel_s() -> None:
    """A filter's own scale means nothing: the normalization undoes it."""
    known = evidence(scale=np.array([-3.0, 0.5], dtype=np.float32))
    expected = [[3 * 1 / 0.5, 0.5 * 2 / 1.25], [0, 0.5 * 0.5 / 1.25]]
    assert of_weights("batchnorm", known) == pytest.approx(np.array(expected))
    larger = evidence(scale=known.scale, weights=WEIGHTS * np.float32(8))
    assert of_weights("batchnorm", larger) == pytest.approx(np.array(expected))


def test_batchnorm_scale_of_a_silent_filter_is_zero() -> None:
    silent = evidence(weights=np.zeros((2, 2), np.float32), scale=np.ones(2, np.float32))
    assert of_weights("batchnorm", silent) == [[0, 0], [0, 0]]


def test_a_layer_without_batchnorm_is_named() -> None:
    with pytest.raises(UnsupportedError, match="no batch normalization") as caught:
        of_weights("batchnorm", evidence())
    assert caught.value.where == "layer layer"
    assert "pruning.exclude" in (caught.value.hint or "")


def test_random_is_of_the_seed_and_the_layer_alone() -> None:
    pool = single_weights().pool
    drawn = single(Random(1).scores(evidence(), pool))
    assert drawn == single(Random(1).scores(evidence(weights=WEIGHTS + 1), pool))
    assert drawn != single(Random(2).scores(evidence(), pool))
    assert drawn != single(Random(1).scores(Evidence("another", WEIGHTS), pool))


def test_scores_without_a_unit_are_measured_by_the_layer_s_mean() -> None:
    assert comparable_scores(L1(), evidence(), Channel().pool).tolist() == [1 / 1.75, 2.5 / 1.75]
    larger = evidence(weights=1000 * WEIGHTS)
    assert comparable_scores(L1(), larger, Channel().pool).tolist() == [1 / 1.75, 2.5 / 1.75]
    known = evidence(scale=np.array([-3.0, 0.5], dtype=np.float32))
    assert comparable_scores(BatchNormScale(), known, Channel().pool).tolist() == [3, 0.5]


def test_a_layer_without_any_score_has_no_say() -> None:
    silent = evidence(weights=np.zeros((2, 2), np.float32))
    assert comparable_scores(L1(), silent, Channel().pool).tolist() == [0, 0]


def test_what_is_trained_with_a_penalty() -> None:
    wanted = {name: each.regularization for name, each in EVERY.items() if each.regularization}
    assert wanted == {
        "batchnorm": Regularization("l1", "scales"),
        "l1-penalty": Regularization("l1", "kernels"),
        "l2-penalty": Regularization("l2", "kernels"),
    }


def test_recipes_can_name_every_criterion_and_each_carries_a_paper() -> None:
    assert set(get_args(Criterion)) == set(EVERY)
    for name, criterion in EVERY.items():
        assert criterion.name == name
        assert "20" in (type(criterion).__doc__ or "")
