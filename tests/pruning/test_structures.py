"""Structures on channel maps made by hand: what is taken out, and what it is joined with."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.pruning.channels import ChannelMap, ChannelNumbers, Kernel, Variable, group_kernels
from edgeprune.pruning.masks import channel_masks
from edgeprune.pruning.structures import Channel, Structure, Unstructured, make_structure

#: Two layers of four channels that an addition joins, then a layer of two that goes out.
STEM, BLOCK, HEAD = "stem", "block", "head"


def joined() -> ChannelMap:
    numbers = ChannelNumbers()
    inputs, stem, block, head = (numbers.new(count) for count in (3, 4, 4, 2))
    numbers.join(stem, block)
    outputs = {STEM: stem, BLOCK: numbers.resolve(block), HEAD: head}
    sources = {STEM: inputs, BLOCK: stem, HEAD: stem}
    kernels = tuple(Kernel(name, f"{name}/kernel", outputs[name]) for name in outputs)
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


def scores(**rows: list[float]) -> dict[str, NDArray[np.float32]]:
    """Each layer's scores: the given row of filters, twice below each other, halved."""
    given = {STEM: [1.0] * 4, BLOCK: [1.0] * 4, HEAD: [1.0] * 2, **rows}
    heights = {STEM: 3, BLOCK: 4, HEAD: 4}
    return {
        name: np.tile(np.array(row, np.float32) / heights[name], (heights[name], 1))
        for name, row in given.items()
    }


def kept_of_stem(structure: Structure, rows: dict[str, NDArray[np.float32]], s: float) -> list[int]:
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


def test_joined_layers_have_the_same_say_whatever_their_size() -> None:
    rows = scores(stem=[1, 2, 3, 4], block=[4_000, 3_000, 2_000, 100])
    assert kept_of_stem(Channel(), rows, 0.25) == [0, 1, 2]


def test_a_layer_without_any_score_has_no_say() -> None:
    assert kept_of_stem(Channel(), scores(stem=[0, 0, 0, 0], block=[3, 1, 2, 4]), 0.5) == [0, 3]


@pytest.mark.parametrize(
    ("sparsity", "multiple", "kept"),
    [(0.0, 1, 4), (0.25, 1, 3), (0.3, 2, 2), (0.2, 2, 4), (0.9, 2, 2), (0.98, 1, 1), (0.5, 8, 4)],
)
def test_kept_channels_are_rounded_to_a_multiple(sparsity: float, multiple: int, kept: int) -> None:
    rows = scores(stem=[4, 3, 2, 1])
    assert len(kept_of_stem(Channel(multiple), rows, sparsity)) == kept


def test_excluding_one_layer_keeps_all_that_it_is_joined_with() -> None:
    assert kept_of_stem(Channel(excluded={BLOCK}), scores(stem=[4, 3, 2, 1]), 0.5) == [0, 1, 2, 3]


def test_what_was_taken_out_never_comes_back() -> None:
    channels = joined()
    for structure, path in ((Channel(), "stem/kernel"), (Unstructured(), "stem/kernel")):
        first = structure.masks(channels, scores(stem=[4, 3, 2, 1]), 0.25)
        second = structure.masks(channels, scores(stem=[1, 2, 3, 400]), 0.5, first)
        gone = ~first.variables[path]
        assert gone.any()
        assert not second.variables[path][gone].any()
        assert second.variables[path].sum() < first.variables[path].sum()


def test_unstructured_takes_the_lowest_weights_of_each_layer() -> None:
    rows = {
        STEM: np.arange(12, dtype=np.float32).reshape(3, 4),
        BLOCK: np.arange(16, 0, -1, dtype=np.float32).reshape(4, 4),
        HEAD: np.arange(8, dtype=np.float32).reshape(4, 2),
    }
    masks = Unstructured(excluded={HEAD}).masks(joined(), rows, 0.5)
    assert masks.channels is None
    assert set(masks.variables) == {"stem/kernel", "block/kernel"}
    assert np.array_equal(masks.variables["stem/kernel"], rows[STEM] >= 6)
    assert np.array_equal(masks.variables["block/kernel"], rows[BLOCK] > 8)


@pytest.mark.parametrize("sparsity", [0.0, 0.33, 0.9])
def test_unstructured_takes_exactly_the_share_even_of_equal_scores(sparsity: float) -> None:
    masks = Unstructured().masks(joined(), scores(), sparsity)
    assert (~masks.variables["block/kernel"]).sum() == round(sparsity * 16)


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
        Kernel(name, name, numbers.resolve(each))
        for name, each in (("left", left), ("right", right), ("wide", wide))
    ]
    (group,) = group_kernels(kernels, np.empty(0, np.int64))
    assert set(group.layers) == {"left", "right", "wide"}
    assert len(group.channels) == 5


def test_recipes_name_structures() -> None:
    assert make_structure("channel", multiple=4, excluded=()).name == "channel"
    assert make_structure("unstructured", multiple=4, excluded=()).name == "unstructured"
