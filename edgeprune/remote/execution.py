"""One command on a host: started, fed, drained and stopped within its time."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import paramiko

from edgeprune.errors import RemoteError, RemoteProcessError, RemoteTimeout
from edgeprune.remote.base import KEPT_BYTES, LINE_BYTES, Completed
from edgeprune.remote.link import Link
from edgeprune.remote.quoting import limited

__all__ = ["Stream", "execute", "stream_lines"]

_CHUNK = 1 << 15

#: How often a full window is looked at again while there is input to send, in seconds.
_FULL_WINDOW_S = 0.02

#: How often other ends than that of the output are looked for, in seconds.
_TICK_S = 0.5

#: How long stopping a command may take before the connection is given up, in seconds.
_STOPPING_S = 2.0

#: What is kept of standard error while standard output is given line by line.
_STDERR_TAIL = 1 << 16

_CHANNEL_REQUEST = bytes([98])  # SSH_MSG_CHANNEL_REQUEST, RFC 4254 section 9

#: The exit code of timeout(1) for a program that it stopped.
_STOPPED = 124

#: The exit code of a command that was stopped from here.
_UNKNOWN = -1


class Stream(Enum):
    """Where a command's output went."""

    STDOUT = "stdout"
    STDERR = "stderr"


def execute(
    link: Link, command: Sequence[str], timeout_s: float, stdin: bytes, check: bool
) -> Completed:
    """Run a command to its end; see :meth:`edgeprune.remote.base.Remote.run`."""
    kept: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

    def completed(returncode: int) -> Completed:
        stdout, stderr = (bytes(kept[stream]) for stream in Stream)
        return Completed(tuple(command), returncode, stdout, stderr)

    with contextlib.closing(_Execution(link, command, timeout_s, stdin)) as execution:
        for stream, chunk in execution.output():
            kept[stream] += chunk
            if len(kept[stream]) > KEPT_BYTES:
                del kept[stream][KEPT_BYTES:]
                size = KEPT_BYTES >> 20
                message = f"printed more than {size} MiB and was stopped"
                raise _failure(link, completed(_UNKNOWN), message)
        done = completed(execution.returncode)
    if check and done.returncode != 0:
        raise _failure(link, done)
    return done


def stream_lines(
    link: Link, command: Sequence[str], timeout_s: float, stdin: bytes
) -> Iterator[str]:
    """Run a command and give its lines; see :meth:`edgeprune.remote.base.Remote.lines`."""
    rest, errors = bytearray(), bytearray()
    with contextlib.closing(_Execution(link, command, timeout_s, stdin)) as execution:
        for stream, chunk in execution.output():
            if stream is Stream.STDERR:
                errors = (errors + chunk)[-_STDERR_TAIL:]
                continue
            rest += chunk
            *whole, rest = rest.split(b"\n")
            for line in whole:
                yield _text(line)
            if len(rest) > LINE_BYTES:
                done = Completed(tuple(command), _UNKNOWN, b"", bytes(errors))
                message = f"printed a line of more than {LINE_BYTES >> 20} MiB and was stopped"
                raise _failure(link, done, message)
        if rest:
            yield _text(rest)
        done = Completed(tuple(command), execution.returncode, b"", bytes(errors))
    if done.returncode != 0:
        raise _failure(link, done)


def _text(line: bytearray) -> str:
    return line.decode("utf-8", errors="replace").removesuffix("\r")


def _failure(link: Link, done: Completed, message: str = "") -> RemoteProcessError:
    message = message or f"failed with exit code {done.returncode}{_meaning(done.returncode)}"
    return RemoteProcessError(f"{done.command[0]} {message}", completed=done, where=link.name)


def _meaning(returncode: int) -> str:
    known = {126: "can't be run", 127: "not found", 132: "illegal instruction: another CPU?"}
    known |= {134: "aborted", 135: "bus error", 137: "killed, perhaps for want of memory"}
    known |= {139: "segmentation fault"}
    return f" ({known[returncode]})" if returncode in known else ""


