"""QEMU's control socket: the QEMU Machine Protocol (QMP), JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

from edgeprune.closing import Closing
from edgeprune.errors import DeviceError

__all__ = ["Monitor"]

_ANSWER_LIMIT_S = 10.0


class Monitor(Closing):
    """A connection to a running QEMU.

    Args:
        path: of its socket; as long as it likes, which the address of a socket may not be.

    Raises:
        DeviceError: nobody answers there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_ANSWER_LIMIT_S)
        try:
            _connect(self._socket, path)
            self._lines = self._socket.makefile("rb")
            self._answer()
            self.execute("qmp_capabilities")
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise self._error(f"does not answer: {error}") from error
            raise

    def execute(self, name: str, *, limit_s: float = _ANSWER_LIMIT_S, **arguments: Any) -> Any:
        """Give a command and return what QEMU returns.

        Raises:
            DeviceError: it refuses, says nothing for ``limit_s`` seconds, or is gone.
        """
        request = {"execute": name, "arguments": arguments}
        self._socket.settimeout(limit_s)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while True:
                answer = self._answer()
                if "error" in answer:
                    raise self._error(f"{name}: {answer['error'].get('desc')}")
                if "return" in answer:
                    return answer["return"]
        except OSError as error:
            raise self._error(f"{name}: {error}") from error

    def command(self, line: str, *, limit_s: float) -> None:
        """Give a command of the human monitor; those that succeed are silent.

        Raises:
            DeviceError: it failed, and says why.
        """
        said = self.execute("human-monitor-command", limit_s=limit_s, **{"command-line": line})
        if said.strip():
            raise self._error(f"{line}: {said.strip()}")

    def close(self) -> None:
        """Hang up; QEMU runs on."""
        self._socket.close()

    def _answer(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError("the connection ended")
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise self._error(f"said {line[:100]!r}") from error
        return answer

    def _error(self, message: str) -> DeviceError:
        return DeviceError(f"QEMU's monitor {message}", where=str(self._path))


def _connect(connection: socket.socket, path: Path) -> None:
    """Connect by the folder's file descriptor: the address of a socket holds 107 bytes."""
    with contextlib.ExitStack() as stack:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        stack.callback(os.close, folder)
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
