"""Whether a sparse network pays: the rule, and the reason in words.

A sparse network *pays* on a target when all of this holds:

1. It saves: of instructions or of flash it costs less than the dense control, the same network
   without a zero that was trained for as long.
2. It hears well enough: its int8 accuracy meets the target's accuracy budget, if there is one.
3. No rival dominates it. A rival (dense as it was trained, the control, a narrower dense network,
   4-bit weights) dominates when it costs no more of anything and is as accurate.

Costs within 1 % of each other count as equal: alignment and the order of constants move an image
by some bytes. A rival is *as accurate* when its accuracy is not below the lower end of the sparse
network's 95 % interval. So the doubt is the rivals': where the test clips can't tell two networks
apart, the plainer one wins, and more test clips decide.

Under TensorFlow Lite Micro the costs are the bytes of the C array and the multiply-accumulates. A
target that counts nothing, such as the host, gets no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeprune.payoff.axes import Axis
from edgeprune.payoff.records import PayoffRecord, Verdict

__all__ = ["SAME", "judge"]

#: Costs that differ by no more than this share are equal.
SAME = 0.01


def judge(
    record: PayoffRecord,
    rivals: Sequence[PayoffRecord],
    axes: Sequence[Axis],
    *,
    accuracy_budget: float | None = None,
) -> Verdict:
    """Judge one sparse network.

    Args:
        record: the network.
        rivals: all of them, the control among them where it could be built.
        axes: what is charged; empty where nothing can be.
        accuracy_budget: the target's, as a fraction.
    """
    if not axes:
        return Verdict(
            pays=None,
            reason=f"device {record.device!r} has neither flash nor counted instructions; "
            "a target with an image, such as cortex-m4, tells",
        )
    control = next((rival for rival in rivals if rival.role == "control"), None)
    if control is not None and not any(_less(record, control, axis) for axis in axes):
        return Verdict(pays=False, reason=_saves_nothing(record, control, axes), rival=control.id)
    if accuracy_budget is not None and record.accuracy.fraction < accuracy_budget:
        return Verdict(
            pays=False,
            reason=f"{_percent(record)} misses the target's accuracy budget of "
            f"{100 * accuracy_budget:.1f} %",
        )
    cheaper = [rival for rival in rivals if _costs_no_more(rival, record, axes)]
    best = max(cheaper, key=lambda rival: rival.accuracy.fraction, default=None)
    if best is not None and _as_accurate(best, record):
        return Verdict(pays=False, reason=_dominated(record, best, axes), rival=best.id)
    return Verdict(
        pays=True,
        reason=f"{_gain(record, control, axes)}; {_nearest(record, best)}",
        rival=best.id if best else None,
    )


def _less(record: PayoffRecord, other: PayoffRecord, axis: Axis) -> bool:
    mine, theirs = axis.of(record), axis.of(other)
    return mine is not None and theirs is not None and mine < theirs * (1 - SAME)


def _costs_no_more(rival: PayoffRecord, record: PayoffRecord, axes: Sequence[Axis]) -> bool:
    pairs = [(axis.of(rival), axis.of(record)) for axis in axes]
    return all(
        theirs is not None and mine is not None and theirs <= mine * (1 + SAME)
        for theirs, mine in pairs
    )


def _as_accurate(rival: PayoffRecord, record: PayoffRecord) -> bool:
    return rival.accuracy.fraction >= record.accuracy.low


def _saves_nothing(record: PayoffRecord, control: PayoffRecord, axes: Sequence[Axis]) -> str:
    where = "under TensorFlow Lite Micro" if record.backend == "tflm" else "on this core"
    saves = any((axis.of(record) or 0) < (axis.of(control) or 0) for axis in axes)
    what = "less than 1 %" if saves else " and ".join(f"no {axis.one}" for axis in reversed(axes))
    return f"saves {what} {where}: {_costs(record, axes)}; {control.title}: {_costs(control, axes)}"


def _dominated(record: PayoffRecord, rival: PayoffRecord, axes: Sequence[Axis]) -> str:
    better = rival.accuracy.fraction >= record.accuracy.fraction
    how = "is as accurate" if better else "its accuracy is within the interval"
    return (
        f"{rival.title} costs no more and {how}: {_percent(rival)} with {_costs(rival, axes)}; "
        f"here {_percent(record)} with {_costs(record, axes)}"
    )


def _gain(record: PayoffRecord, control: PayoffRecord | None, axes: Sequence[Axis]) -> str:
    if control is None:
        return "the fine-tuned dense network could not be built for this target"
    parts = [
        f"{mine / theirs:.2f} of the {axis.unit}"
        for axis in axes
        if (mine := axis.of(record)) is not None and (theirs := axis.of(control))
    ]
    points = 100 * (record.accuracy.fraction - control.accuracy.fraction)
    return f"{' and '.join(parts)} of {control.title}, {points:+.1f} points"


def _nearest(record: PayoffRecord, best: PayoffRecord | None) -> str:
    if best is None:
        return "no rival costs as little"
    return (
        f"the best rival that costs no more is {best.title} with {_percent(best)}, below the "
        f"interval ({100 * record.accuracy.low:.1f}–{100 * record.accuracy.high:.1f})"
    )


def _percent(record: PayoffRecord) -> str:
    return f"{100 * record.accuracy.fraction:.1f} %"


def _costs(record: PayoffRecord, axes: Sequence[Axis]) -> str:
    return " and ".join(f"{axis.of(record):,} {axis.unit}" for axis in axes)
