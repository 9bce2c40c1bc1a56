"""The switch: done by the device alone, so that no lost connection leaves it half way.

A child in a session of its own starts the new release while ``current`` still points to the old
one, and waits for the health of the very release. Only then comes the one rename that makes it the
release of this device; where the health does not come, the old one is started again, and
``current`` was never changed. So a boot at any moment starts a release that was proved. The child
holds the guard to its end and leaves the outcome in ``activation.json``. Where it is killed, its
parent settles what it left; where both are, or the power goes, the next deployment does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from .health import hears, observe, wait_healthy
from .layout import DeviceError, Layout, read_json, utc, write_json
from .process import detached
from .service import Service, choose, disable_others, recorded

__all__ = ["activate", "interrupted", "settle"]

_LOG_LINES = 20
_UNDER_WAY = "under way"


def activate(
    layout: Layout, release: str, action: str, wait_s: float, guard: int
) -> dict[str, Any]:
    """Let a release be the one that runs, or leave the one that ran.

    Args:
        layout: of the device.
        release: a whole one.
        action: ``deploy`` or ``rollback``, for the record. A deployed release that waits for a
            microphone, where the one before it heard, is not kept; a rollback is a wish.
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
    return _apart(layout, record, lambda: _activate(layout, record, wait_s), wait_s, guard)


def settle(layout: Layout, wait_s: float, guard: int) -> dict[str, Any]:
    """End an activation that was interrupted: run the release that ``current`` points to."""
    record = read_json(layout.activation)
    return _apart(layout, record, lambda: _settle(layout, record, wait_s), wait_s, guard)


def interrupted(layout: Layout) -> bool:
    """Whether an activation did not come to its end. Call it with the guard held."""
    return bool(read_json(layout.activation).get("state") == _UNDER_WAY)


def _apart(
    layout: Layout, record: dict[str, Any], work: Callable[[], None], wait_s: float, guard: int
) -> dict[str, Any]:
    """Work in a child of its own; settle what a child leaves that was killed."""
    write_json(layout.activation, record, in_place_if_full=True)
    for attempt in (work, lambda: _settle(layout, record, wait_s)):
        os.waitpid(detached(attempt, keep=(guard,)), 0)
        done = read_json(layout.activation)
        if done.get("state") != _UNDER_WAY:
            return done
    return {**done, "state": "interrupted", "detail": "the switch was killed on the device"}


def _activate(layout: Layout, record: dict[str, Any], wait_s: float) -> None:
    release, previous = record["release"], record["previous"]
    service, old = choose(layout), recorded(layout)
    deaf = ""
    if record["action"] == "deploy" and previous is not None and hears(layout):
        deaf = f"hears nothing, where {previous} heard"
    try:
        # Whatever needs room, or can be refused, comes before the old service is stopped.
        link = layout.prepared_link(release, "current.new")
        service.try_out(release)
        healthy, why = _start(layout, service, old, release, wait_s, deaf)
        log = "" if healthy else service.log(_LOG_LINES)
    except Exception as error:
        healthy, why, log = False, f"{type(error).__name__}: {error}", ""
    if healthy:
        layout.switch(link)
        service.follow_current()
        disable_others(layout, service)
        _remember(layout, release, record["action"])
        _end(layout, record, "healthy", detail=why, health=True)
        return
    detail, well = _go_back(layout, service, wait_s)
    last = log.splitlines()[-_LOG_LINES:]
    _end(layout, record, "reverted", detail=why, afterwards=detail, health=well, log=last)


def _settle(layout: Layout, record: dict[str, Any], wait_s: float) -> None:
    detail, well = _go_back(layout, choose(layout), wait_s)
    kept = layout.running() == record["release"]
    if kept and well:
        _remember(layout, record["release"], record["action"])
    state = "healthy" if kept else "reverted"
    why = "the switch was interrupted"
    _end(layout, record, state, detail=why, afterwards=detail, health=well)


def _start(
    layout: Layout,
    service: Service,
    old: Service | None,
    release: str,
    wait_s: float,
    deaf: str = "",
) -> tuple[bool, str]:
    """Start a release in the place of what runs: whether it is healthy, and why."""
    if old is not None:
        old.stop()
    if layout.health.exists():
        layout.health.unlink()
    since = time.monotonic()
    service.start(release)
    return wait_healthy(layout, release, service, since=since, wait_s=wait_s, deaf=deaf)


def _go_back(layout: Layout, service: Service, wait_s: float) -> tuple[str, bool]:
    """Run what ``current`` points to: what came of it, in words, and whether it is healthy."""
    running = layout.running()
    try:
        if running is None or running not in layout.whole():
            service.disable()
            disable_others(layout, service)
            return "nothing ran before, and nothing runs now", False
        service.follow_current()
        if observe(layout)["healthy"]:
            return f"release {running} runs on, healthy", True
        healthy, why = _start(layout, service, recorded(layout), running, wait_s)
        disable_others(layout, service)
    except Exception as error:
        return f"release {running} could not be started: {error}", False
    if healthy:
        return f"release {running} runs again, healthy: {why}", True
    return f"release {running} was started again, and is not healthy either: {why}", False


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


def _end(layout: Layout, record: dict[str, Any], state: str, **outcome: Any) -> None:
    full = {**record, **outcome, "state": state, "running": layout.running(), "ended": utc()}
    write_json(layout.activation, full, in_place_if_full=True)
