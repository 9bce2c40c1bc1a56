"""The truth table as a picture: accuracy over every cost, for PNG and SVG."""

from __future__ import annotations

import importlib.util
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeprune.errors import MissingExtraError
from edgeprune.payoff.axes import Axis, plot_axes
from edgeprune.payoff.records import Payoff, PayoffRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["pareto_front", "payoff_pictures", "require_matplotlib"]

_PURPOSE = "the Pareto plot"


@dataclass(frozen=True)
class _Style:
    colour: str
    marker: str
    label: str


#: Colours of Okabe & Ito 2008, "Color Universal Design": told apart with any colour vision, and by
#: the marker without colour.
_RIVALS = {
    "dense": _Style("#000000", "X", "dense, as trained"),
    "control": _Style("#000000", "*", "dense, fine-tuned"),
    "narrower": _Style("#888888", "s", "narrower, by width"),
    "4-bit": _Style("#CC79A7", "P", "dense, 4-bit"),
}
_STRUCTURES = (
    ("#0072B2", "o"),
    ("#D55E00", "^"),
    ("#009E73", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "p"),
    ("#F0E442", "h"),
)

_SPARSE_SIZE = 6.5
_RIVAL_SIZES = {"dense": 10, "control": 13, "narrower": 7, "4-bit": 9}

_BUDGETS = "budgets of the target"
_BUDGET_LINE: dict[str, Any] = {
    "color": "#882255",
    "linewidth": 1.2,
    "linestyle": "--",
    "zorder": 1.5,
}

#: A budget this many widths of the plot beside the networks is told, not drawn.
_FARTHEST = 0.5

