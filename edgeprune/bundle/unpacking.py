"""A wheel into a folder, without installing it: no scripts are run, nothing leaves the folder.

A wheel is a zip whose files lie as they are imported, but for ``<name>.data/``, whose ``purelib``
and ``platlib`` do too (PEP 427). Every file is checked against the wheel's ``RECORD``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgeprune.errors import BundleError

__all__ = ["unpack"]

#: Largest sum of a wheel's files, in bytes; TensorFlow Lite's runtimes have 50 MB.
_LARGEST = 512 << 20

#: Folders and files that no inference reads: tests, and a WebGPU plug-in of 17 MB.
_LEFT_OUT_FOLDERS = frozenset({"tests", "__pycache__"})
_LEFT_OUT_FILES = frozenset({"libLiteRtWebGpuAccelerator.so"})


@dataclass(frozen=True)
class _Member:
    info: zipfile.ZipInfo
    destination: PurePosixPath


def unpack(wheel: Path, folder: Path) -> list[PurePosixPath]:
    """Unpack a wheel's importable files.

    Args:
        wheel: the file.
        folder: where to; made when missing. Files of other wheels may lie there.

    Returns:
        What was written, relative to the folder.

    Raises:
        BundleError: the file is damaged, is not what its RECORD says, holds a name that would
            leave the folder or a link, or overwrites another wheel's file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _unpack(archive, folder, where=wheel.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BundleError(
            f"is damaged: {error}", where=wheel.name, hint="remove it and download it again"
        ) from error
    except OSError as error:
        raise BundleError(f"can't be unpacked: {error.strerror}", where=wheel.name) from error


def _unpack(archive: zipfile.ZipFile, folder: Path, *, where: str) -> list[PurePosixPath]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if sum(info.file_size for info in infos) > _LARGEST:
        raise BundleError(f"unpacks to more than {_LARGEST >> 20} MiB", where=where)
    names = [info.filename for info in infos]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BundleError(f"holds {twice[0]!r} twice", where=where)
    record = _record(archive, names, where=where)
    written = []
    for member in _members(infos, where=where):
        content = archive.read(member.info)
        _check(member.info.filename, content, record, where=where)
        _write(folder / member.destination, content, where=where)
        written.append(member.destination)
    return written


def _members(infos: list[zipfile.ZipInfo], *, where: str) -> Iterator[_Member]:
    for info in infos:
        path = _safe(info, where=where)
        destination = _destination(path)
        if destination is not None:
            yield _Member(info, destination)


def _safe(info: zipfile.ZipInfo, *, where: str) -> PurePosixPath:
    name = info.orig_filename
    path = PurePosixPath(name)
    unsafe = path.is_absolute() or ".." in path.parts or not path.parts
    if unsafe or any(character in name for character in "\\:\0\n"):
        raise BundleError(f"holds a file with an unsafe name, {name!r}", where=where)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise BundleError(f"holds {name!r}, which is not a plain file", where=where)
    return path


def _destination(path: PurePosixPath) -> PurePosixPath | None:
    """Where a file goes; None for one that is left out."""
    if path.parts[0].endswith(".data"):
        if len(path.parts) < 3 or path.parts[1] not in ("purelib", "platlib"):
            return None
        path = PurePosixPath(*path.parts[2:])
    if _LEFT_OUT_FOLDERS.intersection(path.parts[:-1]) or path.name in _LEFT_OUT_FILES:
        return None
    return path


def _record(archive: zipfile.ZipFile, names: list[str], *, where: str) -> Mapping[str, str]:
    """File name to what RECORD says of it: ``sha256=…``."""
    found = [name for name in names if name.endswith(".dist-info/RECORD") and name.count("/") == 1]
    if len(found) != 1:
        raise BundleError("is no wheel: it has no RECORD", where=where)
    try:
        rows = csv.reader(io.StringIO(archive.read(found[0]).decode("utf-8")))
        return {row[0]: row[1] for row in rows if len(row) >= 2}
    except (UnicodeDecodeError, csv.Error) as error:
        raise BundleError(f"has a damaged RECORD: {error}", where=where) from error


def _check(name: str, content: bytes, record: Mapping[str, str], *, where: str) -> None:
    if name.endswith((".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")):
        return
    algorithm, _, expected = record.get(name, "").partition("=")
    if algorithm not in ("sha256", "sha384", "sha512"):
        raise BundleError(f"its RECORD has no SHA-256 of {name!r}", where=where)
    digest = hashlib.new(algorithm, content).digest()
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != expected.rstrip("="):
        raise BundleError(f"{name!r} is not what its RECORD says", where=where)


def _write(path: Path, content: bytes, *, where: str) -> None:
    if path.exists():
        if path.is_file() and path.read_bytes() == content:
            return
        raise BundleError(f"overwrites another wheel's {path.name!r}", where=where)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if path.suffix == ".so" or ".so." in path.name else 0o644)
