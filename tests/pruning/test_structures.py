"""Structures on channel maps made by hand: what is taken out, and what it is joined with."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.pruning.allocation import Global
from edgeprune.pruning.channels import ChannelMap, ChannelNumbers, Kernel, Variable, group_kernels
from edgeprune.pruning.masks import channel_masks
from edgeprune.pruning.structures import Channel, Structure

#: Two layers of four channels that an addition joins, then a layer of two that goes out.
STEM, BLOCK, HEAD = "stem", "block", "head"


def joined() -> ChannelMap:
    numbers = ChannelNumbers()
    inputs, stem, block, head = (numbers.new(count) for count in (3, 4, 4, 2))
    numbers.join(stem, block)
    outputs = {STEM: stem, BLOCK: numbers.resolve(block), HEAD: head}
    sources = {STEM: inputs, BLOCK: stem, HEAD: stem}
    kernels = tuple(
        Kernel(name, f"{name}/kernel", (len(sources[name]), len(outputs[name])), outputs[name])
        for name in outputs
    )
    variables = {
        f"{name}/kernel": Variable(
            f"{name}/kernel",
            (len(sources[name]), len(outputs[name])),
            {0: sources[name], 1: outputs[name]},
            1,
        )
        for name in outputs
    }
    variables["stem_norm/gamma"] = Variable("stem_norm/gamma", (4,), {0: stem}, 0)
    variables["stem_norm/variance"] = Variable("stem_norm/variance", (4,), {0: stem}, None)
    return ChannelMap(
        count=len(numbers),
        layers=(STEM, BLOCK, HEAD),
        variables=variables,
        kernels=kernels,
        outputs=outputs,
        groups=group_kernels(kernels, np.concatenate([inputs, head])),
    )


def scores(**rows: list[float]) -> dict[str, NDArray[np.float64]]:
    """A score a channel; 1 where none is given."""
    given = {STEM: [1.0] * 4, BLOCK: [1.0] * 4, HEAD: [1.0] * 2, **rows}
    return {name: np.array(row) for name, row in given.items()}


def kept_of_stem(structure: Structure, rows: dict[str, NDArray[np.float64]], s: float) -> list[int]:
    masks = structure.masks(joined(), rows, s)
    assert masks.channels is not None
    return np.flatnonzero(masks.channels[joined().outputs[STEM]]).tolist()


def test_additions_join_channels_into_one_group() -> None:
    groups = joined().groups
    assert [(group.layers, len(group.channels), group.fixed) for group in groups] == [
        ((STEM, BLOCK), 4, False),
        ((HEAD,), 2, True),
    ]


def test_channels_with_the_lowest_sum_go_in_every_joined_layer() -> None:
    masks = Channel().masks(joined(), scores(stem=[4, 1, 2, 3]), 0.5)
    assert masks.channels is not None
    assert masks.variables["stem/kernel"].all(axis=0).tolist() == [True, False, False, True]
    assert masks.variables["block/kernel"].all(axis=0).tolist() == [True, False, False, True]
    assert masks.variables["stem_norm/gamma"].tolist() == [True, False, False, True]
    assert masks.variables["head/kernel"].all()
    assert "stem_norm/variance" not in masks.variables


def test_joined_layers_are_added_up() -> None:
    assert kept_of_stem(Channel(), scores(stem=[1, 2, 3, 4], block=[9, 6, 3, 0]), 0.5) == [0, 1]


def test_scores_are_sums_over_filters() -> None:
    filters = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert Channel().pool(filters).tolist() == [60, 66, 72, 78]


@pytest.mark.parametrize(
    ("sparsity", "multiple", "kept"),
    [(0.0, 1, 4), (0.25, 1, 3), (0.3, 2, 2), (0.2, 2, 4), (0.9, 2, 2), (0.98, 1, 1), (0.5, 8, 4)],
)
def test_kept_channels_are_rounded_to_a_multiple(sparsity: float, multiple: int, kept: int) -> None:
    rows = scores(stem=[4, 3, 2, 1])
    assert len(kept_of_stem(Channel(multiple), rows, sparsity)) == kept


def test_excluding_one_layer_keeps_all_that_it_is_joined_with() -> None:
    assert kept_of_stem(Channel(excluded={BLOCK}), scores(stem=[4, 3, 2, 1]), 0.5) == [0, 1, 2, 3]


def test_without_a_layer_that_may_shrink_there_is_nothing_to_prune() -> None:
    assert [each.layer for each in Channel().prunable(joined())] == [STEM, BLOCK]
    with pytest.raises(TrainingError, match="shares its channels") as caught:
        Channel(excluded={BLOCK}).prunable(joined())
    assert caught.value.where == "pruning.exclude"
    assert "stem, block" in (caught.value.hint or "")


def test_what_was_taken_out_never_comes_back() -> None:
    channels = joined()
    first = Channel().masks(channels, scores(stem=[4, 3, 2, 1]), 0.25)
    second = Channel().masks(channels, scores(stem=[1, 2, 3, 400]), 0.5, first)
    assert first.variables["stem/kernel"].all(axis=0).tolist() == [True, True, True, False]
    assert second.variables["stem/kernel"].all(axis=0).tolist() == [False, True, True, False]


def apart() -> ChannelMap:
    """Two layers of four channels, one behind the other, and one that goes out."""
    numbers = ChannelNumbers()
    inputs, *outputs = (numbers.new(count) for count in (3, 4, 4, 2))
    kernels = tuple(
        Kernel(name, name, (4, len(each)), each)
        for name, each in zip((STEM, BLOCK, HEAD), outputs, strict=True)
    )
    groups = group_kernels(kernels, np.concatenate([inputs, outputs[-1]]))
    return ChannelMap(len(numbers), (STEM, BLOCK, HEAD), {}, kernels, {}, groups)


@pytest.mark.parametrize(
    ("sparsity", "floor", "kept"),
    [(0.25, 0.0, [4, 2]), (0.5, 0.0, [3, 1]), (0.5, 0.5, [3, 1]), (0.5, 1.0, [2, 2])],
)
def test_global_allocation_takes_channels_where_they_count_least(
    sparsity: float, floor: float, kept: list[int]
) -> None:
    """At least one channel stays, and what the floor holds."""
    rows = scores(stem=[5, 6, 7, 8], block=[1, 2, 3, 4])
    masks = Channel(allocation=Global(floor)).masks(apart(), rows, sparsity)
    assert masks.channels is not None
    assert [int(masks.channels[group.channels].sum()) for group in apart().groups[:2]] == kept


def test_masks_of_channels_reach_only_what_must_be_silent() -> None:
    channels = joined()
    kept = np.ones(channels.count, np.bool_)
    kept[channels.outputs[STEM][2]] = False
    masks = channel_masks(channels, kept)
    assert masks.variables["stem/kernel"].shape == (3, 4)
    assert (~masks.variables["stem/kernel"]).sum(axis=0).tolist() == [0, 0, 3, 0]
    assert masks.variables["head/kernel"].all()


def test_concatenated_layers_that_meet_a_third_are_one_group() -> None:
    numbers = ChannelNumbers()
    left, right, wide = numbers.new(2), numbers.new(3), numbers.new(5)
    numbers.join(np.concatenate([left, right]), wide)
    kernels = [
        Kernel(name, name, (1, len(each)), numbers.resolve(each))
        for name, each in (("left", left), ("right", right), ("wide", wide))
    ]
    (group,) = group_kernels(kernels, np.empty(0, np.int64))
    assert set(group.layers) == {"left", "right", "wide"}
    assert len(group.channels) == 5
