"""Where everything lies on the device, and files that are old or new, never half.

::

    releases/<id>/           a whole release; never changed, but to mend a damaged file
    releases/<id>.partial/   one that is being uploaded
    releases/<id>.trash/     one that is being removed
    packages/<digest>/       what releases run with that the device installed by itself
    current                  a symbolic link to the release that runs
    history.json             the releases that became healthy, oldest first
    activation.json          the last switch: from, to, and how it ended
    health.json              what the service tells of itself
    service.json             the process, or the systemd unit, that serves
    lock.json                which deployer is at work
    log/service.log          what the service printed, where systemd does not keep it
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

__all__ = [
    "DeviceError",
    "Layout",
    "boot_id",
    "read_json",
    "sha256_of",
    "sync_folder",
    "utc",
    "write_json",
]

PARTIAL, TRASH = ".partial", ".trash"
#: Of a JSON file that may be overwritten in place: room for a longer value.
_PADDED_BYTES = 1024
_CHUNK = 1 << 20
_RELEASE = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


class DeviceError(Exception):
    """What the device can't do, and why.

    Attributes:
        kind: ``lock`` where another deployment is the reason; else ``service`` or ``device``.
    """

    def __init__(self, message: str, *, kind: str = "device", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.kind, self.hint = message, kind, hint


class Layout:
    """The paths below the folder that everything lies in."""

    def __init__(self, root: str) -> None:
        """Name the folder, relative to the working directory, which is the home folder."""
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - links stay links
        self.releases = self.root / "releases"
        self.current = self.root / "current"
        self.history = self.root / "history.json"
        self.activation = self.root / "activation.json"
        self.health = self.root / "health.json"
        self.service = self.root / "service.json"
        self.lock = self.root / "lock.json"
        self.guard = self.root / ".guard"
        self.log = self.root / "log" / "service.log"

    def release(self, name: str) -> Path:
        """The folder of a release.

        Raises:
            DeviceError: the name is none of a release.
        """
        if not _RELEASE.fullmatch(name):
            raise DeviceError(f"{name!r} is not the name of a release")
        return self.releases / name

    def partial(self, name: str) -> Path:
        """Where a release is uploaded to."""
        folder = self.release(name)
        return folder.with_name(folder.name + PARTIAL)

    def whole(self) -> list[str]:
        """The releases that are complete, oldest first."""
        if not self.releases.is_dir():
            return []
        names = (path.name for path in self.releases.iterdir() if path.is_dir())
        return sorted(name for name in names if _RELEASE.fullmatch(name))

    def running(self) -> str | None:
        """The release that ``current`` points to; none where there is no such link.

        Raises:
            DeviceError: it is no link.
        """
        try:
            return self.current.readlink().name
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DeviceError(
                f"{self.current} is not a symbolic link", hint="move it away, on the host"
            ) from error

    def healthy(self) -> list[str]:
        """The releases that became healthy and are still there, the latest last."""
        there = set(self.whole())
        entries = read_json(self.history).get("healthy", [])
        return [entry["release"] for entry in entries if entry["release"] in there]

    def before(self, release: str | None) -> str | None:
        """The healthy release that a release came after."""
        healthy = self.healthy()
        if release in healthy:
            healthy = healthy[: healthy.index(release)]
        return healthy[-1] if healthy else None

    def prepared_link(self, release: str, name: str) -> Path:
        """A symbolic link to a release, ready to be renamed to ``current``."""
        link = self.root / name
        _unlink(link)
        link.symlink_to(Path(self.releases.name) / self.release(release).name)
        return link

    def switch(self, link: Path) -> None:
        """Let ``current`` be a prepared link: one rename, kept through a power cut."""
        link.replace(self.current)
        sync_folder(self.root)

    def discard(self, folder: Path) -> None:
        """Remove a folder of ``releases`` so that a part of it is never taken for a release."""
        trash = folder.with_name(folder.name.split(".")[0] + TRASH)
        if folder != trash:
            shutil.rmtree(trash, ignore_errors=True)
            folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no file, or no JSON in it."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any], *, in_place_if_full: bool = False) -> None:
    """Write a JSON object in one step, and onto the disk.

    Args:
        path: of the file.
        value: the object.
        in_place_if_full: overwrite the old file where the disk has no room for a second one.
    """
    content = (json.dumps(value, sort_keys=True) + "\n").encode()
    if in_place_if_full:
        content = content.ljust(_PADDED_BYTES)
    part = path.with_name(path.name + ".new")
    try:
        _write(part, content, "wb")
    except OSError as error:
        _unlink(part)
        there = path.stat().st_size if in_place_if_full and path.exists() else 0
        # A longer value might end half way, and of a longer one before none may be left.
        if error.errno != errno.ENOSPC or len(content) > there:
            raise
        _write(path, content.ljust(there), "r+b")
        return
    part.replace(path)
    sync_folder(path.parent)


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(_CHUNK), b""):
            digest.update(piece)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Let names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def boot_id() -> str:
    """What tells this boot of the system from others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def utc() -> str:
    """The time, as people read it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _write(path: Path, content: bytes, mode: str) -> None:
    with open(path, mode) as file:  # noqa: PTH123 - the mode is not literal
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
