"""What every way to reach a host offers: run, stream, upload, write, read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self

__all__ = ["KEPT_BYTES", "LINE_BYTES", "Completed", "Remote"]

#: Most bytes of standard output, and of standard error, that are kept of one command.
KEPT_BYTES = 16 << 20

#: Longest line that ``lines`` gives, in bytes.
LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Completed:
    """A command that ended on a host.

    Attributes:
        command: program and arguments.
        returncode: the exit code; 128 + n where signal n ended it.
        stdout: what it printed.
        stderr: what it complained about.
    """

    command: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode("utf-8", errors="replace")


class Remote(Protocol):
    """A host. Relative paths start at the home folder; one thread uses it at a time.

    Every method raises :class:`~edgeprune.errors.ConnectionLost` when the connection breaks and
    :class:`~edgeprune.errors.RemoteTimeout` when the host stops answering.

    Attributes:
        name: how reports call the host: ``pi@kitchen:22``.
    """

    name: str

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        check: bool = True,
    ) -> Completed:
        """Run a program to its end.

        Args:
            command: program and arguments; nothing in them means anything to a shell.
            timeout_s: limit of the whole command, in seconds, kept here and on the host, where
                the program is stopped when it passes.
            stdin: what the program reads.
            check: a non-zero exit code is an error.

        Raises:
            RemoteProcessError: when it fails, or prints more than ``KEPT_BYTES``.
            RemoteTimeout: when it did not end in time.
            ConnectionLost: when the connection broke before its end.
        """

    def lines(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b""
    ) -> Iterator[str]:
        """Run a program and give its lines of standard output as they come, without their ends.

        Closing the iterator early stops the program.

        Raises:
            RemoteProcessError: after the last line, when the exit code is not zero; at once, for a
                line longer than ``LINE_BYTES``.
            RemoteTimeout: when it did not end in time.
            ConnectionLost: when the connection broke before its end.
        """

    def put(
        self,
        source: Path,
        destination: PurePosixPath,
        *,
        advance: Callable[[int], None] | None = None,
        mode: int = 0o644,
    ) -> None:
        """Upload a file: whole and verified, or not at all.

        The bytes go to ``destination`` + ``.part``. A part that an earlier upload left is continued
        where its bytes begin the file. Size and SHA-256 are checked on the host before the part
        takes its name. The folder of ``destination`` must be there.

        Args:
            source: a file here.
            destination: its path there.
            advance: called with the number of bytes that are new on the host; those of a resumed
                part count at once, so that the sum is the file's size. It may use this host.
            mode: permissions.

        Raises:
            RemoteFileError: when the host can't keep the file, such as on a full disk, or kept
                other bytes.
        """

    def write(self, destination: PurePosixPath, content: bytes, *, mode: int = 0o644) -> None:
        """Write a small file in one step: readers see the old bytes or the new ones.

        Raises:
            RemoteFileError: when the host can't keep the file.
        """

    def read(self, path: PurePosixPath, *, limit: int = 1 << 20) -> bytes:
        """Read a file of at most ``limit`` bytes.

        Raises:
            RemoteFileError: when it is absent (``missing`` is true), longer, or can't be read.
        """

    def close(self) -> None:
        """Close the connection; closing twice is allowed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
