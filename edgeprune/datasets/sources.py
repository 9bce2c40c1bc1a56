"""Where clips lie: a folder, or a .tar.gz that is streamed and never unpacked to disk."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from edgeprune.errors import DatasetError
from edgeprune.progress import Progress

__all__ = ["FolderSource", "Source", "TarSource", "existing", "open_source"]

#: No clip and no noise recording is larger; a member that is would fill the memory.
_LARGEST_BYTES = 256 * 2**20

_GZIP_MAGIC = b"\x1f\x8b"


class Source(Protocol):
    """Files in at most one level of folders."""

    @property
    def place(self) -> str:
        """The source itself, as an error shows it."""

    def names(self) -> list[str]:
        """Paths of all files, sorted: ``yes/0a1b2c3d_nohash_0.wav``, ``testing_list.txt``."""

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The wanted files with their bytes, in whatever order is fast.

        Raises:
            DatasetError: when one is missing or can't be read.
        """

    def where(self, name: str) -> str:
        """The file ``name`` as an error shows it."""


def existing(path: str, key: str) -> Path:
    """The path of a recipe's key, with ``~`` expanded.

    Raises:
        DatasetError: when there is nothing.
    """
    found = Path(path).expanduser()
    if not found.exists():
        raise DatasetError(
            "does not exist", where=f"{key}: {path}", hint=f"--set {key}=PATH, or mend the recipe"
        )
    return found


def open_source(path: Path, progress: Progress) -> Source:
    """A folder, or a tar archive, compressed with gzip or not."""
    return FolderSource(path) if path.is_dir() else TarSource(path, progress)


class FolderSource:
    """Files in a folder and in its folders; hidden ones are not seen."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        """The path of the folder."""
        return str(self.root)

    def names(self) -> list[str]:
        """Paths relative to the folder, with forward slashes."""
        try:
            folders, names = _visible(self.root)
            for folder in folders:
                names += [f"{folder}/{name}" for name in _visible(self.root / folder)[1]]
        except OSError as error:
            raise DatasetError(
                f"can't be read: {error.strerror}", where=str(error.filename or self.root)
            ) from error
        return sorted(names)

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The wanted files, sorted by name."""
        for name in sorted(wanted):
            try:
                yield name, (self.root / name).read_bytes()
            except OSError as error:
                raise DatasetError(
                    f"can't be read: {error.strerror}", where=self.where(name)
                ) from error

    def where(self, name: str) -> str:
        """The path of the file."""
        return str(self.root / name)


class TarSource:
    """The regular files of a tar archive, without the folder that all of them may share."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path = path
        self._progress = progress
        self._names: dict[str, str] | None = None

    @property
    def place(self) -> str:
        """The path of the archive."""
        return str(self.path)

    def names(self) -> list[str]:
        """Paths in the archive; reads all of it once, which also checks its integrity."""
        return sorted(self._members().values())

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The wanted files, in the archive's order."""
        missing = set(wanted)
        members = self._members()
        with self._stream() as (tar, _):
            while missing and (member := tar.next()) is not None:
                name = members.get(member.name, "")
                if name in missing and member.isreg():
                    missing.discard(name)
                    yield name, self._content(tar, member)
        if missing:
            raise DatasetError("changed while it was read", where=str(self.path))

    def where(self, name: str) -> str:
        """Archive and member."""
        return f"{self.path}: {name}"

    def _content(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        if member.size > _LARGEST_BYTES:
            raise DatasetError(
                f"is {member.size / 2**20:.0f} MiB, more than a recording can be",
                where=self.where(member.name),
            )
        file = tar.extractfile(member)
        return file.read() if file is not None else b""

    def _members(self) -> dict[str, str]:
        """Member name to name without the shared folder."""
        if self._names is None:
            members = []
            with (
                self._progress.task(f"list {self.path.name}", None, "files") as task,
                self._stream() as (tar, stream),
            ):
                for member in tar:
                    if member.isreg():
                        members.append(member.name)
                        task.advance()
                while stream.read(2**20):  # gzip's checksum lies at its end
                    pass
            plain = {member: self._plain(member) for member in members}
            if len(set(plain.values())) != len(members):
                raise DatasetError("holds a file twice", where=str(self.path))
            self._names = _without_shared_folder(plain)
        return self._names

    def _plain(self, member: str) -> str:
        path = PurePosixPath(member)
        if path.is_absolute() or ".." in path.parts:
            raise DatasetError(
                f"holds a path that leads out of it: {member!r}",
                where=str(self.path),
                hint="get the archive from another place; this one was tampered with",
            )
        return path.as_posix()

    @contextmanager
    def _stream(self) -> Iterator[tuple[tarfile.TarFile, IO[bytes]]]:
        """The archive, and the stream under it; what is wrong with either is a DatasetError."""
        try:
            with self._bytes() as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
                yield tar, stream
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise DatasetError(
                f"is damaged or not a .tar.gz: {error}",
                where=str(self.path),
                hint="get the archive again, and compare its SHA-256",
            ) from error

    def _bytes(self) -> IO[bytes]:
        with self.path.open("rb") as file:
            compressed = file.read(2) == _GZIP_MAGIC
        return cast("IO[bytes]", gzip.open(self.path)) if compressed else self.path.open("rb")


def _visible(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder, hidden ones left out."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return (
        [entry.name for entry in shown if entry.is_dir()],
        [entry.name for entry in shown if entry.is_file()],
    )


def _without_shared_folder(names: dict[str, str]) -> dict[str, str]:
    """Drop the top folder of an archive that was packed together with it."""
    tops = {name.partition("/")[0] for name in names.values()}
    depths = {name.count("/") for name in names.values()}
    if len(tops) != 1 or not depths or min(depths) == 0 or max(depths) < 2:
        return names
    return {member: name.partition("/")[2] for member, name in names.items()}
