"""Where every buffer lies in the arena, decided before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgeprune.codegen.chain_plan import place_chain
from edgeprune.codegen.distances import ALIGNMENT, Buffer, Permit, Problem, align
from edgeprune.codegen.search_plan import search

__all__ = ["ALIGNMENT", "Buffer", "Permit", "Placement", "align", "lower_bound", "plan"]


@dataclass(frozen=True)
class Placement:
    """A plan.

    Attributes:
        offsets: key of a buffer to its offset.
        size: of the arena that holds all of them.
        bound: no plan is smaller; ``size`` may be above it even where it is the smallest.
        is_optimal: whether ``size`` is known to be the smallest.
    """

    offsets: dict[object, int]
    size: int
    bound: int = field(default=0, compare=False)
    is_optimal: bool = field(default=True, compare=False)


def plan(buffers: Sequence[Buffer], permits: Sequence[Permit] = ()) -> Placement:
    """Place buffers so that those in use at one step overlap only as permitted.

    A chain, where each block is in use together with its neighbours and one scratch buffer only,
    is planned exactly. For other graphs a deterministic search of bounded length starts from
    greedy plans (Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net
    Inference").

    Args:
        buffers: with different keys.
        permits: pairs of buffers that may overlap in certain ways.

    Raises:
        ValueError: a permit names no buffer of the plan.
    """
    keys = {buffer.key for buffer in buffers}
    for name in (name for each in permits for name in (each.output, each.input)):
        if name not in keys:
            raise ValueError(f"a permit names {name!r}, which is no buffer")
    problem = Problem(buffers, permits)
    bound = lower_bound(buffers, permits)
    lowest = -(-bound // ALIGNMENT)
    positions = place_chain(problem, lowest)
    is_chain = positions is not None
    if positions is None:
        positions = search(problem, lowest)
    size = problem.extent(positions) * ALIGNMENT
    return Placement(
        offsets={
            buffer.key: positions[problem.block_of[buffer.key]] * ALIGNMENT + buffer.offset
            for buffer in buffers
        },
        size=size,
        bound=bound,
        is_optimal=is_chain or size == bound,
    )


def lower_bound(buffers: Sequence[Buffer], permits: Sequence[Permit] = ()) -> int:
    """The most bytes that are in use at one step: no plan is smaller."""
    by_key = {buffer.key: buffer for buffer in buffers}
    savings: dict[int, int] = {}
    for permit in permits:
        output, source = by_key[permit.output], by_key[permit.input]
        step = output.first
        if source.last != step:
            continue
        saved = align(output.size) + align(source.size) - _together(output, source, permit)
        savings[step] = savings.get(step, 0) + saved
    bytes_at = {buffer.first: 0 for buffer in buffers}
    for step in bytes_at:
        live = [each for each in buffers if each.first <= step <= each.last]
        bytes_at[step] = _union_bytes(live) - savings.get(step, 0)
    return align(max(bytes_at.values(), default=0))


def _together(output: Buffer, source: Buffer, permit: Permit) -> int:
    """The fewest bytes that both take."""
    out, into = align(output.size), align(source.size)
    lead = permit.lead if permit.exact else max(0, permit.lead)
    union = max(out, lead + into) - min(0, lead)
    return max(out, into, min(out + into, union // ALIGNMENT * ALIGNMENT))


def _union_bytes(live: Sequence[Buffer]) -> int:
    """Bytes of all buffers, those that a block needs for several of them counted once."""
    blocks: dict[object, list[Buffer]] = {}
    for buffer in live:
        blocks.setdefault(("own", buffer.key) if buffer.block is None else buffer.block, []).append(
            buffer
        )
    # What lies in the middle of a block may start in the padding behind another buffer.
    is_padded = not any(buffer.offset % ALIGNMENT for buffer in live)
    return sum(_covered(members, is_padded=is_padded) for members in blocks.values())


def _covered(members: Sequence[Buffer], *, is_padded: bool) -> int:
    covered = end = 0
    for buffer in sorted(members, key=lambda each: each.offset):
        start = max(end, buffer.offset)
        stop = buffer.offset + (align(buffer.size) if is_padded else buffer.size)
        covered += max(0, stop - start)
        end = max(end, stop)
    return covered
