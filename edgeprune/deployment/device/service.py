"""What keeps the agent running: the user's own systemd where it can, else a process of ours.

Both run the command of the release's unit file, so that there is one place which says how.
"""

from __future__ import annotations

import getpass
import os
import time
from typing import Any, Protocol

from .layout import DeviceError, Layout, boot_id, read_json, utc, write_json
from .process import detached, identity, is_alive, output, stop
from .supervisor import BEGINNING, Supervisor
from .systemd import SystemdUnit, lingers, manager_fails
from .unit import command_of

__all__ = ["ProcessService", "Service", "SystemdService", "choose", "disable_others", "recorded"]

#: How long the service has for an orderly end.
_PATIENCE_S = 10.0
_POLL_S = 0.01


class Service(Protocol):
    """How the agent is kept running.

    Attributes:
        kind: its name in records.
        reason: why it is this one.
    """

    kind: str
    reason: str

    def try_out(self, release: str) -> None:
        """Make ready for a trial of a release, whatever ``current`` points to.

        Nothing is started or stopped, and a boot still starts what ``current`` points to.

        Raises:
            DeviceError: it can't be tried.
        """

    def follow_current(self) -> None:
        """End a trial: from the next start on, run what ``current`` points to."""

    def start(self, release: str) -> None:
        """Run a release, which is the one on trial or else the one of ``current``.

        Raises:
            DeviceError: it can't be started.
        """

    def stop(self) -> None:
        """Stop it, if it runs."""

    def disable(self) -> None:
        """Stop it, and keep it from starting at boot."""

    def alive(self) -> bool:
        """Whether it runs, or is about to run again."""

    def log(self, count: int) -> str:
        """Its last lines since it was started."""

    def log_command(self, count: int, *, follow: bool) -> list[str]:
        """What prints its last lines, and where asked those to come."""


class SystemdService:
    """A unit of the user's systemd."""

    kind = "systemd"

    def __init__(self, layout: Layout) -> None:
        """Name the unit."""
        self._layout = layout
        self._unit = SystemdUnit(layout)
        self.reason = f"systemd keeps {self._unit.name} running, from boot on"

    def try_out(self, release: str) -> None:
        """Give systemd the release's unit until the next boot."""
        self._unit.try_out(release)

    def follow_current(self) -> None:
        """Give systemd the unit of ``current``, now and at every boot."""
        self._unit.follow_current()

    def start(self, release: str) -> None:
        """Start the unit."""
        _record(self._layout, self, release, epoch_s=round(time.time(), 3))
        self._unit.restart()

    def stop(self) -> None:
        """Stop the unit, if there is one."""
        self._unit.stop()

    def disable(self) -> None:
        """Stop it, and take it from systemd."""
        self._unit.remove()

    def alive(self) -> bool:
        """Whether it runs, or is about to run again."""
        return self._unit.show("ActiveState") in ("active", "activating", "reloading")

    def log(self, count: int) -> str:
        """Its last lines since it was started."""
        begun = read_json(self._layout.service).get("epoch_s", 0)
        return output([*self.log_command(count, follow=False), f"--since=@{begun}"])[1]

    def log_command(self, count: int, *, follow: bool) -> list[str]:
        """What prints its last lines."""
        more = ["-f"] if follow else []
        return ["journalctl", "--user", "-u", self._unit.name, "-n", str(count), "-o", "cat", *more]


class ProcessService:
    """A process in a session of its own, with a supervisor that starts it again.

    It runs its release's folder, whatever ``current`` points to, and nothing starts it at boot.
    """

    kind = "process"

    def __init__(self, layout: Layout, reason: str = "") -> None:
        """Say why it is not systemd."""
        self._layout = layout
        self.reason = reason

    def try_out(self, release: str) -> None:
        """Look whether the release can be started."""
        command_of(self._layout, release)

    def follow_current(self) -> None:
        """Nothing is to be done: a start names its release."""

    def start(self, release: str) -> None:
        """Start the release's command.

        Raises:
            DeviceError: its unit file does not say how, or the disk is full.
        """
        supervisor = Supervisor(command_of(self._layout, release), self._layout.log, release)

        def serve() -> None:
            # Recorded by itself: whatever dies, no service runs that nobody knows of.
            process = identity(os.getpid()) or {}
            _record(self._layout, self, release, **process, boot=boot_id())
            supervisor.run()

        child = detached(serve)
        while self._process().get("pid") != child:
            if os.waitpid(child, os.WNOHANG)[0]:
                raise DeviceError(f"{self._layout.service} can't be written", kind="service")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop it, if it runs."""
        process = self._process()
        if process:
            stop(process, _PATIENCE_S)

    def disable(self) -> None:
        """Stop it; it does not start at boot anyway."""
        self.stop()

    def alive(self) -> bool:
        """Whether it runs, or is about to run again."""
        return is_alive(self._process())

    def log(self, count: int) -> str:
        """Its last lines since it was started."""
        lines: list[str] = []
        for path in (self._layout.log.with_name(self._layout.log.name + ".1"), self._layout.log):
            try:
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
        begun = [at for at, line in enumerate(lines) if f" service: {BEGINNING} " in line]
        return "\n".join(lines[begun[-1] if begun else 0 :][-count:])

    def log_command(self, count: int, *, follow: bool) -> list[str]:
        """What prints its last lines."""
        self._layout.log.parent.mkdir(parents=True, exist_ok=True)
        self._layout.log.touch()
        more = ["-F"] if follow else []
        return ["tail", "-n", str(count), *more, "--", str(self._layout.log)]

    def _process(self) -> dict[str, Any]:
        record = read_json(self._layout.service)
        if record.get("kind") != self.kind or record.get("boot") != boot_id():
            return {}
        return record if "pid" in record else {}


def choose(layout: Layout) -> Service:
    """Systemd where the user's manager answers and outlives the login, else a process."""
    why = manager_fails()
    if why:
        return ProcessService(
            layout,
            f"no systemd for the user ({why}): not started at boot; deploy again after one",
        )
    if not lingers():
        user = getpass.getuser()
        return ProcessService(
            layout,
            "the user's systemd ends with the login: not started at boot; "
            f"'sudo loginctl enable-linger {user}' there, and deploy again",
        )
    return SystemdService(layout)


def recorded(layout: Layout) -> Service | None:
    """What was started last; none before the first deployment."""
    kind = read_json(layout.service).get("kind")
    if kind == SystemdService.kind:
        return SystemdService(layout)
    return ProcessService(layout) if kind == ProcessService.kind else None


def disable_others(layout: Layout, service: Service) -> None:
    """Let a service be the only one that keeps the agent running, now and at boot."""
    kinds: tuple[Service, ...] = (SystemdService(layout), ProcessService(layout))
    for each in kinds:
        if each.kind != service.kind:
            each.disable()


def _record(layout: Layout, service: Service, release: str, **more: Any) -> None:
    facts = {"kind": service.kind, "reason": service.reason, "release": release, "since": utc()}
    write_json(layout.service, {**facts, **more}, in_place_if_full=True)
