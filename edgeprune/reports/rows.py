"""The rows that every view shows: what was measured, the budget, and the dense model beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgeprune.budgets import Check, Status
from edgeprune.evaluation.measurement import Accuracy, LinuxRun, Measurement, OperatingPoint
from edgeprune.reports.report import Report

__all__ = ["MARKS", "Row", "headline", "rows"]

#: How a status reads in a table.
MARKS = {
    Status.PASS: "pass",
    Status.FAIL: "FAIL",
    Status.NOT_MEASURED: "NOT MEASURED",
    Status.NOT_JUDGED: "not judged",
}


@dataclass(frozen=True)
class Row:
    """One line of the table, as text.

    Attributes:
        name: what it is, with how it was got.
        pruned: the pruned model's value.
        budget: the limit, or an empty string.
        status: the check's status, where there is a budget.
        dense: the dense model's value.
        change: pruned against dense.
    """

    name: str
    pruned: str
    budget: str = ""
    status: Status | None = None
    dense: str = ""
    change: str = ""


def headline(report: Report) -> str:
    """One sentence: who, where, and the verdict."""
    verdict = "every budget is met" if report.passed else "a budget is missed"
    return f"{report.recipe} on {report.target.name}: {verdict}"


def rows(report: Report) -> list[Row]:
    """The whole table, in the order in which it is read."""
    checks = {check.name: check for check in report.verdict.checks}
    table = _Table(report.pruned, report.dense, checks)
    if report.pruned.linux is None:
        _counted(table, report)
    else:
        _measured(table, report.pruned.linux)
    table.number(".tflite file, bytes", lambda m: m.footprint.model_bytes, budget="model_kib")
    table.number("multiply-accumulates", lambda m: m.complexity.macs)
    table.number("weights that are not zero", lambda m: m.complexity.nonzero)
    for point in report.pruned.levels[1:]:
        table.level(point)
    table.agreement(report)
    table.decisions(report)
    return table.rows


def _counted(table: _Table, report: Report) -> None:
    """What is counted, estimated and read of an image; and on this machine."""
    table.accuracy("accuracy, int8", lambda m: m.accuracy, budget="accuracy")
    table.accuracy("· on the device", lambda m: m.device_accuracy)
    table.accuracy("accuracy, float", lambda m: m.float_accuracy)
    table.number("instructions, counted", _instructions, budget="instructions")
    table.number("· inference", lambda m: m.latency.inference_instructions if m.latency else None)
    table.number(
        "· front-end, one frame", lambda m: m.latency.frame_instructions if m.latency else None
    )
    table.number("cycles, estimated", lambda m: m.latency.cycles_estimate if m.latency else None)
    clock = report.target.clock_mhz or 0.0
    table.number(
        f"latency at {clock:g} MHz, estimated, ms",
        lambda m: m.latency.ms_estimate if m.latency else None,
        digits=2,
        budget="latency_ms",
    )
    table.number("wall time of a clip here, ms", lambda m: m.wall_ms, digits=3)
    table.number("flash of the image, bytes", lambda m: m.footprint.flash_bytes, budget="flash_kib")
    table.number("static RAM, bytes", lambda m: m.footprint.ram_bytes, budget="ram_kib")
    table.number("deepest stack, bytes", lambda m: m.footprint.stack_bytes, budget="stack_bytes")


def _measured(table: _Table, run: LinuxRun) -> None:
    """What a real device measured."""
    table.accuracy("accuracy, int8, on the device", lambda m: m.device_accuracy, budget="accuracy")
    table.accuracy(f"· here, {run.comparison.by}", lambda m: m.accuracy)
    table.accuracy("accuracy, float", lambda m: m.float_accuracy)
    table.number(
        "latency p95, measured wall time, ms",
        lambda _: run.latency_ms.p95,
        digits=3,
        budget="latency_ms",
    )
    table.number("· p50", lambda _: run.latency_ms.p50, digits=3)
    table.number("· p99", lambda _: run.latency_ms.p99, digits=3)
    table.number("· p50 of inference alone", lambda _: run.inference_ms.p50, digits=3)
    table.number("instructions, counted", lambda _: run.instructions, budget="instructions")
    table.number("· inference", lambda _: run.inference_instructions)
    table.number("peak resident memory, bytes", lambda _: run.peak_rss_bytes, budget="rss_mib")
    table.number("bundle, bytes", lambda _: run.bundle_bytes, budget="bundle_mib")


def _instructions(measurement: Measurement) -> int | None:
    return measurement.latency.instructions if measurement.latency else None


class _Table:
    def __init__(
        self, pruned: Measurement, dense: Measurement | None, checks: dict[str, Check]
    ) -> None:
        self.rows: list[Row] = []
        self._pruned = pruned
        self._dense = dense
        self._checks = checks

    def accuracy(
        self, name: str, read: Callable[[Measurement], Accuracy | None], *, budget: str = ""
    ) -> None:
        pruned, dense = read(self._pruned), read(self._dense) if self._dense else None
        check = self._checks.get(budget)
        if pruned is None:
            if check is not None and check.limit is not None:
                limit = f"≥ {100 * check.limit:.1f} %"
                self.rows.append(Row(name, "not measured", limit, check.status))
            return
        self.rows.append(
            Row(
                name=f"{name}, {pruned.clips:,} clips",
                pruned=_interval(pruned),
                budget=f"≥ {100 * check.limit:.1f} %" if check and check.limit is not None else "",
                status=check.status if check else None,
                dense=_interval(dense) if dense else "",
                change=f"{100 * (pruned.fraction - dense.fraction):+.1f} points" if dense else "",
            )
        )

    def level(self, point: OperatingPoint) -> None:
        """What a cheaper operating point hears and costs."""
        name = f"level {point.level}: accuracy, int8, {point.accuracy.clips:,} clips"
        self.rows.append(Row(name, _interval(point.accuracy)))
        if point.latency is not None:
            instructions = f"{point.latency.inference_instructions:,}"
            self.rows.append(Row("· inference, instructions counted", instructions))
        if point.agreement is not None:
            same = "identical" if point.agreement.identical else "DIFFERENT"
            bits = f"· bits of {point.agreement.clips:,} clips, device and host"
            self.rows.append(Row(bits, same))

    def number(
        self,
        name: str,
        read: Callable[[Measurement], float | None],
        *,
        digits: int = 0,
        budget: str = "",
    ) -> None:
        pruned, dense = read(self._pruned), read(self._dense) if self._dense else None
        check = self._checks.get(budget)
        if pruned is None and check is None:
            return
        unit = f" {check.unit}" if check and check.unit in ("KiB", "MiB") else ""
        limited = check is not None and check.limit is not None
        self.rows.append(
            Row(
                name=name,
                pruned="not measured" if pruned is None else f"{pruned:,.{digits}f}",
                budget=f"≤ {check.limit:,.12g}{unit}" if check and limited else "",
                status=check.status if check else None,
                dense="" if dense is None else f"{dense:,.{digits}f}",
                change=f"{100 * (pruned / dense - 1):+.1f} %"
                if pruned is not None and dense
                else "",
            )
        )

    def agreement(self, report: Report) -> None:
        found = report.pruned.agreement
        if found is None:
            return
        dense = report.dense.agreement if report.dense else None
        self.rows.append(
            Row(
                name=f"bits on device and host, {found.clips} {_inputs(report)}",
                pruned="identical" if found.identical else "differ",
                budget="identical",
                status=self._checks["agreement"].status,
                dense="" if dense is None else "identical" if dense.identical else "differ",
            )
        )

    def decisions(self, report: Report) -> None:
        run = report.pruned.linux
        if run is None or run.comparison.kind != "decisions":
            return
        found, check = run.comparison, self._checks["decisions"]
        self.rows.append(
            Row(
                name=f"decisions on device and host, {found.clips:,} clips",
                pruned=f"{found.same:,} are the same",
                budget=f"≥ {100 * check.limit:.0f} %" if check.limit is not None else "",
                status=check.status,
            )
        )


def _inputs(report: Report) -> str:
    return "inputs" if report.pruned.variant == "model" else "clips"


def _interval(value: Accuracy) -> str:
    return f"{100 * value.fraction:.1f} % ({100 * value.low:.1f}–{100 * value.high:.1f})"
