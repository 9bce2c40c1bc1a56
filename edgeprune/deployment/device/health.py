"""What the service tells of itself: looked at once, or waited for after a start."""

from __future__ import annotations

import time
from typing import Any

from .layout import Layout, boot_id, read_json
from .process import identity
from .service import Service, recorded

__all__ = ["hears", "observe", "wait_healthy"]

_POLL_S = 0.05
#: Asking systemd takes a program of its own, and time that the service needs to start.
_ALIVE_S = 0.3
#: A service tells its health every 2 s.
_FRESH_S = 10.0
#: How long a new service may wait for the microphone that the old one is just giving back; it
#: tries again every 3 s.
_MICROPHONE_S = 15.0
_HEARD, _WAITING = "heard", "waiting"


def observe(layout: Layout) -> dict[str, Any]:
    """What the service tells: ``alive``, ``healthy``, ``detail``, ``audio``, the ``health`` file.

    Healthy is a service of the release that ``current`` points to, and of no other.
    """
    service, health = recorded(layout), read_json(layout.health)
    alive = service is not None and service.alive()
    age_s = _age(health)
    fresh = alive and age_s is not None and age_s <= _FRESH_S
    # A service manager that starts it again says that it is about to run.
    there = fresh and identity(int(health.get("pid", 0))) is not None
    running = layout.running()
    healthy = there and bool(health.get("healthy")) and health.get("release") == running
    if not alive:
        detail = "the service does not run"
    elif fresh and not there:
        detail = "the service ended, and is being started again"
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
        "audio": health.get("audio"),
        "health": health,
        "age_s": None if age_s is None else round(age_s, 1),
    }


def hears(layout: Layout) -> bool:
    """Whether audio comes to the service of the release that ``current`` points to."""
    found = observe(layout)
    return bool(found["healthy"]) and found["audio"] == _HEARD


def wait_healthy(
    layout: Layout, release: str, service: Service, *, since: float, wait_s: float, deaf: str = ""
) -> tuple[bool, str]:
    """Wait for a health file of a release that is younger than its start.

    Args:
        layout: of the device.
        release: which one.
        service: runs it.
        since: when it was started, on the monotonic clock.
        wait_s: seconds from then on.
        deaf: what is said of a service that still has no microphone after a while; empty where
            one that waits for a microphone is healthy.

    Returns:
        Whether it is healthy, and why.
    """
    deadline, why = since + wait_s, "the service told no health"
    waiting_since: float | None = None
    look = since
    while True:
        health = read_json(layout.health)
        fresh = _is_of(health, release, since)
        if fresh:
            why = str(health.get("detail", ""))
            if health.get("healthy"):
                if not deaf or health.get("audio") != _WAITING:
                    return True, why
                if waiting_since is None:
                    waiting_since = time.monotonic()
                    deadline = min(deadline, waiting_since + _MICROPHONE_S)
            elif identity(int(health.get("pid", 0))) is None:
                return False, why
        if time.monotonic() >= look:
            look = time.monotonic() + _ALIVE_S
            if not service.alive():
                return False, why if fresh else "the service ended before it told its health"
        if time.monotonic() >= deadline:
            late = f"{deaf}: {why}" if waiting_since is not None else f"not healthy in time: {why}"
            return False, late
        time.sleep(_POLL_S)


def _is_of(health: dict[str, Any], release: str, since: float) -> bool:
    at = health.get("at") or {}
    young = at.get("boot") in (boot_id(), None) and float(at.get("monotonic_s", 0)) >= since
    return young and health.get("release") == release


def _age(health: dict[str, Any]) -> float | None:
    at = health.get("at") or {}
    if "monotonic_s" not in at or at.get("boot") not in (boot_id(), None):
        return None
    return time.monotonic() - float(at["monotonic_s"])
