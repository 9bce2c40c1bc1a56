"""The switch: done by the device alone, so that no lost connection leaves it half way.

A child in a session of its own switches ``current``, restarts the service and waits for the health
of the very release; where that does not come, it switches back and starts the old one again. It
holds the guard to its end and leaves the outcome in ``activation.json``. What a power cut or a kill
interrupts is settled by the next deployment.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from .layout import DeviceError, Layout, boot_id, read_json, utc, write_json
from .process import detached, identity
from .service import Service, choose, recorded

__all__ = ["activate", "interrupted", "observe", "settle"]

_POLL_S = 0.05
_LOG_LINES = 20
#: A service tells its health every 2 s.
_FRESH_S = 10.0
_UNDER_WAY = "under way"


def activate(
    layout: Layout, release: str, action: str, wait_s: float, guard: int
) -> dict[str, Any]:
    """Let a release be the one that runs, or leave the one that ran.

    Args:
        layout: of the device.
        release: a whole one.
        action: ``deploy`` or ``rollback``, for the record.
        wait_s: seconds until the service must be healthy.
        guard: file descriptor of the guard, which the caller holds.

    Returns:
        The record: ``state`` is ``healthy`` or ``reverted``; ``running``, the release that runs
        now; ``detail``, why; ``log``, the last lines of a release that failed.
    """
    whole = layout.whole()
    if release not in whole:
        raise DeviceError(f"release {release} is not on the device")
    running = layout.running()
    record = {
        "release": release,
        "previous": running if running in whole else None,
        "action": action,
        "state": _UNDER_WAY,
        "at": utc(),
    }
    return _apart(layout, record, lambda: _activate(layout, record, wait_s), guard)


def settle(layout: Layout, wait_s: float, guard: int) -> dict[str, Any]:
    """End an activation that was interrupted: keep a release that is healthy, else go back."""
    record = read_json(layout.activation)
    return _apart(layout, record, lambda: _settle(layout, record, wait_s), guard)


def interrupted(layout: Layout) -> bool:
    """Whether an activation did not come to its end. Call it with the guard held."""
    return bool(read_json(layout.activation).get("state") == _UNDER_WAY)


def observe(layout: Layout) -> dict[str, Any]:
    """What the service tells: ``alive``, ``healthy``, ``detail`` and the ``health`` file."""
    service, health = recorded(layout), read_json(layout.health)
    alive = service is not None and service.alive()
    age_s = _age(health)
    fresh = alive and age_s is not None and age_s <= _FRESH_S
    running = layout.running()
    healthy = fresh and bool(health.get("healthy")) and health.get("release") == running
    if not alive:
        detail = "the service does not run"
    elif not fresh:
        detail = "the service tells no health"
    elif health.get("release") != running:
        detail = f"the service runs release {health.get('release')}"
    else:
        detail = str(health.get("detail", ""))
    return {
        "alive": alive,
        "healthy": healthy,
        "detail": detail,
        "health": health,
        "age_s": None if age_s is None else round(age_s, 1),
    }


def _apart(layout: Layout, record: dict[str, Any], work: Any, guard: int) -> dict[str, Any]:
    write_json(layout.activation, record, in_place_if_full=True)
    child = detached(work, keep=(guard,))
    os.waitpid(child, 0)
    done = read_json(layout.activation)
    if done.get("state") == _UNDER_WAY:
        done = {**done, "state": "interrupted", "detail": "the switch was killed on the device"}
    return done


def _activate(layout: Layout, record: dict[str, Any], wait_s: float) -> None:
    release, previous = record["release"], record["previous"]
    back: Path | None = None
    try:
        # Both links are made before the first is used, so that going back needs no room.
        forward = layout.prepared_link(release, "current.new")
        back = None if previous is None else layout.prepared_link(previous, "current.back")
        healthy, why, log = _run(layout, release, forward, wait_s)
    except Exception as error:
        healthy, why, log = False, f"{type(error).__name__}: {error}", ""
    if healthy:
        _remember(layout, release, record["action"])
        _end(layout, record, state="healthy", running=release, detail=why, health=True)
        return
    detail, well = _go_back(layout, previous, back, wait_s)
    _end(
        layout,
        record,
        state="reverted",
        running=layout.running(),
        detail=why,
        afterwards=detail,
        health=well,
        log=log.splitlines()[-_LOG_LINES:],
    )


def _settle(layout: Layout, record: dict[str, Any], wait_s: float) -> None:
    running = layout.running()
    if running is not None and observe(layout)["healthy"]:
        if running == record["release"]:
            _remember(layout, running, record["action"])
        _end(layout, record, state="healthy", running=running, detail="was healthy", health=True)
        return
    previous = record["previous"]
    back = None if previous is None else layout.prepared_link(previous, "current.back")
    detail, well = _go_back(layout, previous, back, wait_s)
    _end(
        layout,
        record,
        state="reverted",
        running=layout.running(),
        detail="the switch was interrupted",
        afterwards=detail,
        health=well,
    )


def _run(layout: Layout, release: str, link: Path, wait_s: float) -> tuple[bool, str, str]:
    """Switch to a release and restart the service: whether it is healthy, why, and its log."""
    service, old = choose(layout), recorded(layout)
    layout.switch(link)
    if old is not None:
        if old.kind == service.kind:
            old.stop()
        else:
            old.disable()
    if layout.health.exists():
        layout.health.unlink()
    asked = time.monotonic()
    service.start(release)
    healthy, why = _wait(layout, release, service, asked, asked + wait_s)
    return healthy, why, "" if healthy else service.log(_LOG_LINES)


def _wait(
    layout: Layout, release: str, service: Service, asked: float, deadline: float
) -> tuple[bool, str]:
    """Wait for a health file of this release that is younger than its start."""
    why = "the service told no health"
    while True:
        health = read_json(layout.health)
        at = health.get("at") or {}
        fresh = at.get("boot") in (boot_id(), None) and float(at.get("monotonic_s", 0)) >= asked
        if fresh and health.get("release") == release:
            why = str(health.get("detail", ""))
            if health.get("healthy"):
                return True, why
            if identity(int(health.get("pid", 0))) is None:
                return False, why
        if not service.alive():
            return False, why if fresh else "the service ended before it told its health"
        if time.monotonic() >= deadline:
            return False, f"not healthy in time: {why}"
        time.sleep(_POLL_S)


def _go_back(
    layout: Layout, previous: str | None, back: Path | None, wait_s: float
) -> tuple[str, bool]:
    """Run the release before: what came of it, in words, and whether it is healthy."""
    try:
        if previous is None:
            service = recorded(layout)
            if service is not None:
                service.disable()
            if layout.running() is not None:
                layout.current.unlink()
            return "nothing ran before, and nothing runs now", False
        link = back or layout.prepared_link(previous, "current.back")
        healthy, why, _ = _run(layout, previous, link, wait_s)
    except Exception as error:
        return f"release {previous} could not be started: {error}", False
    if healthy:
        return f"release {previous} runs again, healthy", True
    return f"release {previous} was started again, and is not healthy either: {why}", False


def _remember(layout: Layout, release: str, action: str) -> None:
    """Note that a release became healthy; a rollback forgets those that came after it."""
    entries = [
        entry
        for entry in read_json(layout.history).get("healthy", [])
        if layout.release(entry["release"]).is_dir()
    ]
    names = [entry["release"] for entry in entries]
    if release in names and action == "rollback":
        entries = entries[: names.index(release)]
    entries = [entry for entry in entries if entry["release"] != release]
    entries.append({"release": release, "at": utc()})
    write_json(layout.history, {"healthy": entries}, in_place_if_full=True)


def _end(layout: Layout, record: dict[str, Any], **outcome: Any) -> None:
    full = {**record, **outcome, "ended": utc()}
    write_json(layout.activation, full, in_place_if_full=True)


def _age(health: dict[str, Any]) -> float | None:
    at = health.get("at") or {}
    if "monotonic_s" not in at or at.get("boot") not in (boot_id(), None):
        return None
    return time.monotonic() - float(at["monotonic_s"])