class _Execution:
    """A command that runs; closing it stops what is left of it.

    Attributes:
        returncode: the exit code, once the output has ended.
    """

    def __init__(self, link: Link, command: Sequence[str], timeout_s: float, stdin: bytes) -> None:
        line = limited(command, timeout_s)
        self.returncode = _UNKNOWN
        self._link = link
        self._program = command[0]
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._stdin = memoryview(stdin)
        self._doing = f"running {self._program}"
        with link.attempt(self._doing, timeout_s):
            self._channel = link.open_channel(timeout_s)
            self._channel.exec_command(line)
            self._poll = select.poll()
            self._poll.register(self._channel.fileno(), select.POLLIN)
            if not stdin:
                self._channel.shutdown_write()

    def output(self) -> Iterator[tuple[Stream, bytes]]:
        """Both streams as they come, until the program and its output have ended.

        Raises:
            RemoteTimeout: when the deadline passes.
            ConnectionLost: when the connection breaks.
        """
        channel = self._channel
        while True:
            gone = channel.closed
            ended = gone or channel.eof_received
            silent = True
            while channel.recv_ready():
                silent = False
                yield Stream.STDOUT, channel.recv(_CHUNK)
                self._check_time()
            while channel.recv_stderr_ready():
                silent = False
                yield Stream.STDERR, channel.recv_stderr(_CHUNK)
                self._check_time()
            if ended and silent and (gone or channel.status_event.is_set()):
                break
            self._check_time()
            if self._stdin and not gone:
                self._feed()
            if silent:
                self._wait(ended)
        self._conclude()

    def close(self) -> None:
        """Stop the program, unless it ended, and close the channel.

        At the deadline, timeout(1) stops it there. A second signal would take the time from it
        that it has until SIGKILL.
        """
        if self._link.alive:
            with (
                contextlib.suppress(RemoteError),
                self._link.attempt(f"stopping {self._program}", _STOPPING_S),
            ):
                ended = self._channel.status_event.is_set()
                if not ended and time.monotonic() < self._deadline:
                    self._signal("TERM")
                self._channel.close()
        self._channel.close()

    def _conclude(self) -> None:
        if not self._channel.status_event.is_set() or self._channel.exit_status < 0:
            raise self._link.broken(self._doing, None)
        self.returncode = self._channel.exit_status
        late = time.monotonic() > self._deadline - 0.1 * self._timeout_s
        if self.returncode == _STOPPED and late:
            raise self._timeout()

    def _wait(self, ended: bool) -> None:
        left = max(self._deadline - time.monotonic(), 0.0)
        limit = min(left, _FULL_WINDOW_S if self._stdin else _TICK_S)
        if ended:
            self._channel.status_event.wait(min(limit, _FULL_WINDOW_S))
        else:
            self._poll.poll(1000 * limit)

    def _feed(self) -> None:
        """Send what the window takes; a program that closed its input gets no more."""
        left = max(self._deadline - time.monotonic(), 0.0)
        with self._link.attempt(self._doing, left + _STOPPING_S):
            while self._stdin and self._channel.send_ready():
                try:
                    sent = self._channel.send(self._stdin[:_CHUNK])
                except OSError:
                    if not self._link.alive:
                        raise
                    sent = len(self._stdin)
                self._stdin = self._stdin[sent:]
                if self._channel.recv_ready() or self._channel.recv_stderr_ready():
                    break
            if not self._stdin and not self._channel.closed:
                self._channel.shutdown_write()

    def _check_time(self) -> None:
        if time.monotonic() >= self._deadline:
            raise self._timeout()

    def _timeout(self) -> RemoteTimeout:
        status = ""
        if self._channel.status_event.is_set() and not self._channel.closed:
            status = "; it did, but its output did not: what it started may still hold it"
        return RemoteTimeout(
            f"{self._program} did not end within {self._timeout_s:g} s{status}",
            where=self._link.name,
        )

    def _signal(self, name: str) -> None:
        """Ask sshd (7.9 or newer) to send the program's process group a signal.

        RFC 4254, section 6.9. Older servers ignore it, and timeout(1) ends the program later.
        """
        message: Any = paramiko.Message()
        message.add_byte(_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string(name)
        self._channel.transport._send_user_message(message)
