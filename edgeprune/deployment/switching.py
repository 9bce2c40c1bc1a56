"""Letting another release run, by a deployment or a rollback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from edgeprune.deployment.device_link import DeviceLink
from edgeprune.deployment.lock import LEASE_S, Lock
from edgeprune.deployment.records import Rollback, Service, Status
from edgeprune.deployment.text import plain
from edgeprune.errors import DeploymentError
from edgeprune.remote import Remote

__all__ = ["rollback", "settle", "settled", "switch"]

#: Stopping a service that does not want to end, and a slow disk, in seconds.
_SLACK_S = 60.0
_STATUS_S = 30.0


def switch(
    lock: Lock, release: str, action: Literal["deploy", "rollback"], health_timeout_s: float
) -> None:
    """Let a whole release of the device run there; the one that ran before if it fails.

    Raises:
        DeploymentError: it did not become healthy; says why, and what runs now.
    """
    done: dict[str, Any] = lock.ask(
        "activate",
        timeout_s=_limit_s(health_timeout_s),
        release=release,
        action=action,
        wait_s=health_timeout_s,
    )
    if done["state"] != "healthy" or not done["health"]:
        raise _failed(lock, release, done)


def settle(lock: Lock, health_timeout_s: float) -> str | None:
    """End a switch that a power cut or a kill on the device interrupted; going back may fail.

    Returns:
        The release that was on trial, and gave way to the one before; None for nothing of it.
    """
    if not lock.interrupted:
        return None
    limit_s = _limit_s(health_timeout_s)
    done = lock.ask("settle", timeout_s=limit_s, wait_s=health_timeout_s)
    return str(done["release"]) if done["state"] == "reverted" else None


def rollback(
    remote: Remote,
    *,
    root: str,
    release: str | None = None,
    health_timeout_s: float = 60.0,
    lease_s: float = LEASE_S,
) -> Rollback:
    """Let an earlier release run again.

    A release on trial whose switch was interrupted has given way then: unless another one is named,
    the release that ran before it is the earlier one.

    Args:
        remote: the device.
        root: folder on the device that everything lies in.
        release: which one; the healthy one before the one that runs if left out.
        health_timeout_s: how long the service may take to become healthy.
        lease_s: seconds without a sign of life after which the lock is others' to take.

    Raises:
        LockedError: a deployment is at work there.
        DeploymentError: there is no such release, or it did not become healthy, and the one that
            ran before runs again.
        RemoteError: the connection broke.
    """
    link = DeviceLink(remote, root)
    with Lock(link, lease_s) as lock:
        tried = settle(lock, health_timeout_s)
        before = Status.of(remote.name, link.ask("status", timeout_s=_STATUS_S))
        if tried is not None and release is None and before.service.healthy:
            return Rollback(
                host=remote.name,
                release=str(before.running),
                left=tried,
                service=before.service,
            )
        wanted = _wanted(before, release)
        switch(lock, wanted, "rollback", health_timeout_s)
        after = link.ask("status", timeout_s=_STATUS_S)
    return Rollback(
        host=remote.name,
        release=wanted,
        left=before.running,
        service=Service.of(after["service"]),
    )


def settled(
    remote: Remote,
    *,
    root: str,
    health_timeout_s: float = 60.0,
    lease_s: float = LEASE_S,
) -> Status:
    """What a device runs, after an earlier connection to it broke.

    Once this has its answer, nothing that was asked of the device earlier can change it any more,
    such as a request that lay in a frozen network: the lock is taken from whoever asked. A switch
    that was interrupted is ended, as the next deployment would.

    Args:
        remote: the device.
        root: folder on the device that everything lies in.
        health_timeout_s: how long the service may take to become healthy.
        lease_s: seconds without a sign of life after which the lock is others' to take.

    Raises:
        LockedError: a switch is under way there, or another deployment.
        DeploymentError: the device can't tell.
        RemoteError: the connection broke.
    """
    link = DeviceLink(remote, root)
    with Lock(link, lease_s) as lock:
        settle(lock, health_timeout_s)
        return Status.of(remote.name, link.ask("status", timeout_s=_STATUS_S))


def _wanted(status: Status, release: str | None) -> str:
    there = [each.release for each in status.releases]
    if release is None:
        if status.previous is None:
            raise DeploymentError(
                "there is no healthy release before the one that runs",
                where=status.host,
                hint="--release takes another one of: " + (", ".join(there) or "none is there"),
            )
        return status.previous
    if release not in there:
        raise DeploymentError(
            f"there is no release {release}",
            where=status.host,
            hint="there are: " + (", ".join(there) or "none"),
        )
    return release


def _failed(lock: Lock, release: str, done: Mapping[str, Any]) -> DeploymentError:
    where = lock.host
    if done["state"] == "interrupted":
        return DeploymentError(
            f"release {release}: {done['detail']}",
            where=where,
            hint="deploy again: it begins with settling which release runs",
        )
    log = done.get("log", ())
    lines = [f"\n  | {plain(line, 200)}" for line in log]
    return DeploymentError(
        f"release {release} did not become healthy: {done['detail']}; {done['afterwards']}"
        + "".join(lines),
        where=where,
        hint=_hint(log) or "invoke logs shows more",
    )


def _hint(log: Sequence[object]) -> str:
    """What the agent's own error says to try; empty where it says nothing."""
    for line in reversed(log):
        with suppress(ValueError, TypeError, AttributeError):
            hint = json.loads(str(line)).get("hint")
            if hint:
                return plain(str(hint), 500)
    return ""


def _limit_s(health_timeout_s: float) -> float:
    """Of a switch there and one back."""
    return 2 * health_timeout_s + _SLACK_S
