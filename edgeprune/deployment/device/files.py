"""A release's files: found on the device where it has them, checked, completed, and removed."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import packages
from .layout import PARTIAL, TRASH, DeviceError, Layout, sha256_of, sync_folder

__all__ = [
    "checked",
    "complete",
    "give_up",
    "manifest",
    "prune",
    "remove_failed",
    "stage",
    "sweep",
    "unpack",
]

_MANIFEST = "manifest.json"
#: Small files that were uploaded as one.
PACK = ".pack"

#: Path in a release to SHA-256, size and permissions.
Files = dict[str, tuple[str, int, int]]


def sweep(layout: Layout, release: str) -> list[str]:
    """Remove what killed deployments left, but the parts of this very release."""
    layout.releases.mkdir(parents=True, exist_ok=True)
    swept = []
    for path in sorted(layout.releases.iterdir()):
        if path.suffix in (PARTIAL, TRASH) and path != layout.partial(release):
            layout.discard(path)
            swept.append(path.name)
    return swept


def stage(layout: Layout, release: str, files: Files) -> dict[str, Any]:
    """Make a release's folder, with the files that the device has already.

    Returns:
        ``folder`` below the root; ``missing``, the files to upload; how many files were ``linked``
        from other releases, with ``linked_bytes``; ``needed_bytes`` and ``free_bytes``.
    """
    folder = _folder(layout, release)
    folder.mkdir(parents=True, exist_ok=True)
    # The next upload goes on with a pack that was not unpacked, if it is the same.
    if (folder / PACK).is_file():
        (folder / PACK).replace(_part(folder / PACK))
    known = _known(layout, release)
    missing: list[str] = []
    linked = linked_bytes = needed = 0
    for name, (digest, size, mode) in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is(path, digest, size):
            path.chmod(mode)
        elif _take(path, known.get(digest, []), digest, size, mode):
            linked, linked_bytes = linked + 1, linked_bytes + size
        else:
            missing.append(name)
            needed += size - min(size, _size(_part(path)))
    parts = {_part(folder / name) for name in missing} | {_part(folder / PACK)}
    _remove_others(folder, {folder / name for name in files} | parts)
    room = os.statvfs(folder)
    return {
        "folder": str(folder.relative_to(layout.root)),
        "missing": missing,
        "linked": linked,
        "linked_bytes": linked_bytes,
        "needed_bytes": needed,
        "free_bytes": room.f_bavail * room.f_frsize,
    }


def unpack(layout: Layout, release: str, files: Files, names: list[str]) -> None:
    """Cut the pack into the files that it was joined from."""
    folder = _folder(layout, release)
    with (folder / PACK).open("rb") as pack:
        for name in names:
            _, size, mode = files[name]
            _create(folder / name, pack.read(size), mode)
    (folder / PACK).unlink()


def complete(layout: Layout, release: str, files: Files) -> list[str]:
    """Check every file, and let the folder become a release.

    Returns:
        What is wrong; where that is nothing, the release is whole, and on the disk.
    """
    folder = _folder(layout, release)
    wrong = [
        name for name, (digest, size, _) in files.items() if not _is(folder / name, digest, size)
    ]
    wrong += sorted(str(path.relative_to(folder)) for path in _others(folder, files))
    if wrong:
        return sorted(wrong)
    os.sync()
    if folder != layout.release(release):
        folder.rename(layout.release(release))
        sync_folder(layout.releases)
    return []


def remove_failed(layout: Layout, release: str) -> bool:
    """Remove a release that failed its test, unless it was healthy before, or runs."""
    if release == layout.running() or release in layout.healthy():
        return False
    layout.discard(layout.release(release))
    return True


def give_up(layout: Layout, release: str) -> None:
    """Remove what was uploaded of a release: a full disk is one for the service that runs, too."""
    layout.discard(layout.partial(release))


def prune(layout: Layout, keep: int) -> list[str]:
    """Remove all but the last releases; never the one that runs, nor the healthy one before it."""
    running = layout.running()
    ranked = [name for name in (running, layout.before(running)) if name is not None]
    ranked += [name for name in reversed(layout.healthy()) if name not in ranked]
    ranked += [name for name in reversed(layout.whole()) if name not in ranked]
    removed = ranked[max(keep, 2) :]
    for name in removed:
        layout.discard(layout.release(name))
    packages.prune(layout, {_packages(layout, name) for name in layout.whole()})
    return sorted(removed)


def manifest(layout: Layout, release: str) -> dict[str, Any]:
    """What a release's manifest says; nothing where it is damaged."""
    try:
        value = json.loads((layout.release(release) / _MANIFEST).read_bytes())
        for entry in value["files"].values():
            str(entry["sha256"]), int(entry["bytes"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return dict(value)


def _packages(layout: Layout, release: str) -> str:
    """The digest of the packages that a release runs with; empty where it brings them."""
    told = manifest(layout, release).get("packages")
    return str(told.get("digest", "")) if isinstance(told, dict) else ""


def _folder(layout: Layout, release: str) -> Path:
    """Where a release lies that is whole, or is to be."""
    whole = layout.release(release)
    return whole if whole.is_dir() else layout.partial(release)


def _known(layout: Layout, release: str) -> dict[str, list[Path]]:
    """SHA-256 to files of other releases that should have it."""
    known: dict[str, list[Path]] = {}
    for other in layout.whole():
        if other == release:
            continue
        for name, entry in manifest(layout, other).get("files", {}).items():
            known.setdefault(str(entry["sha256"]), []).append(layout.release(other) / name)
    return known


def _take(path: Path, sources: list[Path], digest: str, size: int, mode: int) -> bool:
    """Share a file with another release, whose bytes are checked first."""
    for source in sources:
        if not _is(source, digest, size):
            continue
        _remove(path)
        try:
            if stat.S_IMODE(source.stat().st_mode) != mode:
                raise OSError
            os.link(source, path)
        except OSError:
            _create(path, source.read_bytes(), mode)
        return True
    return False


def _create(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is new: another release may share what was there."""
    part = _part(path)
    _remove(part)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
    part.chmod(mode)
    part.replace(path)


def _others(folder: Path, files: Files) -> set[Path]:
    wanted = {folder / name for name in files}
    return {path for path in _walk(folder) if path not in wanted}


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    """Remove what does not belong into a folder, empty folders excepted."""
    for path in list(_walk(folder)):
        if path not in wanted:
            _remove(path)


def _walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder; links to folders are no folders."""
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]  # noqa: PTH114, PTH118
        for name in names + links:
            yield Path(root) / name


def _is(path: Path, digest: str, size: int) -> bool:
    """Whether a path is a plain file of these bytes."""
    try:
        information = path.lstat()
        if not stat.S_ISREG(information.st_mode) or information.st_size != size:
            return False
        return sha256_of(path) == digest
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return
    try:
        path.unlink()
    except FileNotFoundError:
        return


def checked(value: dict[str, Any]) -> Files:
    """A request's files, none of which lies outside of the release.

    Raises:
        DeviceError: one does.
    """
    files: Files = {}
    for name, (digest, size, mode) in value.items():
        parts: tuple[str, ...] = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts:
            raise DeviceError(f"{name!r} lies outside of the release")
        files[name] = (str(digest), int(size), int(mode))
    return files
