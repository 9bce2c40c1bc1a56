"""A measurement against the target's budgets: what passes, what does not, what to try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import Field

from edgeprune.evaluation.measurement import Agreement, Comparison, LinuxRun, Measurement, Record
from edgeprune.target import Budgets

__all__ = ["Check", "Status", "Verdict", "judge"]


class Status(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NOT_MEASURED = "not measured"
    NOT_JUDGED = "not judged"


class Check(Record):
    """One limit against one number."""

    name: str = Field(description="the budget's key, or 'agreement'")
    status: Status
    measured: float | None
    limit: float | None
    unit: str
    bound: Literal["at least", "at most", "must hold"]
    hint: str | None = Field(default=None, description="what to try, for a check that failed")


class Verdict(Record):
    """Every check; it passes when none failed and every budget could be measured.

    What is not judged says nothing about what was measured, such as the accuracy of a model file.
    """

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.status in (Status.PASS, Status.NOT_JUDGED) for check in self.checks)


@dataclass(frozen=True)
class _Rule:
    """A budget's rule.

    Attributes:
        unit: of the limit.
        bound: which side of it is right.
        read: the number; None where it was not measured.
        hint: what to try when it is missed.
        linux_hint: likewise on a device with an operating system, where that is something else.
    """

    unit: str
    bound: Literal["at least", "at most"]
    read: Callable[[Measurement], float | None]
    hint: str
    linux_hint: str = ""


def _kib(size: int | None) -> float | None:
    return None if size is None else size / 1024


def _accuracy(measured: Measurement) -> float | None:
    """Of all test clips: on a device that ran all of them, else on the host build."""
    found = measured.device_accuracy if measured.linux else measured.accuracy
    return found.fraction if found else None


def _latency_ms(measured: Measurement) -> float | None:
    if measured.linux:
        return measured.linux.latency_ms.p95
    return measured.latency.ms_estimate if measured.latency else None


def _instructions(measured: Measurement) -> float | None:
    counted = measured.linux or measured.latency
    return counted.instructions if counted else None


_SMALLER = "a higher pruning.sparsity with pruning.structure = 'channel', a narrower model.width"

#: Least share of clips with the same highest score where two machines' kernels differ. Of random
#: inputs to a trained network, XNNPACK and the reference kernels decide 1 of 200 differently.
_LEAST_SAME_DECISIONS = 0.95

#: One rule for each key of :class:`edgeprune.target.Budgets`, in the order of the report.
_RULES: dict[str, _Rule] = {
    "accuracy": _Rule(
        "",
        "at least",
        _accuracy,
        "a lower pruning.sparsity, more pruning.epochs or training.epochs, a wider model.width",
    ),
    "latency_ms": _Rule(
        "ms",
        "at most",
        _latency_ms,
        "a higher pruning.sparsity with pruning.structure = 'channel', a narrower model.width, "
        "a larger model.stem_stride; invoke check --profile shows where the time goes",
        linux_hint=_SMALLER + "; an idle device, the governor 'performance', cooling",
    ),
    "instructions": _Rule(
        "instructions",
        "at most",
        _instructions,
        "a higher pruning.sparsity with pruning.structure = 'channel', a narrower model.width; "
        "invoke check --profile shows where they go",
        linux_hint=_SMALLER + "; another ssh.runtime",
    ),
    "flash_kib": _Rule(
        "KiB",
        "at most",
        lambda m: _kib(m.footprint.flash_bytes),
        "a higher pruning.sparsity with pruning.structure = 'channel', target.optimize=size; "
        "invoke build --profile shows flash by layer",
    ),
    "ram_kib": _Rule(
        "KiB",
        "at most",
        lambda m: _kib(m.footprint.ram_bytes),
        "a larger model.stem_stride, a narrower model.width, a shorter frontend.clip_ms",
    ),
    "stack_bytes": _Rule(
        "bytes",
        "at most",
        lambda m: m.footprint.stack_bytes,
        "target.optimize=size, which inlines less",
    ),
    "model_kib": _Rule(
        "KiB",
        "at most",
        lambda m: _kib(m.footprint.model_bytes),
        _SMALLER,
    ),
    "bundle_mib": _Rule(
        "MiB",
        "at most",
        lambda m: m.linux.bundle_bytes / 2**20 if m.linux else None,
        "ssh.runtime = 'native', which needs NumPy and no other package",
    ),
    "rss_mib": _Rule(
        "MiB",
        "at most",
        lambda m: m.linux.peak_rss_bytes / 2**20 if m.linux else None,
        "ssh.runtime = 'native', a narrower model.width",
    ),
}


def judge(measurement: Measurement, budgets: Budgets) -> Verdict:
    """Check a measurement against every budget that is given, and that the bits agree.

    Args:
        measurement: what was measured.
        budgets: the target's limits; those that are None decide nothing.
    """
    checks = [
        _check(name, rule, measurement, limit)
        for name, rule in _RULES.items()
        if (limit := getattr(budgets, name)) is not None
    ]
    agreement = _agreement(measurement)
    if agreement is not None:
        checks.append(_agreement_check(agreement, measurement.linux))
    elif measurement.linux is not None:
        checks.append(_decisions_check(measurement.linux.comparison))
    return Verdict(checks=tuple(checks))


def _agreement_check(agreement: Agreement, linux: LinuxRun | None) -> Check:
    advice = "this is a bug of edgeprune, please report it"
    if linux is not None:
        advice = f"invoke deploy again, or another ssh.runtime than {linux.runtime.name}"
    hint = f"{agreement.first_difference}; {advice}"
    return Check(
        name="agreement",
        status=Status.PASS if agreement.identical else Status.FAIL,
        measured=float(agreement.identical),
        limit=1.0,
        unit="",
        bound="must hold",
        hint=None if agreement.identical else hint,
    )


def _decisions_check(comparison: Comparison) -> Check:
    """Kernels that compute differently may decide differently, but seldom."""
    met = comparison.fraction >= _LEAST_SAME_DECISIONS
    hint = f"ssh.runtime = 'native', which has this machine's bits; {comparison.first_difference}"
    return Check(
        name="decisions",
        status=Status.PASS if met else Status.FAIL,
        measured=comparison.fraction,
        limit=_LEAST_SAME_DECISIONS,
        unit="",
        bound="at least",
        hint=None if met else hint,
    )


def _agreement(measurement: Measurement) -> Agreement | None:
    """That of the full network, or of the first level whose bits differ."""
    for point in measurement.levels:
        if point.agreement is not None and not point.agreement.identical:
            place = f"level {point.level}: {point.agreement.first_difference}"
            return point.agreement.model_copy(update={"first_difference": place})
    return measurement.agreement


def _unmeasured(measurement: Measurement) -> str:
    if measurement.linux is not None and measurement.linux.instructions_reason:
        return f"the device can't count them: {measurement.linux.instructions_reason}"
    return f"device {measurement.device!r} can't measure it"


def _check(name: str, rule: _Rule, measurement: Measurement, limit: float) -> Check:
    measured = rule.read(measurement)
    hint: str | None
    if measured is None and name == "accuracy":
        status = Status.NOT_JUDGED
        hint = "a recipe: a model file comes without its front-end and clips"
    elif measured is None:
        status = Status.NOT_MEASURED
        hint = f"{_unmeasured(measurement)}; drop budgets.{name}"
    else:
        met = measured >= limit if rule.bound == "at least" else measured <= limit
        status = Status.PASS if met else Status.FAIL
        tip = (measurement.linux and rule.linux_hint) or rule.hint
        hint = None if met else tip
    return Check(
        name=name,
        status=status,
        measured=measured,
        limit=float(limit),
        unit=rule.unit,
        bound=rule.bound,
        hint=hint,
    )
