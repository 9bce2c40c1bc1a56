"""The user's own systemd, and how a release is tried in it while another one is what boots.

A unit that the user's folder links to ``current/unit/…`` changes, with everything else, by the one
rename of ``current``. A trial has a unit of the same name in a folder that systemd looks into
first (systemd.unit, User Unit Search Path) and that is gone with the boot.
"""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from .layout import DeviceError, Layout, sync_folder
from .process import output, runtime_folder
from .unit import UNIT, standing_alone, unit_name

__all__ = ["SystemdUnit", "lingers", "manager_fails"]

_SYSTEMCTL = ("systemctl", "--user")
#: What ``WantedBy=`` of the units says; a link there is what ``systemctl enable`` makes.
_WANTED_BY = "default.target.wants"


class SystemdUnit:
    """The unit of an installation.

    Attributes:
        name: of the unit.
    """

    def __init__(self, layout: Layout) -> None:
        """Name it after the folder."""
        self.name = unit_name(layout.root)
        self._layout = layout
        self._target = layout.current / UNIT
        self._link = _unit_folder() / self.name
        self._wanted = _unit_folder() / _WANTED_BY / self.name
        self._trial = runtime_folder() / "systemd" / "user.control" / self.name

    def try_out(self, release: str) -> None:
        """Let the next start be that of a release, and every one after a boot ``current``'s.

        Raises:
            DeviceError: systemd refuses.
        """
        text = standing_alone(self._layout, release)
        self._install()
        self._trial.parent.mkdir(parents=True, exist_ok=True)
        part = self._trial.with_name(self._trial.name + ".new")
        part.write_text(text, encoding="utf-8")
        part.replace(self._trial)
        _systemctl("daemon-reload")

    def follow_current(self) -> None:
        """Let every start be that of the release that ``current`` points to."""
        self._install()
        _remove(self._trial)
        # The service may well run on; a systemd that refuses is found out by the next start.
        output([*_SYSTEMCTL, "daemon-reload"])

    def restart(self) -> None:
        """Start it, or start it again.

        Raises:
            DeviceError: systemd refuses.
        """
        # A unit that failed too often before is refused a start without it.
        output([*_SYSTEMCTL, "reset-failed", self.name])
        _systemctl("restart", self.name)

    def stop(self) -> None:
        """Stop it, if there is one."""
        output([*_SYSTEMCTL, "stop", self.name])

    def remove(self) -> None:
        """Stop it, and leave nothing of it to systemd."""
        known = [
            path
            for path in (self._wanted, self._link, self._trial)
            if path.is_symlink() or path.exists()
        ]
        if not known:
            return
        self.stop()
        for path in known:
            path.unlink()
        output([*_SYSTEMCTL, "daemon-reload"])

    def show(self, name: str) -> str:
        """One of its properties."""
        return output([*_SYSTEMCTL, "show", f"--property={name}", "--value", self.name])[1]

    def _install(self) -> None:
        """Let systemd know the unit from boot on; writes nothing where all is as it should be."""
        if _points_to(self._link) != str(self._target):
            _make_link(self._link, self._target)
        if _points_to(self._wanted) is None:
            _make_link(self._wanted, Path("..") / self.name)


def manager_fails() -> str:
    """Why the user has no systemd that answers; empty where one does."""
    code, told = output([*_SYSTEMCTL, "show-environment"])
    if code == 0:
        return ""
    return told.splitlines()[0] if told else f"systemctl ended with {code}"


def lingers() -> bool:
    """Whether the user's systemd runs while nobody is logged in; sees to it where it may."""
    return _lingers() or (output(["loginctl", "enable-linger"])[0] == 0 and _lingers())


def _lingers() -> bool:
    told = output(["loginctl", "show-user", getpass.getuser(), "--property=Linger"])[1]
    return told == "Linger=yes"


def _systemctl(*arguments: str) -> None:
    code, told = output([*_SYSTEMCTL, *arguments])
    if code != 0:
        raise DeviceError(
            f"systemctl --user {' '.join(arguments)} failed: {told}",
            kind="service",
            hint="systemctl --user status shows more, on the host",
        )


def _unit_folder() -> Path:
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "systemd" / "user"


def _points_to(link: Path) -> str | None:
    try:
        return os.readlink(link)  # noqa: PTH115 - as it is written
    except OSError:
        return None


def _make_link(link: Path, target: Path) -> None:
    """A symbolic link in the place of whatever file is there, kept through a power cut."""
    link.parent.mkdir(parents=True, exist_ok=True)
    part = link.with_name(link.name + ".new")
    _remove(part)
    part.symlink_to(target)
    part.replace(link)
    sync_folder(link.parent)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
