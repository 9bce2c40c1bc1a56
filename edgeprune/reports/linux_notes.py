"""What a reader has to know of figures that a real device measured."""

from __future__ import annotations

from edgeprune.devices.agent_answers import Conditions
from edgeprune.evaluation.measurement import LinuxRun, Measurement

__all__ = ["linux_notes"]


def linux_notes(measured: Measurement, *, prunes: bool, levels: bool) -> list[str]:
    """Notes on a measurement; none for a device that is emulated, or this machine.

    Args:
        measured: what was measured.
        prunes: whether there is a dense network that it could stand beside.
        levels: whether the network has cheaper operating points.
    """
    run = measured.linux
    if run is None:
        return []
    notes = [_place(run), _runtime(run), _comparison(run), _circumstances(run)]
    if run.instructions is None:
        notes.append(
            f"instructions were not counted: {run.instructions_reason or 'no reason given'}"
        )
    if prunes:
        notes.append(
            "the dense network is not deployed, so nothing here says what pruning saved; "
            "invoke check with another target does"
        )
    if levels:
        notes.append("the full network alone is deployed, without its cheaper levels")
    return notes


def _place(run: LinuxRun) -> str:
    machine = run.machine
    model = machine.model or "a device that does not say its model"
    return (
        f"measured anew on {run.host}: {model}, {machine.machine}, Linux {machine.kernel}, Python "
        f"{machine.python}; release {run.release}"
    )


def _runtime(run: LinuxRun) -> str:
    runtime = run.runtime
    resolver = f", resolver {runtime.resolver}" if runtime.resolver else ""
    threads = f", {runtime.threads} threads" if runtime.threads > 1 else ""
    passed = "".join(
        f"; {name} was passed over: {why}" for name, why in runtime.passed_over.items()
    )
    return (
        f"runtime {runtime.name} {runtime.version}{resolver}{threads}, {runtime.arithmetic} "
        f"arithmetic; chosen: {runtime.reason}{passed}"
    )


def _comparison(run: LinuxRun) -> str:
    found = run.comparison
    if found.kind == "bits":
        return f"compared bit for bit with {found.by}, on this machine"
    return (
        f"decisions, not bits, are compared with {found.by}, on this machine: {found.why}; "
        f"{found.identical:,} of {found.clips:,} clips have the same bits, and no score is further "
        f"off than {found.largest_difference}"
    )


def _circumstances(run: LinuxRun) -> str:
    parts = [
        f"latency is wall time of {run.iterations} clips after {run.warm_up} to warm up",
        f"governor {run.before.governor or 'not told'}",
        f"temperature {_heat(run.before)} before, {_heat(run.after)} after",
    ]
    told = run.after.throttled
    if told is None:
        parts.append("throttling not told")
    else:
        parts.append(f"throttling: {', '.join(told) or 'none'}")
    if run.before.load:
        parts.append(f"load {run.before.load[0]:g} before")
    return "; ".join(parts)


def _heat(conditions: Conditions) -> str:
    heat = conditions.temperature_c
    return "not told" if heat is None else f"{heat:g} °C"
