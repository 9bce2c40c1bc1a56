"""Pinned host keys: OpenSSH's ``known_hosts`` files, read, judged and written.

The format is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": plain, patterned and hashed names,
``[host]:port``, and the markers ``@revoked`` and ``@cert-authority``. Certificates of hosts are not
used, so that lines of authorities pin nothing here.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeprune.errors import RemoteError

__all__ = ["Entry", "Finding", "HostKey", "add", "host_name", "known_kinds", "look_up", "replace"]

_SSH_PORT = 22
_DEFAULT_MODE = 0o600
_FOLDER_MODE = 0o700


@dataclass(frozen=True)
class HostKey:
    """A host's public key.

    Attributes:
        kind: its type, such as ``ssh-ed25519``.
        blob: the key as SSH sends it.
    """

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key as OpenSSH prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest())
        return "SHA256:" + digest.decode().rstrip("=")

    def line(self, name: str) -> str:
        """The line of a ``known_hosts`` file that pins it."""
        return f"{name} {self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True)
class Entry:
    """A line of a ``known_hosts`` file.

    Attributes:
        path: the file.
        number: of the line, from 1.
        marker: ``@revoked``, ``@cert-authority`` or empty.
        names: the names or patterns, or one hashed name.
        key: what it pins.
    """

    path: Path
    number: int
    marker: str
    names: tuple[str, ...]
    key: HostKey

    @property
    def where(self) -> str:
        """File and line, as errors name them."""
        return f"{self.path}:{self.number}"

    def matches(self, name: str) -> bool:
        """Whether the line is about ``name``, as :func:`host_name` writes it."""
        name = name.lower()
        refused = any(_matches(pattern[1:], name) for pattern in self.names if pattern[0] == "!")
        return not refused and any(_matches(p, name) for p in self.names if p[0] != "!")


@dataclass(frozen=True)
class Finding:
    """What the files say about a key that a host showed.

    Attributes:
        state: ``changed`` when the host is known by other keys only.
        entries: the lines that decided.
    """

    state: Literal["known", "unknown", "changed", "revoked"]
    entries: tuple[Entry, ...] = ()


def host_name(host: str, port: int) -> str:
    """A host as ``known_hosts`` files name it: with the port, unless that is 22."""
    host = host.lower()
    return host if port == _SSH_PORT else f"[{host}]:{port}"


def look_up(paths: Sequence[Path], name: str, key: HostKey) -> Finding:
    """Judge a key that ``name`` showed.

    Raises:
        RemoteError: when a file is there and can't be read.
    """
    entries = [entry for entry in _entries(paths) if entry.matches(name)]
    same = [entry for entry in entries if entry.key.blob == key.blob]
    revoked = tuple(entry for entry in same if entry.marker == "@revoked")
    if revoked:
        return Finding("revoked", revoked)
    known = tuple(entry for entry in same if not entry.marker)
    if known:
        return Finding("known", known)
    others = tuple(entry for entry in entries if not entry.marker)
    return Finding("changed", others) if others else Finding("unknown")


def known_kinds(paths: Sequence[Path], name: str) -> tuple[str, ...]:
    """The types of the keys that are pinned for ``name``, in the order of the files.

    Raises:
        RemoteError: when a file is there and can't be read.
    """
    pinned = (e for e in _entries(paths) if not e.marker and e.matches(name))
    return tuple(dict.fromkeys(entry.key.kind for entry in pinned))


def add(path: Path, name: str, key: HostKey) -> None:
    """Pin a key: append a line, in one step.

    The file is made with mode 600, its folder with mode 700.

    Raises:
        RemoteError: when it can't be written.
    """

    def appended(text: str) -> str:
        separator = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{separator}{key.line(name)}\n"

    _rewrite(path, appended)


def replace(path: Path, name: str, key: HostKey, old: Sequence[Entry]) -> None:
    """Pin a key in the place of others: the lines ``old`` lose ``name``, or go.

    Raises:
        RemoteError: when a line covers the name by a pattern, or a file can't be written.
    """
    for entry in old:
        if not any(_is_literally(known, name) for known in entry.names):
            raise RemoteError(
                f"pins the key of {name} by a pattern, {','.join(entry.names)}",
                where=entry.where,
                hint="edit the line by hand",
            )
    for file in dict.fromkeys(entry.path for entry in old):
        _rewrite(file, _without(name, {e.number for e in old if e.path == file}))
    add(path, name, key)


def _without(name: str, numbers: set[int]) -> Callable[[str], str]:
    def edited(text: str) -> str:
        kept = []
        for number, line in enumerate(text.splitlines(keepends=True), start=1):
            if number in numbers:
                first, rest = line.split(maxsplit=1)
                names = [each for each in first.split(",") if not _is_literally(each, name)]
                if not names:
                    continue
                kept.append(f"{','.join(names)} {rest}")
            else:
                kept.append(line)
        return "".join(kept)

    return edited


def _entries(paths: Sequence[Path]) -> Iterator[Entry]:
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RemoteError(
                f"the pinned host keys can't be read: {error.strerror}", where=str(path)
            ) from error
        for number, line in enumerate(text.splitlines(), start=1):
            entry = _parsed(path, number, line)
            if entry is not None:
                yield entry


def _parsed(path: Path, number: int, line: str) -> Entry | None:
    """The entry of a line; None for a comment, and for what OpenSSH would skip as damaged."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    marker = words.pop(0) if words[0].startswith("@") else ""
    if len(words) < 3:
        return None
    names = tuple(name for name in words[0].split(",") if name.strip("!"))
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Entry(path, number, marker, names, HostKey(words[1], blob)) if names else None


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|"):
        return _is_literally(pattern, name)
    parts = re.split(r"([*?])", pattern.lower())
    expression = "".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _is_literally(known: str, name: str) -> bool:
    """Whether a plain or hashed name is this one. Hashed: ``|1|salt|HMAC-SHA1(salt, name)``."""
    name = name.lower()
    if not known.startswith("|1|"):
        return known.lower() == name
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in known[3:].split("|"))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)


def _rewrite(path: Path, edited: Callable[[str], str]) -> None:
    """Replace a file by its edited text; a reader sees the old text or the new."""
    path = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        with _locked(path.parent):
            old = path.read_bytes() if path.exists() else b""
            mode = path.stat().st_mode & 0o777 if path.exists() else _DEFAULT_MODE
            text = edited(old.decode("utf-8", errors="surrogateescape"))
            _put_in_place(path, text.encode("utf-8", errors="surrogateescape"), mode)
    except OSError as error:
        raise RemoteError(
            f"the pinned host keys can't be written: {error.strerror}", where=str(path)
        ) from error


def _put_in_place(path: Path, content: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep two writers of this program apart."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
