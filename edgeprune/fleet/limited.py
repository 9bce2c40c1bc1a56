"""A connection whose time ends: every call gets what is left of the host's whole limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from edgeprune.closing import Closing
from edgeprune.errors import ConnectionLost, EdgepruneError, RemoteTimeout
from edgeprune.remote import Completed, Remote
from edgeprune.ssh_target import Ssh

__all__ = ["Interrupted", "Limit", "LimitedRemote"]

#: The device's clock may end a call by so much before ours does, in seconds.
_MOMENT_S = 0.5


class Interrupted(EdgepruneError):
    """The user ended the run before this host was switched."""


class Limit:
    """The time that one host has, and a sign that the user wants an end.

    Args:
        seconds: from now on.
        ended: set when nothing more is to be uploaded.
    """

    def __init__(self, seconds: float, ended: threading.Event | None = None) -> None:
        self.seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._ended = ended

    @property
    def left_s(self) -> float:
        """What is left of it, in seconds; never below zero."""
        return max(0.0, self._deadline - time.monotonic())

    def of(self, seconds: float) -> float:
        """A call's own limit, or what is left, if that is less; never zero."""
        return min(seconds, max(self.left_s, 0.1))

    def table(self, ssh: Ssh) -> Ssh:
        """How a host is reached, with no wait longer than the limit."""
        names = ("connect_timeout_s", "stall_timeout_s", "upload_timeout_s")
        return ssh.model_copy(update={each: self.of(getattr(ssh, each)) for each in names})

    def passed(self, where: str) -> RemoteTimeout:
        """The error for what did not end in time."""
        return RemoteTimeout(
            f"not done within {self.seconds:g} s",
            where=where,
            hint="fleet.host_timeout_s is the limit for one host",
        )

    def check(self, where: str) -> None:
        """Raise when the time has passed."""
        if self.left_s <= 0:
            raise self.passed(where)

    def check_ended(self, where: str) -> None:
        """Raise when the user wants an end."""
        if self._ended is not None and self._ended.is_set():
            raise Interrupted("interrupted while uploading; what ran before runs on", where=where)


class LimitedRemote(Closing):
    """A host whose every call ends within the host's limit.

    Uploads end also when the user interrupts the run. What comes after an upload is short, and
    goes on to its end.

    Args:
        remote: the connection, which this object closes.
        limit: of this host.
    """

    def __init__(self, remote: Remote, limit: Limit) -> None:
        self.name = remote.name
        self._remote = remote
        self._limit = limit

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        check: bool = True,
    ) -> Completed:
        """See :meth:`edgeprune.remote.base.Remote.run`."""
        with _Told(self._limit, self.name):
            limit_s = self._limit.of(timeout_s)
            return self._remote.run(command, timeout_s=limit_s, stdin=stdin, check=check)

    def lines(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b""
    ) -> Iterator[str]:
        """See :meth:`edgeprune.remote.base.Remote.lines`."""
        with _Told(self._limit, self.name):
            limit_s = self._limit.of(timeout_s)
            yield from self._remote.lines(command, timeout_s=limit_s, stdin=stdin)

    def put(
        self,
        source: Path,
        destination: PurePosixPath,
        *,
        advance: Callable[[int], None] | None = None,
        mode: int = 0o644,
    ) -> None:
        """See :meth:`edgeprune.remote.base.Remote.put`."""

        def moved(count: int) -> None:
            self._limit.check(self.name)
            self._limit.check_ended(self.name)
            if advance is not None:
                advance(count)

        with _Told(self._limit, self.name):
            self._remote.put(source, destination, advance=moved, mode=mode)

    def write(self, destination: PurePosixPath, content: bytes, *, mode: int = 0o644) -> None:
        """See :meth:`edgeprune.remote.base.Remote.write`."""
        with _Told(self._limit, self.name):
            self._remote.write(destination, content, mode=mode)

    def read(self, path: PurePosixPath, *, limit: int = 1 << 20) -> bytes:
        """See :meth:`edgeprune.remote.base.Remote.read`."""
        with _Told(self._limit, self.name):
            return self._remote.read(path, limit=limit)

    def close(self) -> None:
        """Close the connection."""
        self._remote.close()


class _Told:
    """Lets nothing begin after the limit, and says so when the limit is what ended a call."""

    def __init__(self, limit: Limit, where: str) -> None:
        self._limit, self._where = limit, where

    def __enter__(self) -> None:
        self._limit.check(self._where)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RemoteTimeout | ConnectionLost) and self._limit.left_s < _MOMENT_S:
            raise self._limit.passed(self._where) from error
