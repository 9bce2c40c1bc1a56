"""A Raspberry Pi for those who have none: built, started, suspended, put back, removed."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeprune.errors import DeclarationError
from edgeprune.process import run
from edgeprune.progress import Progress
from edgeprune.remote.known_hosts import HostKey, add, host_name, look_up, replace
from edgeprune.ssh_target import Ssh
from edgeprune.virtual_pi.emulator import CLEAN, HOST, SUSPENDED, Emulator
from edgeprune.virtual_pi.guest import Guest
from edgeprune.virtual_pi.image import Image, build, image_key
from edgeprune.virtual_pi.keys import user_key
from edgeprune.virtual_pi.programs import require_programs
from edgeprune.virtual_pi.signals import ended_by_signals

__all__ = ["KEY_FOLDER", "USER", "Started", "Status", "VirtualPi", "cache_folder"]

USER = "pi"
#: Where ``targets/virtual-pi.toml`` has the key and the pinned host key, whatever the cache is.
KEY_FOLDER = Path("~/.cache/edgeprune/virtual-pi")
_BOOT_LIMIT_S = 900.0
_RESTORE_LIMIT_S = 300.0


def cache_folder() -> Path:
    """``edgeprune/virtual-pi`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = cache if cache.is_absolute() else Path.home() / ".cache"
    return root / "edgeprune" / "virtual-pi"


How = Literal["ran", "restored", "fresh", "booted"]
State = Literal["absent", "running", "suspended", "off"]


_STATES: dict[State, str] = {
    "absent": "is not built",
    "running": "runs",
    "suspended": "is suspended",
    "off": "is off",
}
_SNAPSHOTS: dict[How, str] = {"restored": SUSPENDED, "fresh": CLEAN}


@dataclass(frozen=True)
class Started:
    """How a virtual Pi came to run.

    Attributes:
        how: it ran already; from the snapshot of when it was stopped, or of its first boot; or
            from the kernel on.
        built_s: seconds of building the image; none when that was there.
        seconds: from then until it could be logged in to.
    """

    how: How
    built_s: float | None
    seconds: float


@dataclass(frozen=True)
class Status:
    """A virtual Pi as it is found.

    Attributes:
        state: not built; running; suspended; or off, so that it boots from its disk.
        disk_bytes: what it takes of this computer's disk.
    """

    state: State
    disk_bytes: int

    def __str__(self) -> str:
        return f"the virtual Pi {_STATES[self.state]}; {self.disk_bytes / 1e6:,.0f} MB of disk"


class VirtualPi:
    """The virtual Pi of a target. One process at a time works on it; others wait.

    Args:
        ssh: the target's table: the port that it listens at on this computer, the key that logs
            in and the file that pins its host key. The key is made, and the file written, here.
        cache: where images, disks and snapshots are kept.
        say: told what is done, line by line.
        progress: where long work reports to.

    Raises:
        DeclarationError: the table names another host, or leaves one of these out.
    """

    def __init__(
        self, ssh: Ssh, cache: Path, *, say: Callable[[str], None], progress: Progress
    ) -> None:
        if ssh.host != HOST or ssh.user != USER:
            raise DeclarationError(
                f"names {ssh.user}@{ssh.host}; a virtual Pi is {USER}@{HOST}", where="ssh"
            )
        if ssh.port is None or ssh.identity_file is None or ssh.known_hosts is None:
            raise DeclarationError(
                "a virtual Pi needs port, identity_file and known_hosts", where="ssh"
            )
        self._ssh = ssh
        self._port = ssh.port
        self._identity = Path(ssh.identity_file).expanduser()
        self._known_hosts = Path(ssh.known_hosts).expanduser()
        self._cache = cache.absolute()
        self._say = say
        self._progress = progress

    def start(self, *, fresh: bool = False) -> Started:
        """Let it run, and wait until systemd and the user's systemd are up.

        The first time it is built, booted, and a snapshot is taken. Later it goes on where it was
        stopped; after a kill or a power cut it boots from its disk. Whatever interrupts this
        leaves no process behind.

        Args:
            fresh: begin with the snapshot of the first boot: all that was deployed is gone.

        Raises:
            DeviceError: programs, mirrors, port or time are missing; or systemd did not come up.
        """
        require_programs()
        with self._locked(), ended_by_signals():
            emulator, built_s = self._emulator()
            if emulator.running and not fresh:
                return Started("ran", built_s, self._ready(emulator, _RESTORE_LIMIT_S))
            emulator.end()
            return self._started(emulator, built_s, fresh)

    def status(self) -> Status:
        """What there is of it now; nothing is waited for."""
        emulators = self._all()
        running = any(emulator.running for emulator in emulators)
        suspended = any(SUSPENDED in emulator.snapshots() for emulator in emulators if not running)
        state: State = "absent"
        if emulators:
            state = "running" if running else "suspended" if suspended else "off"
        used = sum(512 * path.stat().st_blocks for path in self._cache.rglob("*") if path.is_file())
        return Status(state, used)

    def stop(self) -> bool:
        """Suspend it: the next start goes on there. Returns whether it ran."""
        with self._locked():
            running = [emulator for emulator in self._all() if emulator.running]
            for emulator in running:
                emulator.save(SUSPENDED)
                emulator.end()
        return bool(running)

    def remove(self) -> None:
        """End it and delete the image, the disk, the snapshots, and the key that was made here."""
        with self._locked():
            for emulator in self._all():
                emulator.end()
            shutil.rmtree(self._cache)
            if self._identity.parent == KEY_FOLDER.expanduser():
                public = self._identity.with_name(self._identity.name + ".pub")
                for path in (self._identity, public, self._known_hosts):
                    path.unlink(missing_ok=True)

    def _started(self, emulator: Emulator, built_s: float | None, fresh: bool) -> Started:
        snapshots = emulator.snapshots()
        first = CLEAN not in snapshots
        if first:
            emulator.new_disk()
        how: How = "booted"
        if fresh and not first:
            how = "fresh"
        elif SUSPENDED in snapshots and not first:
            how = "restored"
        else:
            self._say("boot …")
        try:
            snapshot = _SNAPSHOTS.get(how)
            emulator.start(snapshot)
            limit_s = _RESTORE_LIMIT_S if snapshot else _BOOT_LIMIT_S
            seconds = self._ready(emulator, limit_s, all_units=first)
            if first:
                self._guest(emulator).settle()
                emulator.save(CLEAN)
            elif SUSPENDED in snapshots:
                emulator.forget(SUSPENDED)
        except BaseException:
            emulator.end()
            raise
        return Started(how, built_s, seconds)

    def _ready(self, emulator: Emulator, limit_s: float, *, all_units: bool = False) -> float:
        began = time.monotonic()
        self._pin(emulator.image)
        guest = self._guest(emulator)
        guest.wait(limit_s, all_units=all_units)
        guest.set_clock()
        return time.monotonic() - began

    def _guest(self, emulator: Emulator) -> Guest:
        return Guest(self._ssh, emulator)

    def _emulator(self) -> tuple[Emulator, float | None]:
        """The machine of the image that is wanted now; those of others go."""
        public = user_key(self._identity)
        qemu = run(["qemu-system-aarch64", "--version"]).splitlines()[0]
        folder = self._cache / image_key(public, qemu)
        for killed in self._cache.glob("*.part"):
            shutil.rmtree(killed)
        for other in self._all():
            if other.image.folder != folder:
                self._say("an image of other packages, keys or QEMU is removed with all on it")
                other.end()
                shutil.rmtree(other.image.folder)
        if folder.is_dir():
            return Emulator(Image(folder), self._port), None
        began = time.monotonic()
        image = build(folder, public, self._progress)
        return Emulator(image, self._port), time.monotonic() - began

    def _all(self) -> list[Emulator]:
        # Folders under work have a dot in their names.
        folders = [path for path in self._cache.glob("*/") if path.name.isalnum()]
        return [Emulator(Image(folder), self._port) for folder in sorted(folders)]

    def _pin(self, image: Image) -> None:
        """Trust the host key, which was made here: nobody need be asked."""
        kind, text = image.host_key.split()
        key = HostKey(kind, base64.b64decode(text))
        name = host_name(HOST, self._port)
        found = look_up([self._known_hosts], name, key)
        if found.state == "unknown":
            add(self._known_hosts, name, key)
        elif found.state == "changed":
            replace(self._known_hosts, name, key, found.entries)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._cache / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say("another process works on the virtual Pi; wait for it …")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
