"""What keeps the agent running: the user's own systemd where it can, else a process of ours.

Both run the command of the release's unit file, so that there is one place which says how.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
from pathlib import Path
from typing import Any, Protocol

from .layout import DeviceError, Layout, boot_id, read_json, utc, write_json
from .process import detached, identity, is_alive, output, stop
from .supervisor import BEGINNING, Supervisor

__all__ = ["ProcessService", "Service", "SystemdService", "choose", "exec_start", "recorded"]

UNIT = "unit/edgeprune.service"
_DEFAULT_ROOT = "edgeprune"
#: How long the service has for an orderly end.
_PATIENCE_S = 10.0
_SYSTEMCTL = ("systemctl", "--user")


class Service(Protocol):
    """How the agent is kept running.

    Attributes:
        kind: its name in records.
        reason: why it is this one.
    """

    kind: str
    reason: str

    def start(self, release: str) -> None:
        """Run a release's command from now on.

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

    def __init__(self, layout: Layout, reason: str = "") -> None:
        """Name the unit after the folder, so that two installations don't share one."""
        self._layout = layout
        self.unit = unit_name(layout.root)
        self.reason = reason or f"systemd keeps {self.unit} running, from boot on"

    def start(self, release: str) -> None:
        """Install the release's unit, enable it and start it.

        Raises:
            DeviceError: systemd refuses.
        """
        text = (self._layout.release(release) / UNIT).read_bytes()
        path = _unit_folder() / self.unit
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".new")
        part.write_bytes(text)
        part.replace(path)
        _record(self._layout, self, release)
        _systemctl("daemon-reload")
        _systemctl("enable", self.unit)
        # A unit that failed too often before is refused a start without it.
        output([*_SYSTEMCTL, "reset-failed", self.unit])
        _systemctl("restart", self.unit)

    def stop(self) -> None:
        """Stop the unit, if there is one."""
        output([*_SYSTEMCTL, "stop", self.unit])

    def disable(self) -> None:
        """Stop it, and keep it from starting at boot."""
        output([*_SYSTEMCTL, "disable", "--now", self.unit])

    def alive(self) -> bool:
        """Whether it runs, or is about to run again."""
        state = output([*_SYSTEMCTL, "show", "--property=ActiveState", "--value", self.unit])[1]
        return state in ("active", "activating", "reloading")

    def log(self, count: int) -> str:
        """Its last lines since it was started."""
        shown = output([*_SYSTEMCTL, "show", "--property=InvocationID", "--value", self.unit])[1]
        command = self.log_command(count, follow=False)
        return output([*command, f"_SYSTEMD_INVOCATION_ID={shown}"] if shown else command)[1]

    def log_command(self, count: int, *, follow: bool) -> list[str]:
        """What prints its last lines."""
        more = ["-f"] if follow else []
        return ["journalctl", "--user", "-u", self.unit, "-n", str(count), "-o", "cat", *more]


class ProcessService:
    """A process in a session of its own, with a supervisor that starts it again."""

    kind = "process"

    def __init__(self, layout: Layout, reason: str = "") -> None:
        """Say why it is not systemd."""
        self._layout = layout
        self.reason = reason

    def start(self, release: str) -> None:
        """Start the release's command.

        Raises:
            DeviceError: its unit file does not say how.
        """
        text = (self._layout.release(release) / UNIT).read_text(encoding="utf-8")
        supervisor = Supervisor(exec_start(text, Path.cwd()), self._layout.log, release)
        process = identity(detached(supervisor.run)) or {}
        _record(self._layout, self, release, **process, boot=boot_id())

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
    code, told = output([*_SYSTEMCTL, "show-environment"])
    if code != 0:
        why = told.splitlines()[0] if told else f"systemctl ended with {code}"
        return ProcessService(layout, f"no systemd for the user ({why}): not started at boot")
    if not (_lingers() or (output(["loginctl", "enable-linger"])[0] == 0 and _lingers())):
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


def _record(layout: Layout, service: Service, release: str, **more: Any) -> None:
    facts = {"kind": service.kind, "reason": service.reason, "release": release, "since": utc()}
    write_json(layout.service, {**facts, **more}, in_place_if_full=True)


def exec_start(unit: str, home: Path) -> list[str]:
    """The command of a unit file, as systemd reads it (systemd.service, Command lines).

    Raises:
        DeviceError: it has none, or one in a notation that is not understood.
    """
    lines = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    if len(lines) != 1:
        raise DeviceError(f"{UNIT} has {len(lines)} lines ExecStart=", kind="service")
    text = lines[0].partition("=")[2].strip()
    words = []
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"\\]+)(?=\s|$)|(\S+)', text):
        if match[3] is not None:
            raise DeviceError(f"{UNIT}: {match[3]!r} is not understood", kind="service")
        word = match[2] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1])
        words.append(_expanded(word, home))
    if not words:
        raise DeviceError(f"{UNIT} names no program", kind="service")
    return words


def unit_name(root: Path) -> str:
    """What the unit of an installation is called."""
    if root == Path.cwd() / _DEFAULT_ROOT:
        return "edgeprune.service"
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    return f"edgeprune-{digest}.service"


def _expanded(word: str, home: Path) -> str:
    def piece(match: re.Match[str]) -> str:
        known = {"%%": "%", "$$": "$", "%h": str(home)}
        if match[0] not in known:
            raise DeviceError(f"{UNIT}: {match[0]!r} is not understood", kind="service")
        return known[match[0]]

    return re.sub(r"%.?|\$.?", piece, word)


def _unit_folder() -> Path:
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "systemd" / "user"


def _systemctl(*arguments: str) -> None:
    code, told = output([*_SYSTEMCTL, *arguments])
    if code != 0:
        raise DeviceError(
            f"systemctl --user {' '.join(arguments)} failed: {told}",
            kind="service",
            hint="systemctl --user status shows more, on the host",
        )


def _lingers() -> bool:
    told = output(["loginctl", "show-user", getpass.getuser(), "--property=Linger"])[1]
    return told == "Linger=yes"
