"""A device that is a folder, for tests of what is built on a :class:`edgeprune.remote.Remote`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn, cast

from edgeprune.closing import Closing
from edgeprune.errors import (
    ConnectionLost,
    RemoteFileError,
    RemoteProcessError,
    RemoteTimeout,
)
from edgeprune.process import run_apart
from edgeprune.remote.base import Completed

__all__ = ["Call", "FakeRemote"]

#: What a registered answer is: an exit code with what was printed, or a function of the command.
Answer = Completed | Callable[[tuple[str, ...], bytes], Completed]

_CHUNK = 1 << 15


@dataclass(frozen=True)
class Call:
    """Something that was asked of the device.

    Attributes:
        method: ``run``, ``lines``, ``put``, ``write`` or ``read``.
        arguments: the command, or the path.
        stdin: what a command was given to read.
    """

    method: str
    arguments: tuple[str, ...]
    stdin: bytes = b""


class FakeRemote(Closing):
    """A host that is a folder here, with failures on demand.

    Commands get the answer that :meth:`answer` registered for the longest beginning of their
    arguments; others really run, in the folder, with ``HOME`` set to it.

    Args:
        home: the home folder of the device; relative paths start there, and absolute ones are those
            of this machine.
        name: what reports call it.

    Attributes:
        calls: everything that was asked, in order.
        closed: whether it was closed.
        cut_at_call: the call, from 0, at which the connection breaks; every later one finds it
            broken, until :meth:`reconnect`.
        cut_after_bytes: how many uploaded bytes go through before it breaks.
        disk_bytes: how many bytes the disk takes from now on; None for no limit.
    """

    def __init__(self, home: Path, *, name: str = "pi@fake:22") -> None:
        self.name = name
        self.home = home
        self.calls: list[Call] = []
        self.closed = False
        self.cut_at_call: int | None = None
        self.cut_after_bytes: int | None = None
        self.disk_bytes: int | None = None
        self._broken = False
        self._answers: dict[tuple[str, ...], Answer] = {}
        self._hanging: set[tuple[str, ...]] = set()

    def answer(
        self, *beginning: str, stdout: bytes = b"", stderr: bytes = b"", returncode: int = 0
    ) -> None:
        """Answer every command that begins so, and don't run it."""
        self._answers[beginning] = Completed(beginning, returncode, stdout, stderr)

    def answer_with(
        self, *beginning: str, function: Callable[[tuple[str, ...], bytes], Completed]
    ) -> None:
        """Let ``function(command, stdin)`` answer every command that begins so."""
        self._answers[beginning] = function

    def hang(self, *beginning: str) -> None:
        """Let every command that begins so run into its time limit, without waiting for it."""
        self._hanging.add(beginning)

    def reconnect(self) -> None:
        """Be reachable again, with whatever is on the disk."""
        self.cut_at_call = self.cut_after_bytes = None
        self._broken = self.closed = False

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        check: bool = True,
    ) -> Completed:
        """Answer a command, or run it here."""
        self._called("run", command, stdin)
        return self._ran(command, timeout_s, stdin, check)

    def lines(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b""
    ) -> Iterator[str]:
        """Answer a command line by line; it has ended before the first."""
        self._called("lines", command, stdin)
        done = self._ran(command, timeout_s, stdin, check=False)
        yield from done.text.splitlines()
        self._check(done)

    def put(
        self,
        source: Path,
        destination: PurePosixPath,
        *,
        advance: Callable[[int], None] | None = None,
        mode: int = 0o644,
    ) -> None:
        """Copy a file into the folder, in the way of a real upload: part, resume, rename."""
        self._called("put", [str(destination)])
        content = source.read_bytes()
        part = self._there(destination.with_name(destination.name + ".part"))
        start = _resumable(part, content)
        advance = advance or (lambda count: None)
        advance(start)
        with self._opened(part, "r+b" if start else "wb") as file:
            file.seek(start)
            for at in range(start, len(content), _CHUNK):
                chunk = content[at : at + _CHUNK]
                taken = self._taken(len(chunk))
                file.write(chunk[:taken])
                if taken < len(chunk):
                    file.flush()
                    self._fail(part)
                advance(len(chunk))
        part.chmod(mode)
        part.replace(self._there(destination))

    def write(self, destination: PurePosixPath, content: bytes, *, mode: int = 0o644) -> None:
        """Write a small file in one step."""
        self._called("write", [str(destination)])
        part = self._there(destination.with_name(destination.name + ".part"))
        with self._opened(part, "wb") as file:
            taken = self._taken(len(content))
            file.write(content[:taken])
        if taken < len(content):
            self._fail(part)
        part.chmod(mode)
        part.replace(self._there(destination))

    def read(self, path: PurePosixPath, *, limit: int = 1 << 20) -> bytes:
        """Read a small file."""
        self._called("read", [str(path)])
        with self._opened(self._there(path), "rb") as file:
            content = bytes(file.read(limit + 1))
        if len(content) > limit:
            raise RemoteFileError(
                f"{path} is longer than {limit} bytes", path=str(path), where=self.name
            )
        return content

    def close(self) -> None:
        """Close the connection."""
        self.closed = True

    def _called(self, method: str, arguments: Sequence[str], stdin: bytes = b"") -> None:
        """Record a call, and break the connection if its time has come."""
        if self.closed or self._broken:
            raise self._lost("it was closed before")
        number = len(self.calls)
        self.calls.append(Call(method, tuple(arguments), stdin))
        if self.cut_at_call is not None and number >= self.cut_at_call:
            raise self._lost(f"call {number}")

    def _lost(self, why: str) -> ConnectionLost:
        self._broken = True
        return ConnectionLost(f"the connection broke: {why}", where=self.name)

    def _ran(
        self, command: Sequence[str], timeout_s: float, stdin: bytes, check: bool
    ) -> Completed:
        arguments = tuple(command)
        if _longest(self._hanging, arguments) is not None:
            raise self._timeout(arguments, timeout_s)
        beginning = _longest(self._answers, arguments)
        if beginning is not None:
            done = _answered(self._answers[beginning], arguments, stdin)
        else:
            done = self._really_ran(arguments, timeout_s, stdin)
        if check:
            self._check(done)
        return done

    def _really_ran(self, command: tuple[str, ...], timeout_s: float, stdin: bytes) -> Completed:
        result = run_apart(
            command,
            cwd=self.home,
            env={"HOME": str(self.home), "PWD": str(self.home)},
            stdin=stdin,
            timeout_s=timeout_s,
        )
        if result is None:
            raise self._timeout(command, timeout_s)
        return Completed(command, *result)

    def _check(self, done: Completed) -> None:
        if done.returncode != 0:
            raise RemoteProcessError(
                f"{done.command[0]} failed with exit code {done.returncode}",
                completed=done,
                where=self.name,
            )

    def _timeout(self, command: tuple[str, ...], timeout_s: float) -> RemoteTimeout:
        return RemoteTimeout(f"{command[0]} did not end within {timeout_s:g} s", where=self.name)

    def _there(self, path: PurePosixPath) -> Path:
        return self.home / path

    def _opened(self, path: Path, mode: str) -> BinaryIO:
        try:
            return cast("BinaryIO", path.open(mode))
        except FileNotFoundError as error:
            raise RemoteFileError(
                f"{path} is absent on the host, or its folder is",
                path=str(path),
                missing=True,
                where=self.name,
            ) from error
        except OSError as error:
            raise RemoteFileError(
                f"{path} can't be opened: {error.strerror}", path=str(path), where=self.name
            ) from error

    def _taken(self, count: int) -> int:
        """How many of the next bytes of an upload get through and onto the disk."""
        for name in ("cut_after_bytes", "disk_bytes"):
            left = getattr(self, name)
            if left is not None:
                count = min(count, left)
        for name in ("cut_after_bytes", "disk_bytes"):
            left = getattr(self, name)
            if left is not None:
                setattr(self, name, left - count)
        return count

    def _fail(self, part: Path) -> NoReturn:
        """Break off an upload that did not get through."""
        if self.cut_after_bytes == 0:
            raise self._lost("uploading")
        part.unlink()
        raise RemoteFileError(
            f"the host's disk is full: no room for {part}", path=str(part), where=self.name
        )


def _answered(answer: Answer, command: tuple[str, ...], stdin: bytes) -> Completed:
    if isinstance(answer, Completed):
        return replace(answer, command=command)
    return answer(command, stdin)


def _longest(
    beginnings: Iterable[tuple[str, ...]], command: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The longest of the beginnings that the command has."""
    fitting = [each for each in beginnings if command[: len(each)] == each]
    return max(fitting, key=len, default=None)


def _resumable(part: Path, content: bytes) -> int:
    """How many bytes of an earlier upload begin the content: all of the part's, or none."""
    there = part.read_bytes() if part.is_file() else b""
    return len(there) if content.startswith(there) else 0
