"""Which deployer is at work: a lease that ends by itself, and a lock of the kernel for each step.

The lease tells deployers apart for the length of a deployment. It is renewed with every request,
counted on the device's own clock since its boot, and void after a reboot. The guard, a ``flock``,
keeps single steps apart; an activation holds it to its end, also when its deployer is gone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .layout import DeviceError, Layout, boot_id, read_json, utc, write_json

__all__ = ["acquire", "busy", "guarded", "holder", "keeper", "release", "renew"]

_POLL_S = 0.05


@contextmanager
def guarded(layout: Layout, wait_s: float) -> Iterator[int]:
    """Hold the guard; gives its file descriptor.

    Raises:
        DeviceError: something else holds it for longer than ``wait_s`` seconds.
    """
    layout.root.mkdir(parents=True, exist_ok=True)
    handle = os.open(layout.guard, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(layout, handle, time.monotonic() + wait_s)
        yield handle
    finally:
        os.close(handle)


def busy(layout: Layout) -> bool:
    """Whether a step is under way."""
    try:
        handle = os.open(layout.guard, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def acquire(
    layout: Layout, token: str, owner: dict[str, Any], lease_s: float, instead_of: str
) -> dict[str, Any]:
    """Take the lease, unless a living deployer has it. Call it with the guard held.

    Args:
        layout: of the device.
        token: of the deployer that asks.
        owner: who that is, for others.
        lease_s: seconds until it ends, unless renewed.
        instead_of: the token of a deployer that is known to be dead.

    Returns:
        ``held``; and, where it is false, the record of who has it, with ``left_s``.
    """
    record = read_json(layout.lock)
    left_s = _left(record)
    if left_s > 0 and record["token"] not in (token, instead_of):
        return {"held": False, **record, "left_s": left_s}
    fresh = {"token": token, "owner": owner, "since": utc(), "lease_s": lease_s}
    _write(layout, fresh)
    return {"held": True}


def renew(layout: Layout, token: str) -> None:
    """Begin the lease anew. Call it with the guard held.

    Raises:
        DeviceError: another deployer took it meanwhile.
    """
    record = read_json(layout.lock)
    if record.get("token") != token:
        raise DeviceError(
            "the lock ran out, and another deployment took it", kind="lock", hint="deploy again"
        )
    _write(layout, record)


def keeper(layout: Layout, token: str) -> Callable[[], None]:
    """What keeps the lease during a long step: to be called often, with the guard held."""
    pause_s = float(read_json(layout.lock).get("lease_s", 0.0)) / 3
    renewed = time.monotonic()

    def keep() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > pause_s:
            renew(layout, token)
            renewed = time.monotonic()

    return keep


def release(layout: Layout, token: str) -> None:
    """End the lease, if it is one's own. Call it with the guard held."""
    if read_json(layout.lock).get("token") == token:
        layout.lock.unlink()


def holder(layout: Layout) -> dict[str, Any]:
    """The record of who is at work, with ``left_s``; empty for nobody."""
    record = read_json(layout.lock)
    left_s = _left(record)
    return {**record, "left_s": left_s} if left_s > 0 else {}


def _left(record: dict[str, Any]) -> float:
    if not record or record.get("boot") != boot_id():
        return 0.0
    return max(0.0, round(float(record["until"]) - _clock(), 1))


def _write(layout: Layout, record: dict[str, Any]) -> None:
    until = _clock() + float(record["lease_s"])
    full = {**record, "until": until, "boot": boot_id()}
    write_json(layout.lock, full, in_place_if_full=True)


def _clock() -> float:
    """Seconds since the boot, those of sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _lock(layout: Layout, handle: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise DeviceError(
                    "a step of another deployment is under way on the device",
                    kind="lock",
                    hint="wait a minute; invoke status shows how it ends",
                ) from None
        time.sleep(_POLL_S)
