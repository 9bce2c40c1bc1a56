"""Archives by URL: kept, resumed where a connection broke, and compared with their SHA-256."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from edgeprune.datasets.digest import Memo, file_digest
from edgeprune.errors import DownloadError
from edgeprune.progress import Progress, Task

__all__ = ["Downloader", "default_folder", "is_url"]

_CHUNK = 2**18
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_url(source: str) -> bool:
    """Whether a recipe's source is a URL."""
    return source.startswith(("http://", "https://"))


def default_folder() -> Path:
    """Where downloads are kept: ``edgeprune/downloads`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

    A relative ``XDG_CACHE_HOME`` is ignored, as the XDG Base Directory Specification 0.8 asks.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = cache if cache.is_absolute() else Path.home() / ".cache"
    return root / "edgeprune" / "downloads"


class _Interrupted(Exception):
    """The connection failed in a way that another attempt may mend."""


class _Response(Protocol):
    status: int
    headers: http.client.HTTPMessage

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


@dataclass
class _Partial:
    """A file under way, and beside it the validator of the response that it came from."""

    path: Path

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self, url: str) -> str | None:
        """What ``If-Range`` takes; None when the bytes there are of no use."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return str(note["validator"]) if note["url"] == url and note["validator"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, url: str, headers: http.client.HTTPMessage) -> None:
        """Empty the file, and keep the validator of what comes (RFC 9110, 13.1.5: no weak tag)."""
        tag = headers.get("ETag", "")
        validator = headers.get("Last-Modified") if not tag or tag.startswith("W/") else tag
        self.path.write_bytes(b"")
        note = json.dumps({"url": url, "validator": validator})
        self._note.write_text(note, encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def complete(self, path: Path) -> None:
        self.path.replace(path)
        self._note.unlink(missing_ok=True)


@dataclass(frozen=True)
class Downloader:
    """Fetches pinned files into a folder.

    Attributes:
        folder: where finished files and files under way are kept.
        attempts: how often in a row it may fail without a new byte.
        timeout_s: how long a server may be silent.
        pause_s: before the second attempt; doubled with each one.
        sleep: waits; tests replace it.
    """

    folder: Path
    attempts: int = 5
    timeout_s: float = 30.0
    pause_s: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def fetch(self, url: str, sha256: str, progress: Progress) -> Path:
        """The file that ``url`` serves, from the folder when it is there already.

        Args:
            url: http or https.
            sha256: of the file, 64 hexadecimal digits.
            progress: is told of every byte.

        Raises:
            DownloadError: when the server refuses, keeps failing, or serves other bytes.
        """
        name = _file_name(url, sha256)
        path = self.folder / name
        memo = Memo(self.folder / "digests.json")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock(name):
                if path.is_file() and file_digest(path, memo, progress) == sha256:
                    return path
                self._download(url, sha256, _Partial(self.folder / f"{name}.part"), path, progress)
                return path
        except OSError as error:
            raise DownloadError(
                f"can't be kept: {error.strerror}",
                where=str(error.filename or self.folder),
                hint="make room, or let XDG_CACHE_HOME name another folder",
            ) from error

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """Two runs that want the same file: the second waits, then finds it."""
        with (self.folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _download(
        self, url: str, sha256: str, partial: _Partial, path: Path, progress: Progress
    ) -> None:
        resumed = self._attempt_all(url, partial, progress)
        found = file_digest(partial.path, None, progress)
        if found != sha256 and resumed:
            # The beginning may have come from another file than the end.
            partial.discard()
            self._attempt_all(url, partial, progress)
            found = file_digest(partial.path, None, progress)
        if found != sha256:
            partial.discard()
            raise DownloadError(
                f"its SHA-256 is {found}, the recipe expects {sha256}",
                where=url,
                hint="the file was changed or replaced: check the URL, then data.sha256",
            )
        partial.complete(path)

    def _attempt_all(self, url: str, partial: _Partial, progress: Progress) -> bool:
        """Try until the whole file is there; tells whether it came in more than one piece."""
        failures, most, resumed = 0, partial.size, partial.size > 0
        while True:
            try:
                self._attempt(url, partial, progress)
                return resumed
            except _Interrupted as error:
                failures = 1 if partial.size > most else failures + 1
                most = max(most, partial.size)
                resumed = True
                if failures >= self.attempts:
                    raise DownloadError(
                        f"failed {failures} times in a row: {error}",
                        where=url,
                        hint=f"run it again: it goes on after the {partial.size:,} bytes it has",
                    ) from error
                self.sleep(self.pause_s * 2.0 ** (failures - 1))

    def _attempt(self, url: str, partial: _Partial, progress: Progress) -> None:
        headers = {"User-Agent": "edgeprune", "Accept-Encoding": "identity"}
        validator = partial.validator(url)
        if partial.size and validator:
            headers |= {"Range": f"bytes={partial.size}-", "If-Range": validator}
        try:
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 -- is_url
            with urllib.request.urlopen(request, timeout=self.timeout_s) as response:  # noqa: S310
                self._receive(url, response, partial, progress)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(url, error, partial)
        except (http.client.InvalidURL, ValueError) as error:
            raise DownloadError(f"is not a URL: {error}", where=url) from error
        except urllib.error.URLError as error:
            raise _Interrupted(str(error.reason)) from error
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise _Interrupted(str(error) or type(error).__name__) from error

    def _refused(self, url: str, error: urllib.error.HTTPError, partial: _Partial) -> None:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and partial.size:
            if error.headers["Content-Range"] == f"bytes */{partial.size}":
                return
            partial.discard()
            raise _Interrupted("the server has fewer bytes than were here") from error
        reason = f"the server answered {error.code} {error.reason}"
        if error.code in _RETRIED_STATUS:
            raise _Interrupted(reason) from error
        raise DownloadError(reason, where=url, hint="check the URL in the recipe") from error

    def _receive(
        self, url: str, response: _Response, partial: _Partial, progress: Progress
    ) -> None:
        total = _total(response, partial.size)
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            partial.begin(url, response.headers)
        with progress.task("download", total, "bytes") as task, partial.path.open("ab") as file:
            task.advance(partial.size)
            _copy(response, file.write, task)
        if total is not None and partial.size < total:
            raise _Interrupted(f"the connection ended {total - partial.size:,} bytes early")


def _file_name(url: str, sha256: str) -> str:
    try:
        base = PurePosixPath(unquote(urlsplit(url).path)).name
    except ValueError as error:
        raise DownloadError(f"is not a URL: {error}", where=url) from error
    return f"{sha256[:16]}-{re.sub(r'[^A-Za-z0-9._-]', '_', base)[-80:] or 'file'}"


def _copy(response: _Response, write: Callable[[bytes], int], task: Task) -> None:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except OSError as error:  # told apart from one of the disk
            raise _Interrupted(str(error) or type(error).__name__) from error
        if not chunk:
            return
        write(chunk)
        task.advance(len(chunk))


def _total(response: _Response, held: int) -> int | None:
    """Bytes of the whole file, as the response says.

    Raises:
        _Interrupted: when it goes on elsewhere than where the bytes held end.
    """
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"] or "")
        if match is None or int(match[1]) != held:
            raise _Interrupted("the server answered with another range than was asked for")
        return None if match[2] == "*" else int(match[2])
    length = response.headers["Content-Length"]
    return int(length) if length and length.isdigit() else None
