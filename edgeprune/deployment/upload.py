"""A bundle's files, brought to the device: only those that it lacks, with one bar over them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgeprune.bundle import MANIFEST, SIGNATURE, Bundle
from edgeprune.deployment.lock import Lock
from edgeprune.errors import DeploymentError
from edgeprune.progress import Progress
from edgeprune.remote import Remote
from edgeprune.store import sha256

__all__ = ["Listing", "Uploaded", "hashing_s", "listing", "upload"]

#: Files below this size travel together: each file of its own costs several round trips.
_SMALL_BYTES = 256 << 10
#: Of :mod:`edgeprune.deployment.device.files`.
_PACK = ".pack"
#: What stays free on the device, for logs and health.
_RESERVE_BYTES = 4 << 20
#: An SD card reads 10 MB/s and more, and a file is read up to three times.
_HASHING_S_PER_BYTE = 3e-7

#: Path to SHA-256, size and permissions.
Listing = dict[str, tuple[str, int, int]]


@dataclass(frozen=True)
class Uploaded:
    """What was sent, and what was there.

    Attributes:
        files: how many were sent.
        bytes: their size.
        shared_files: how many the device had in another release.
        shared_bytes: their size.
        running: the release that runs meanwhile.
        runs_well: whether its service is healthy.
    """

    files: int
    bytes: int
    shared_files: int
    shared_bytes: int
    running: str | None
    runs_well: bool


def listing(bundle: Bundle) -> Listing:
    """Every file of a bundle, its manifest and signature included."""
    files = {
        name: (each.sha256, each.bytes, each.mode) for name, each in sorted(bundle.files.items())
    }
    for name in (MANIFEST, SIGNATURE):
        path = bundle.folder / name
        if path.is_file():
            files[name] = (sha256(path), path.stat().st_size, 0o644)
    return files


def hashing_s(files: Listing) -> float:
    """How long a slow device may take to hash them, in seconds."""
    return 30.0 + _HASHING_S_PER_BYTE * sum(size for _, size, _ in files.values())


def upload(
    remote: Remote,
    lock: Lock,
    bundle: Bundle,
    files: Listing,
    *,
    root: str,
    progress: Progress,
) -> Uploaded:
    """Make a release's folder complete on the device.

    Args:
        remote: the device.
        lock: of this deployment.
        bundle: what to upload.
        files: its listing.
        root: folder on the device that everything lies in.
        progress: gets one piece of work, counted in bytes.

    Raises:
        DeploymentError: the disk has no room, or keeps other bytes than were sent.
        RemoteFileError: the device can't keep a file.
        RemoteError: the connection broke.
    """
    told = lock.ask("stage", timeout_s=hashing_s(files), release=bundle.release, files=files)
    missing: list[str] = told["missing"]
    _check_room(remote, told)
    total = sum(files[name][1] for name in missing)
    small = [name for name in missing if files[name][1] < _SMALL_BYTES]
    if missing:
        folder = PurePosixPath(root, told["folder"])
        title = f"upload {bundle.release} to {remote.name}"
        with progress.task(title, total=total, unit="bytes") as task:

            def advance(count: int) -> None:
                task.advance(count)
                lock.renew_when_due()

            if small:
                with _packed(bundle, small) as pack:
                    remote.put(pack, folder / _PACK, advance=advance)
            for name in missing:
                if name not in small:
                    source, mode = bundle.folder / name, files[name][2]
                    remote.put(source, folder / name, advance=advance, mode=mode)
    whole = lock.ask(
        "complete",
        timeout_s=hashing_s(files),
        release=bundle.release,
        files=files,
        packed=small,
    )
    wrong: list[str] = whole["wrong"]
    if wrong:
        shown = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise DeploymentError(
            f"the host keeps other bytes than were sent: {shown}; what ran before runs on",
            where=remote.name,
            hint="deploy again; should it come again, the SD card is failing",
        )
    return Uploaded(
        files=len(missing),
        bytes=total,
        shared_files=told["linked"],
        shared_bytes=told["linked_bytes"],
        running=whole["running"],
        runs_well=whole["healthy"],
    )


def _check_room(remote: Remote, told: dict[str, Any]) -> None:
    needed, free = int(told["needed_bytes"]), int(told["free_bytes"])
    if needed and needed + _RESERVE_BYTES > free:
        raise DeploymentError(
            f"the host's disk has {free / 1e6:.1f} MB free, and the release needs "
            f"{(needed + _RESERVE_BYTES) / 1e6:.1f} MB; what ran before runs on",
            where=remote.name,
            hint="make room there, or keep fewer releases: ssh.keep_releases",
        )


@contextmanager
def _packed(bundle: Bundle, names: Sequence[str]) -> Iterator[Path]:
    """Small files, one behind the other, as one: the device knows their sizes."""
    with tempfile.NamedTemporaryFile(prefix="edgeprune-") as file:
        for name in names:
            file.write((bundle.folder / name).read_bytes())
        file.flush()
        yield Path(file.name)
