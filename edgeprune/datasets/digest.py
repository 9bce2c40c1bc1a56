"""SHA-256 of files and folders, remembered while size and time of modification stay the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from edgeprune.errors import DatasetError
from edgeprune.progress import Progress

__all__ = ["Memo", "file_digest", "files_digest"]

_CHUNK = 2**20
#: A file changed so recently could change again within the same tick of its clock.
_SETTLED_NS = 2_000_000_000


class Memo:
    """A small JSON file: what was hashed, by path, size and time of modification.

    It only saves time: one that is missing, damaged or not writable does no harm.
    """

    _MOST = 1000

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, key: str) -> str | None:
        """The digest that was kept under ``key``."""
        return self._read().get(key)

    def keep(self, key: str, digest: str) -> None:
        """Keep a digest; the oldest are forgotten."""
        known = self._read()
        known.pop(key, None)
        known[key] = digest
        latest = dict(list(known.items())[-self._MOST :])
        beside = self.path.with_name(f"{self.path.name}.{time.time_ns()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(latest, indent=1) + "\n", encoding="utf-8")
            beside.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {str(key): value for key, value in known.items() if isinstance(value, str)}


def file_digest(path: Path, memo: Memo | None, progress: Progress) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits.

    Args:
        path: the file.
        memo: where a digest is looked up and kept; None hashes in any case.
        progress: is told of every byte.

    Raises:
        DatasetError: when the file can't be read.
    """
    key, settled = _state([os.fspath(path)])
    if memo is not None and (known := memo.find(key)) is not None:
        return known
    with progress.task(f"hash {path.name}", path.stat().st_size, "bytes") as task:
        hashed = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    hashed.update(chunk)
                    task.advance(len(chunk))
        except OSError as error:
            raise DatasetError(f"can't be read: {error.strerror}", where=str(path)) from error
    if memo is not None and settled:
        memo.keep(key, hashed.hexdigest())
    return hashed.hexdigest()


def files_digest(root: Path, names: Iterable[str], memo: Memo | None, progress: Progress) -> str:
    """SHA-256 over the sorted relative paths of files and the SHA-256 of each content.

    Args:
        root: the folder.
        names: paths relative to it.
        memo: where the digest of all of them is looked up and kept.
        progress: is told of every file.

    Raises:
        DatasetError: when a file can't be read.
    """
    names = sorted(names)
    key, settled = _state([os.path.join(root, name) for name in ["", *names]])  # noqa: PTH118
    if memo is not None and (known := memo.find(key)) is not None:
        return known
    hashed = hashlib.sha256()
    with progress.task(f"hash {root.name}", len(names), "files") as task:
        for name in names:
            try:
                content = hashlib.sha256((root / name).read_bytes()).hexdigest()
            except OSError as error:
                where = str(root / name)
                raise DatasetError(f"can't be read: {error.strerror}", where=where) from error
            hashed.update(f"{content} {name}\n".encode("utf-8", "surrogateescape"))
            task.advance()
    if memo is not None and settled:
        memo.keep(key, hashed.hexdigest())
    return hashed.hexdigest()


def _state(paths: list[str]) -> tuple[str, bool]:
    """A key of paths, sizes and times, and whether all are old enough to be trusted.

    Plain strings: a folder may hold a hundred thousand files.
    """
    hashed = hashlib.sha256(os.fsencode(Path.cwd()))
    latest = 0
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            raise DatasetError(f"can't be read: {error.strerror}", where=path) from error
        hashed.update(os.fsencode(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"))
        latest = max(latest, status.st_mtime_ns)
    return hashed.hexdigest(), latest < time.time_ns() - _SETTLED_NS
