"""The arena's plan: valid, and as small as an exhaustive search where that is feasible."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeprune.codegen.memory import ALIGNMENT, Buffer, Permit, Placement, lower_bound, plan

#: The most that the plan of a small graph may exceed the smallest one by.
GRAPH_FACTOR = 1.25


def _may_lie(one: Buffer, at: int, other: Buffer, there: int, permits: list[Permit]) -> bool:
    """Whether two buffers may be at these offsets, by the words of Buffer and Permit."""
    steps = set(range(one.first, one.last + 1)) & set(range(other.first, other.last + 1))
    same_block = one.block is not None and one.block == other.block
    if not steps or same_block or at >= there + other.size or there >= at + one.size:
        return True
    if len(steps) > 1:
        return False
    offsets = {one.key: at, other.key: there}
    by_key = {one.key: one, other.key: other}
    for permit in permits:
        if {permit.output, permit.input} != set(offsets):
            continue
        output, source = by_key[permit.output], by_key[permit.input]
        ahead = offsets[permit.input] - offsets[permit.output]
        is_right = ahead == permit.lead if permit.exact else ahead >= permit.lead
        if is_right and {output.first} == {source.last} == steps != {source.first}:
            return True
    return False


def _assert_valid(
    buffers: list[Buffer], placement: Placement, permits: list[Permit] | None = None
) -> None:
    starts: dict[object, int] = {}
    for buffer in buffers:
        offset = placement.offsets[buffer.key]
        assert offset >= buffer.offset
        assert (offset - buffer.offset) % ALIGNMENT == 0
        assert offset + buffer.size <= placement.size
        if buffer.block is not None:
            start = offset - buffer.offset
            assert starts.setdefault(buffer.block, start) == start
    for one, other in itertools.combinations(buffers, 2):
        at, there = placement.offsets[one.key], placement.offsets[other.key]
        assert _may_lie(one, at, other, there, permits or []), f"{one} and {other}"
    assert lower_bound(buffers, permits or []) == placement.bound <= placement.size


def _smallest(buffers: list[Buffer], permits: list[Permit] | None = None) -> int:
    """The smallest arena there is, by trying all offsets of all blocks."""
    blocks: dict[object, list[Buffer]] = {}
    for buffer in buffers:
        key = ("buffer", buffer.key) if buffer.block is None else ("block", buffer.block)
        blocks.setdefault(key, []).append(buffer)

    def fits(rest: list[list[Buffer]], placed: list[tuple[Buffer, int]], size: int) -> bool:
        if not rest:
            return True
        members, *others = rest
        length = max(buffer.offset + buffer.size for buffer in members)
        for start in range(0, size - length + 1, ALIGNMENT):
            here = [(buffer, start + buffer.offset) for buffer in members]
            if all(
                _may_lie(one, at, other, there, permits or [])
                for one, at in here
                for other, there in placed
            ) and fits(others, placed + here, size):
                return True
        return False

    size = 0
    while not fits(list(blocks.values()), [], size):
        size += ALIGNMENT
    return size


_SIZES = st.one_of(st.integers(1, 4).map(lambda units: units * ALIGNMENT), st.integers(1, 40))
_LEADS = st.one_of(st.just(0), st.sampled_from([-16, -8, 3, 8, 16, 24]))


@st.composite
def _chains(draw: st.DrawFn) -> tuple[list[Buffer], list[Permit]]:
    """Each layer reads the last tensor and writes the next, some with scratch, some in place."""
    count = draw(st.integers(1, 4))
    buffers = [Buffer(key, draw(_SIZES), key - 1, key) for key in range(count)]
    permits = [
        Permit(key, key - 1, draw(_LEADS), draw(st.booleans()))
        for key in range(1, count)
        if draw(st.booleans())
    ]
    for key in range(1, min(count, 3)):
        if draw(st.booleans()):
            buffers.append(Buffer(("scratch", key), draw(_SIZES), key - 1, key - 1))
    return buffers, permits


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[list[Buffer], list[Permit]]:
    """Buffers that live as long as they like, some of them in blocks of two."""
    buffers = []
    for key in range(draw(st.integers(1, 6))):
        first = draw(st.integers(0, 4))
        last = first + draw(st.integers(0, 3))
        buffers.append(Buffer(key, draw(_SIZES), first, last))
    if len(buffers) > 2 and draw(st.booleans()):
        one, other = buffers[0], buffers[1]
        offset = draw(st.integers(0, 6)) * 4
        buffers[:2] = [
            Buffer(one.key, one.size, one.first, one.last, "block", 0),
            Buffer(other.key, other.size, other.first, other.last, "block", offset),
        ]
    permits = [
        Permit(output.key, source.key, draw(_LEADS), draw(st.booleans()))
        for output, source in itertools.permutations(buffers, 2)
        if output.first > source.first
        and (output.block is None or output.block != source.block)
        and draw(st.booleans())
    ]
    return buffers, permits


def _chain(sizes: list[int]) -> list[Buffer]:
    """Each layer reads the last tensor and writes the next."""
    return [Buffer(key=i, size=size, first=i - 1, last=i) for i, size in enumerate(sizes)]


def test_a_chain_takes_its_largest_neighbours() -> None:
    buffers = _chain([490, 8000, 8000, 8000, 64, 12])
    placement = plan(buffers)
    _assert_valid(buffers, placement)
    assert placement.size == 16_000
    assert placement.is_optimal


def test_a_chain_in_place_takes_its_largest_tensor_and_scratch() -> None:
    buffers = _chain([490, 8000, 8000, 8000, 64])
    buffers += [Buffer("rows", 1728, 1, 1), Buffer("pixel", 512, 2, 2)]
    permits = [Permit(2, 1, lead=0, exact=True), Permit(3, 2, lead=0)]
    placement = plan(buffers, permits)
    _assert_valid(buffers, placement, permits)
    assert placement.size == 8000 + 1728
    assert placement.offsets[1] == placement.offsets[2]


def test_an_output_that_leads_lies_below_its_input() -> None:
    buffers = _chain([1000, 1000, 1000])
    permits = [Permit(1, 0, lead=80), Permit(2, 1, lead=40)]
    placement = plan(buffers, permits)
    _assert_valid(buffers, placement, permits)
    assert placement.size == 1120
    assert placement.bound == 1080
    assert placement.is_optimal


def test_a_permit_of_two_that_are_both_needed_later_is_void() -> None:
    buffers = [Buffer("input", 64, -1, 3), Buffer("output", 64, 1, 4)]
    assert plan(buffers, [Permit("output", "input")]).size == 128


def test_a_permit_does_not_hold_for_what_else_lies_there() -> None:
    buffers = [
        Buffer("kept", 64, 0, 3, block="a", offset=0),
        Buffer("input", 64, 0, 1, block="a", offset=0),
        Buffer("output", 64, 1, 4),
    ]
    assert plan(buffers, [Permit("output", "input")]).size == 128


def test_buffers_of_a_block_leave_their_gaps_to_others() -> None:
    buffers = [
        Buffer("left", 64, 0, 2, block="row", offset=0),
        Buffer("right", 64, 2, 2, block="row", offset=64),
        Buffer("before", 64, 0, 1),
    ]
    placement = plan(buffers)
    _assert_valid(buffers, placement)
    assert placement.size == 128


@settings(max_examples=300, deadline=None)
@given(_chains())
@example(([Buffer(0, 8, -1, 0), Buffer(1, 40, 0, 1), Buffer(2, 8, 1, 2)], [Permit(1, 0, lead=24)]))
def test_chains_are_planned_optimally(chain: tuple[list[Buffer], list[Permit]]) -> None:
    buffers, permits = chain
    placement = plan(buffers, permits)
    _assert_valid(buffers, placement, permits)
    assert placement.size == _smallest(buffers, permits)


@pytest.mark.parametrize("seed", range(20))
def test_long_chains_reach_the_bound(seed: int) -> None:
    rng = random.Random(seed)
    buffers = _chain([rng.randrange(1, 3000) for _ in range(rng.randrange(2, 30))])
    placement = plan(buffers)
    _assert_valid(buffers, placement)
    assert placement.size == lower_bound(buffers)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(_graphs())
@example(
    (
        [Buffer(0, 8, 0, 2), Buffer(1, 8, 2, 3), Buffer(2, 8, 3, 4), Buffer(3, 16, 2, 2)],
        [Permit(3, 0)],
    )
)
def test_small_graphs_against_an_exhaustive_search(
    graph: tuple[list[Buffer], list[Permit]],
) -> None:
    buffers, permits = graph
    placement = plan(buffers, permits)
    _assert_valid(buffers, placement, permits)
    smallest = _smallest(buffers, permits)
    assert placement.bound <= smallest <= placement.size <= GRAPH_FACTOR * smallest
    assert not placement.is_optimal or placement.size == smallest


def _random_graph(rng: random.Random, layers: int) -> tuple[list[Buffer], list[Permit]]:
    """Layers with scratch, some in place, some read again much later."""
    buffers = []
    for layer in range(layers):
        later = rng.randrange(8) if rng.random() < 0.3 else 0
        buffers.append(Buffer(layer, rng.randrange(1, 2000), layer - 1, layer + later))
    permits = [
        Permit(layer, layer - 1, rng.choice([0, 0, 16, -8]), rng.random() < 0.3)
        for layer in range(1, layers)
        if buffers[layer - 1].last == layer - 1 and rng.random() < 0.7
    ]
    for layer in range(0, layers, 2):
        buffers.append(Buffer(("scratch", layer), rng.randrange(1, 500), layer, layer))
    return buffers, permits


@pytest.mark.parametrize("layers", [5, 20, 60])
@pytest.mark.parametrize("seed", range(5))
def test_graphs_are_near_the_bound(layers: int, seed: int) -> None:
    buffers, permits = _random_graph(random.Random(seed), layers)
    placement = plan(buffers, permits)
    _assert_valid(buffers, placement, permits)
    assert placement.size <= 1.05 * placement.bound


def test_a_thousand_layers_take_seconds_at_most() -> None:
    buffers, permits = _random_graph(random.Random(1), 1000)
    start = time.process_time()
    placement = plan(buffers, permits)
    assert time.process_time() - start < 5
    assert placement.size <= 1.1 * placement.bound


def test_a_plan_repeats() -> None:
    buffers, permits = _random_graph(random.Random(3), 60)
    assert plan(buffers, permits).offsets == plan(buffers, permits).offsets


def test_a_permit_of_an_unknown_buffer_is_an_error() -> None:
    with pytest.raises(ValueError, match="'output'"):
        plan(_chain([8, 8]), [Permit("output", 0)])


def test_nothing_takes_nothing() -> None:
    assert plan([]) == Placement(offsets={}, size=0)
    assert lower_bound([]) == 0
