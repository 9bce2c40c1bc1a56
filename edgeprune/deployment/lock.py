"""The lock that keeps two deployers of one device apart, and does not outlive a dead one."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgeprune.deployment.device_link import DeviceLink
from edgeprune.errors import EdgepruneError, LockedError

__all__ = ["LEASE_S", "Lock"]

#: Without a sign of life for so long a deployer counts as dead, in seconds.
LEASE_S = 60.0

#: Tokens of the locks that this process holds: the same process may deploy to many devices.
_HELD: set[str] = set()


class Lock:
    """A context in which this process alone deploys to a device.

    The lock is a lease on the device. Every request renews it; it ends ``lease_s`` after the last.
    A deployer on this computer that is dead is told by its process, and its lock taken at once.

    Args:
        link: the device.
        lease_s: seconds without a sign of life after which others may take it.

    Attributes:
        interrupted: whether an earlier switch on the device did not come to its end.
    """

    def __init__(self, link: DeviceLink, lease_s: float = LEASE_S) -> None:
        self.interrupted = False
        self._link = link
        self._lease_s = lease_s
        self._token = secrets.token_hex(8)
        self._renewed = 0.0
        self._given_back = False

    @property
    def host(self) -> str:
        """The device's name in reports."""
        return self._link.remote.name

    def ask(self, name: str, *, timeout_s: float = 0.0, **arguments: Any) -> Any:
        """A request of :meth:`DeviceLink.ask` that is refused when the lock was lost."""
        answer = self._link.ask(name, timeout_s=timeout_s, token=self._token, **arguments)
        self._renewed = time.monotonic()
        return answer

    def ask_last(self, name: str, *, timeout_s: float = 0.0, **arguments: Any) -> Any:
        """Likewise, and give the lock back in the same breath, which saves a start of Python."""
        answer = self.ask(name, timeout_s=timeout_s, then="release", **arguments)
        self._given_back = True
        return answer

    def renew_when_due(self) -> None:
        """Show a sign of life, if the last one is a while ago."""
        if time.monotonic() - self._renewed > self._lease_s / 3:
            self.ask("renew")

    def __enter__(self) -> Self:
        """Take it.

        Raises:
            LockedError: another deployer has it; says who, and since when.
        """
        told = self._acquire(instead_of="")
        if not told["held"] and _is_dead(told.get("owner") or {}, str(told.get("token", ""))):
            told = self._acquire(instead_of=told["token"])
        if not told["held"]:
            raise self._locked(told)
        self.interrupted = bool(told["interrupted"])
        _HELD.add(self._token)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _HELD.discard(self._token)
        if self._given_back:
            return
        # A lock that can't be given back ends by itself.
        with suppress(EdgepruneError):
            self.ask("release")

    def _acquire(self, *, instead_of: str) -> dict[str, Any]:
        told: dict[str, Any] = self.ask(
            "acquire", owner=_myself(), lease_s=self._lease_s, instead_of=instead_of
        )
        return told

    def _locked(self, told: Mapping[str, Any]) -> LockedError:
        where = self.host
        owner = told.get("owner") or {}
        who = f"{owner.get('user')}@{owner.get('host')}, process {owner.get('pid')}"
        since = f"{who}, since {told.get('since')}" if owner else "unknown"
        if "busy" in told:
            return LockedError(
                f"{told['busy']} (deployer: {since})",
                where=where,
                hint="wait a minute; invoke status shows how it ends",
            )
        return LockedError(
            f"another deployment is at work: {since}",
            where=where,
            hint=f"wait for it; should it be dead, its lock ends in {told['left_s']:.0f} s",
        )


def _myself() -> dict[str, Any]:
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "start": _start_time(os.getpid()),
    }


def _is_dead(owner: Mapping[str, Any], token: str) -> bool:
    """Whether a deployer was on this computer, and is not any more."""
    machine = _machine()
    if not machine or owner.get("machine") != machine:
        return False
    pid = int(owner["pid"])
    if pid == os.getpid():
        return token not in _HELD
    start = _start_time(pid)
    return start is None or start != owner.get("start")


def _machine() -> str:
    """This boot of this computer, and the processes that are seen from here; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    except OSError:
        return ""


def _start_time(pid: int) -> int | None:
    """When a process began, in the kernel's ticks (proc(5)); None for a dead one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