_RC: dict[Any, Any] = {
    "font.size": 9.0,
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "edgeprune",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def require_matplotlib() -> None:
    """Refuse before hours of training what could not be drawn after them.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", extra="plot", purpose=_PURPOSE)


def payoff_pictures(payoff: Payoff) -> dict[str, bytes]:
    """Draw the table: ``png`` and ``svg`` → the file's content.

    Accuracy with its interval over instructions and over flash (over multiply-accumulates and the
    file's bytes where those are not known); the Pareto front as a line, the target's budgets
    dashed. In the SVG each point is a group whose id is ``<axis>-<id of the record>``. The same
    table gives the same bytes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtraError("matplotlib", extra="plot", purpose=_PURPOSE) from error
    pictures = {}
    with rc_context(_RC):
        figure = _figure(payoff)
        for kind, options in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
            stream = io.BytesIO()
            figure.savefig(stream, format=kind, **options)
            pictures[kind] = stream.getvalue()
    return pictures


def pareto_front(records: Sequence[PayoffRecord], axis: Axis) -> list[PayoffRecord]:
    """The networks that no other beats in accuracy at the same cost or less, cheapest first."""
    known = [record for record in records if axis.of(record) is not None]
    front: list[PayoffRecord] = []
    for record in sorted(known, key=lambda each: (axis.of(each) or 0, -each.accuracy.fraction)):
        if not front or record.accuracy.fraction > front[-1].accuracy.fraction:
            front.append(record)
    return front


def _figure(payoff: Payoff) -> Figure:
    from matplotlib.figure import Figure

    first = payoff.records[0]
    axes = plot_axes(first.backend, first.device)
    figure = Figure(figsize=(6.6 * len(axes), 6.4), layout="constrained")
    panels = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
    styles = _styles(payoff.records)
    for panel, axis in zip(panels, axes, strict=True):
        _draw(panel, payoff, axis, styles)
    panels[0].set_ylabel("int8 accuracy on the test clips, %")
    where = "TensorFlow Lite Micro" if first.backend == "tflm" else first.target
    figure.suptitle(
        f"What pruning pays: {first.recipe} on {where}, {first.accuracy.clips:,} test clips, "
        "95 % intervals"
    )
    handles, labels = panels[0].get_legend_handles_labels()
    seen = dict(zip(labels, handles, strict=True))
    for panel in panels[1:]:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    figure.legend(
        list(seen.values()), list(seen), loc="outside lower center", ncols=min(5, len(seen)),
        frameon=False,
    )  # fmt: skip
    return figure


def _styles(records: Sequence[PayoffRecord]) -> dict[str, _Style]:
    """Record id → how it is drawn: rivals by role, sparse networks by structure and criterion."""
    kinds = dict.fromkeys(_kind(record) for record in records if record.role == "sparse")
    by_kind = {
        kind: _Style(*_STRUCTURES[index % len(_STRUCTURES)], kind)
        for index, kind in enumerate(kinds)
    }
    return {
        record.id: by_kind[_kind(record)] if record.role == "sparse" else _RIVALS[record.role]
        for record in records
    }


def _kind(record: PayoffRecord) -> str:
    family = "N:M" if ":" in record.structure else record.structure
    return f"{family}, {record.criterion}" if record.criterion else family


def _draw(panel: Axes, payoff: Payoff, axis: Axis, styles: dict[str, _Style]) -> None:
    panel.margins(x=0.09)
    drawn: set[str] = set()
    front = pareto_front(payoff.records, axis)
    panel.step(
        [(axis.of(record) or 0) / axis.plotted for record in front],
        [100 * record.accuracy.fraction for record in front],
        where="post",
        color="#999999",
        linewidth=1.2,
        zorder=1,
        label="Pareto front",
    )
    for record in payoff.records:
        cost = axis.of(record)
        if cost is not None:
            style = styles[record.id]
            label = "_" if style.label in drawn else style.label
            drawn.add(style.label)
            group = f"{axis.key}-{record.id}"
            _point(panel, record, cost / axis.plotted, style, label, group)
    _accuracy_budget(panel, payoff)
    for limit, text in _limits(payoff, axis):
        _cost_budget(panel, limit, text)
    panel.set_xlabel(axis.label)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)


def _point(
    panel: Axes, record: PayoffRecord, cost: float, style: _Style, label: str, group: str
) -> None:
    from matplotlib.patheffects import withStroke

    sparse = record.role == "sparse"
    share = 100 * record.accuracy.fraction
    bars = [[share - 100 * record.accuracy.low], [100 * record.accuracy.high - share]]
    panel.errorbar(
        [cost], [share], yerr=bars, color=style.colour, elinewidth=0.8, capsize=2, alpha=0.35,
        zorder=2, fmt="none",
    )  # fmt: skip
    # Rivals are larger and lie below, so that a network at the same place leaves their rim.
    panel.plot(
        [cost], [share], linestyle="none", color=style.colour, marker=style.marker,
        markersize=_SPARSE_SIZE if sparse else _RIVAL_SIZES.get(record.role, _SPARSE_SIZE),
        markeredgecolor="white", markeredgewidth=0.7, label=label, zorder=4 if sparse else 3,
        gid=group,
    )  # fmt: skip
    note = _note(record)
    if note:
        # A sparse network often has the costs of a narrower one: their notes part ways.
        place, side = ((-5, 4), "right") if sparse else ((5, -10), "left")
        panel.annotate(
            note, (cost, share), xytext=place, textcoords="offset points", ha=side,
            fontsize=7, color=style.colour, zorder=5,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip


def _note(record: PayoffRecord) -> str:
    if record.role == "narrower":
        return f"{record.width}"
    if ":" in record.structure:
        return record.structure
    return f"{100 * record.sparsity:g} %" if record.role == "sparse" else ""


def _accuracy_budget(panel: Axes, payoff: Payoff) -> None:
    budget = payoff.budgets.accuracy
    if budget is not None:
        panel.axhline(100 * budget, label=_BUDGETS, **_BUDGET_LINE)


def _limits(payoff: Payoff, axis: Axis) -> list[tuple[float, str]]:
    """Budgets of a cost, as the axis counts, and what they are called."""
    limits = []
    limit = getattr(payoff.budgets, axis.budget) if axis.budget else None
    if limit is not None:
        value = limit * axis.budget_unit / axis.plotted
        limits.append((value, f"{value:,g} {axis.plotted_unit}"))
    latency = payoff.budgets.latency_ms
    if axis.key == "instructions" and latency is not None:
        per_ms = [
            record.instructions / record.latency_ms
            for record in payoff.records
            if record.instructions and record.latency_ms
        ]
        if per_ms:
            value = latency * statistics.median(per_ms) / axis.plotted
            limits.append((value, f"about {latency:g} ms"))
    return limits


def _cost_budget(panel: Axes, limit: float, text: str) -> None:
    """A line at the budget; an arrow to it at the edge where it would squeeze the networks."""
    low, high = panel.get_xlim()
    style = {"color": _BUDGET_LINE["color"], "fontsize": 7, "va": "bottom"}
    across = panel.get_xaxis_transform()
    if low - _FARTHEST * (high - low) <= limit <= high + _FARTHEST * (high - low):
        panel.axvline(limit, label=_BUDGETS, **_BUDGET_LINE)
        panel.text(limit, 1.0, f"{text} ", ha="right", transform=across, **style)
    else:
        beyond = limit > high
        words = f"budget {text} \u2192" if beyond else f"\u2190 budget {text}"
        side = "right" if beyond else "left"
        panel.text(1.0 if beyond else 0.0, 1.0, words, ha=side, transform=panel.transAxes, **style)
