"""Files on a host, over SFTP: uploads that are whole or absent, small reads and writes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import paramiko
from paramiko.sftp import CMD_EXTENDED

from edgeprune.errors import (
    EdgepruneError,
    RemoteError,
    RemoteFileError,
    RemoteProcessError,
    RemoteTimeout,
    printable,
)
from edgeprune.remote.base import Completed
from edgeprune.remote.link import Link

__all__ = ["Files"]

_CHUNK = 1 << 15

#: A host with less room than this is full, whatever else it says.
_FULL_BYTES = 1 << 16

#: How long the host may take to hash a file, per byte, beyond the limit of silence. An SD card
#: reads 10 MB/s and more.
_HASHING_S_PER_BYTE = 1e-6


class Files:
    """The files of one host.

    Args:
        link: the connection.
        run: runs a command there within a number of seconds.
        stall_s: longest silence of the host.
        upload_s: limit of one upload.
    """

    def __init__(
        self,
        link: Link,
        run: Callable[[tuple[str, ...], float], Completed],
        *,
        stall_s: float,
        upload_s: float,
    ) -> None:
        self._link = link
        self._run = run
        self._stall_s = stall_s
        self._upload_s = upload_s
        self._client: Any = None

    def put(
        self,
        source: Path,
        destination: PurePosixPath,
        advance: Callable[[int], None] | None,
        mode: int,
    ) -> None:
        """Upload a file; see :meth:`edgeprune.remote.base.Remote.put`."""
        part = _part(destination)
        advance = advance or (lambda count: None)
        deadline = time.monotonic() + self._upload_s
        with _opened(source) as file:
            size = _size(file)
            start = self._resumable(part, file, size)
            advance(start)
            digest = self._send(file, part, start, mode, advance, deadline)
        self._verify(part, digest, destination, size)
        self._rename(part, destination)

    def write(self, destination: PurePosixPath, content: bytes, mode: int) -> None:
        """Write a small file; see :meth:`edgeprune.remote.base.Remote.write`."""
        part = _part(destination)
        with self._working(f"writing {destination}", part):
            with self._sftp().open(str(part), "wb") as file:
                file.chmod(mode)
                file.write(content)
                file.flush()
                self._to_disk(file)
            kept = self._sftp().stat(str(part)).st_size
        if kept != len(content):
            raise self._unkept(part, f"kept {kept} bytes of {len(content)}")
        self._rename(part, destination)

    def read(self, path: PurePosixPath, limit: int) -> bytes:
        """Read a small file; see :meth:`edgeprune.remote.base.Remote.read`."""
        with (
            self._working(f"reading {path}", path),
            self._sftp().open(str(path), "rb") as file,
        ):
            content = bytes(file.read(limit + 1))
        if len(content) > limit:
            raise RemoteFileError(
                f"{path} is longer than {limit} bytes", path=str(path), where=self._link.name
            )
        return content

    def close(self) -> None:
        """Close the session; the connection stays."""
        if self._client is not None and self._link.alive:
            with contextlib.suppress(EdgepruneError), self._link.attempt("closing", self._stall_s):
                self._client.close()
        self._client = None

    def _resumable(self, part: PurePosixPath, file: BinaryIO, size: int) -> int:
        """How many bytes of an earlier upload can stay: all of the part's, or none."""
        try:
            with self._working(f"looking for {part}", part):
                there = int(self._sftp().stat(str(part)).st_size or 0)
        except RemoteFileError as error:
            if error.missing:
                return 0
            raise
        if not 0 < there <= size:
            return 0
        return there if self._hash(part, there) == _digest(file, there).hexdigest() else 0

    def _send(
        self,
        file: BinaryIO,
        part: PurePosixPath,
        start: int,
        mode: int,
        advance: Callable[[int], None],
        deadline: float,
    ) -> str:
        """Upload what is missing; the digest of the whole file."""
        digest = _digest(file, start)
        with self._working(f"opening {part}", part):
            there = self._sftp().open(str(part), "r+b" if start else "wb")
            there.set_pipelined(True)
        try:
            with self._working(f"uploading {part}", part):
                there.chmod(mode)
                there.seek(start)
            while chunk := file.read(_CHUNK):
                with self._working(f"uploading {part}", part, self._left(deadline, part)):
                    there.write(chunk)
                digest.update(chunk)
                advance(len(chunk))
            with self._working(f"uploading {part}", part):
                there.flush()
                self._to_disk(there)
        finally:
            self._close_file(there)
        return str(digest.hexdigest())

    def _left(self, deadline: float, part: PurePosixPath) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise RemoteTimeout(
                f"the upload of {part} took more than {self._upload_s:g} s",
                where=self._link.name,
                hint="the next upload goes on from here; ssh.upload_timeout_s is the limit",
            )
        return min(left, self._stall_s)

    def _verify(
        self, part: PurePosixPath, digest: str, destination: PurePosixPath, size: int
    ) -> None:
        if self._hash(part, size) == digest:
            return
        raise self._unkept(part, f"the host kept other bytes of {destination} than were sent")

    def _unkept(self, part: PurePosixPath, message: str) -> RemoteFileError:
        """Remove a part that did not become what was sent, and say why if the host knows."""
        full = self._is_full(part)
        with contextlib.suppress(RemoteFileError), self._working(f"removing {part}", part):
            self._sftp().remove(str(part))
        return self._no_room(part) if full else self._error(part, message)

    def _is_full(self, part: PurePosixPath) -> bool:
        """Whether the file system there has no room left for this user."""
        folder = str(PurePosixPath(".", part.parent))
        command = ("stat", "-f", "-c", "%a %S", "--", folder)
        try:
            blocks, size = map(int, self._run(command, self._stall_s).text.split())
        except (RemoteProcessError, ValueError):
            return False
        return blocks * size < _FULL_BYTES

    def _no_room(self, part: PurePosixPath) -> RemoteFileError:
        return RemoteFileError(
            f"the host's disk is full: no room for {part}",
            path=str(part),
            where=self._link.name,
            hint="make room there; the old files are as they were",
        )

    def _error(self, path: PurePosixPath, message: str, missing: bool = False) -> RemoteFileError:
        return RemoteFileError(message, path=str(path), missing=missing, where=self._link.name)

    def _hash(self, path: PurePosixPath, size: int) -> str:
        limit = self._stall_s + size * _HASHING_S_PER_BYTE
        done = self._run(("sha256sum", "--", str(path)), limit)
        # A name with a backslash or a newline is escaped, and the line begins with a backslash.
        return done.text.removeprefix("\\").partition(" ")[0]

    def _rename(self, part: PurePosixPath, destination: PurePosixPath) -> None:
        with self._working(f"renaming {part}", destination):
            self._sftp().posix_rename(str(part), str(destination))

    def _to_disk(self, file: Any) -> None:
        """Let the host write a file's bytes to its disk, where its server can (OpenSSH 6.5).

        The request is an extension of OpenSSH: PROTOCOL, section 4.5.
        """
        with contextlib.suppress(paramiko.SFTPError):
            try:
                self._sftp()._request(CMD_EXTENDED, "fsync@openssh.com", file.handle)
            except OSError as error:
                if "unsupported" not in str(error).lower():
                    raise

    def _close_file(self, file: Any) -> None:
        if self._link.alive:
            with contextlib.suppress(EdgepruneError), self._working("closing a file", None):
                file.close()

    def _sftp(self) -> Any:
        """The SFTP session, opened at first use; call it inside of ``_working``."""
        if self._client is None:
            channel = self._link.open_channel(self._stall_s)
            channel.settimeout(self._stall_s)
            try:
                channel.invoke_subsystem("sftp")
            except paramiko.SSHException as error:
                if not self._link.alive:
                    raise
                raise RemoteError(
                    "the host offers no SFTP",
                    where=self._link.name,
                    hint="Subsystem sftp internal-sftp in its /etc/ssh/sshd_config",
                ) from error
            self._client = paramiko.SFTPClient(channel)
        return self._client

    @contextlib.contextmanager
    def _working(
        self, doing: str, path: PurePosixPath | None, seconds: float | None = None
    ) -> Iterator[None]:
        """Ask the host for something, and tell what it refuses from a broken connection."""
        refused: OSError | None = None
        with self._link.attempt(doing, self._stall_s if seconds is None else seconds):
            try:
                yield
            except (paramiko.SFTPError, OSError) as error:
                if not self._is_answer(error):
                    raise
                refused = error if isinstance(error, OSError) else OSError(str(error))
        if refused is not None:
            raise self._refusal(doing, path, refused) from refused

    def _is_answer(self, error: BaseException) -> bool:
        """Whether an error is the host's word about a file, and not the end of the connection."""
        if isinstance(error, TimeoutError | ConnectionError) or not self._link.alive:
            return False
        return self._client is not None and not self._client.get_channel().closed

    def _refusal(self, doing: str, path: PurePosixPath | None, error: OSError) -> RemoteFileError:
        at = path or PurePosixPath(".")
        if error.errno == errno.ENOENT:
            return self._error(at, f"{at} is absent on the host, or its folder is", missing=True)
        if error.errno == errno.EACCES:
            return self._error(at, f"{at} is not ours to read or write on the host")
        if doing.startswith(("uploading", "writing", "opening")) and self._is_full(at):
            return self._unkept(at, "")
        return self._error(at, f"the host failed {doing}: {printable(str(error))}")


def _part(destination: PurePosixPath) -> PurePosixPath:
    return destination.with_name(destination.name + ".part")


def _opened(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise EdgepruneError(f"can't be read: {error.strerror}", where=str(source)) from error


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _digest(file: BinaryIO, size: int) -> Any:
    """SHA-256 of the first ``size`` bytes; the file stands behind them afterwards."""
    file.seek(0)
    digest = hashlib.sha256()
    left = size
    while left and (chunk := file.read(min(_CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest
