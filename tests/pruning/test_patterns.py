"""Patterns of zeros: their shape, and what they choose in kernels made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.pruning.allocation import Global
from edgeprune.pruning.channels import ChannelMap, ChannelNumbers, Kernel
from edgeprune.pruning.masks import Mask
from edgeprune.pruning.patterns import Pattern, Tiles, WeightGroups, Weights, single_weights


def network(**shapes: tuple[int, ...]) -> ChannelMap:
    """Kernels of the given shapes."""
    numbers = ChannelNumbers()
    kernels = tuple(
        Kernel(name, name, shape, numbers.new(shape[-1])) for name, shape in shapes.items()
    )
    return ChannelMap(len(numbers), tuple(shapes), {}, kernels, {}, ())


def mask_of(
    pattern: Pattern, values: NDArray[np.floating], sparsity: float, before: Mask | None = None
) -> Mask:
    """What stays of one kernel whose weights are scored by their size."""
    structure = Weights("any", pattern)
    scores = {"layer": np.asarray(structure.pool(np.abs(values)), np.float64)}
    channels = network(layer=values.shape)
    previous = None
    if before is not None:
        previous = type(structure.masks(channels, scores, 0.0))({"layer": before})
    return structure.masks(channels, scores, sparsity, previous).variables["layer"]


def drawn(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(7).permutation(int(np.prod(shape))).reshape(shape) + 1.0


def test_unstructured_takes_the_lowest_weights() -> None:
    values = drawn(3, 1, 4, 6)
    assert np.array_equal(mask_of(single_weights(), values, 0.25), values > 0.25 * values.size)


@pytest.mark.parametrize("sparsity", [0.0, 0.33, 0.9])
def test_unstructured_takes_exactly_the_share_even_of_equal_scores(sparsity: float) -> None:
    mask = mask_of(single_weights(), np.ones((4, 4)), sparsity)
    assert (~mask).sum() == round(sparsity * 16)


def test_a_block_is_four_neighbouring_inputs_of_one_output() -> None:
    """It starts at a multiple of four, as the compiled kernels read it."""
    values = np.full((1, 1, 8, 3), 9.0)
    values[0, 0, 4:, 1] = 1.0
    values[0, 0, 2:6, 2] = 0.5  # lower, but across two blocks: 19 each
    mask = mask_of(Tiles(1, 4), values, 1 / 6)
    assert np.argwhere(~mask).tolist() == [[0, 0, row, 1] for row in (4, 5, 6, 7)]


@pytest.mark.parametrize(("outputs", "inputs"), [(2, 1), (1, 2), (2, 3), (4, 2)])
def test_blocks_of_other_shapes_go_whole(outputs: int, inputs: int) -> None:
    mask = mask_of(Tiles(outputs, inputs), drawn(2, 1, 6, 8), 0.5)
    tiled = mask.reshape(2, 6 // inputs, inputs, 8 // outputs, outputs)
    whole = tiled.sum(axis=(2, 4))
    assert set(np.unique(whole)) == {0, outputs * inputs}
    assert (~mask).mean() == 0.5


def test_edges_that_fill_no_block_stay() -> None:
    mask = mask_of(Tiles(2, 4), drawn(1, 1, 10, 5), 0.98)
    assert mask[..., 8:, :].all()
    assert mask[..., 4:].all()
    assert not mask[..., :8, :4].any()


@pytest.mark.parametrize(("kept", "size"), [(2, 4), (1, 4), (4, 8)])
def test_of_m_neighbours_n_stay_and_they_are_the_largest(kept: int, size: int) -> None:
    values = drawn(3, 1, 16, 4)
    mask = mask_of(WeightGroups(kept, size), values, 1 - kept / size)
    groups = values.reshape(3, 16 // size, size, 4)
    threshold = np.sort(groups, axis=2)[:, :, size - kept, None]
    assert np.array_equal(mask, (groups >= threshold).reshape(values.shape))


def test_below_the_final_sparsity_no_group_has_lost_more_than_it_may() -> None:
    values = drawn(1, 1, 16, 4)
    mask = mask_of(WeightGroups(2, 4), values, 0.3)
    groups = mask.reshape(4, 4, 4).sum(axis=1)
    assert (~mask).sum() == round(0.3 * 64)
    assert groups.min() == 2
    later = mask_of(WeightGroups(2, 4), values[..., ::-1], 0.5, before=mask)
    assert not later[~mask].any()
    assert (later.reshape(4, 4, 4).sum(axis=1) == 2).all()


def test_inputs_that_fill_no_group_stay() -> None:
    assert mask_of(WeightGroups(1, 4), drawn(1, 1, 6, 2), 0.75)[..., 4:, :].all()


@pytest.mark.parametrize("pattern", [single_weights(), Tiles(1, 4), Tiles(2, 2)])
def test_what_was_taken_out_never_comes_back(pattern: Pattern) -> None:
    values = drawn(1, 1, 8, 8)
    first = mask_of(pattern, values, 0.25)
    second = mask_of(pattern, values.max() + 1 - values, 0.5, before=first)
    assert not second[~first].any()
    assert (~second).mean() == 0.5


def test_global_allocation_takes_weights_where_they_count_least() -> None:
    structure = Weights("unstructured", single_weights(), Global(floor=0.5))
    channels = network(low=(4, 4), high=(4, 4))
    scores = {"low": structure.pool(drawn(4, 4)), "high": structure.pool(drawn(4, 4) + 100)}
    masks = structure.masks(channels, scores, 0.5)
    assert masks.channels is None
    assert {name: int(mask.sum()) for name, mask in masks.variables.items()} == {
        "low": 4,
        "high": 12,
    }


def test_excluded_layers_and_those_too_small_stay_whole() -> None:
    channels = network(stem=(3, 3, 1, 8), pointwise=(1, 1, 8, 8), classifier=(8, 4))
    structure = Weights("block", Tiles(1, 4), excluded={"classifier"})
    assert [each.layer for each in structure.prunable(channels)] == ["pointwise"]
    masks = structure.masks(channels, {"pointwise": np.ones((1, 2, 8))}, 0.5)
    assert set(masks.variables) == {"pointwise"}


@pytest.mark.parametrize(
    ("pattern", "where"),
    [(Tiles(1, 16), "pruning.block = [1, 16]"), (WeightGroups(8, 16), 'pruning.pattern = "8:16"')],
)
def test_a_pattern_that_fits_no_layer_is_named(pattern: Pattern, where: str) -> None:
    with pytest.raises(TrainingError, match="has as many channels") as caught:
        Weights("any", pattern).prunable(network(pointwise=(1, 1, 8, 8)))
    assert caught.value.where == where


def test_without_a_layer_there_is_nothing_to_prune() -> None:
    with pytest.raises(TrainingError, match="every layer is left alone"):
        Weights("any", single_weights(), excluded={"a"}).prunable(network(a=(4, 4)))
