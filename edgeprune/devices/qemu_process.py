"""QEMU as a child process that ends with its session, whatever ends the session.

QEMU's debug stub talks over a socket that the child inherits, so nothing lies in the file system.
Between this process and QEMU stands a shell that waits for its standard input to end: the kernel
closes it when this process ends, however it ends, and the shell then kills QEMU.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import weakref
from pathlib import Path

from edgeprune.errors import DeviceError

__all__ = ["PROGRAM", "QemuProcess", "find_qemu"]

PROGRAM = "qemu-system-arm"
_INSTALL = "apt-get install qemu-system-arm (Debian, Ubuntu) or brew install qemu (macOS)"

#: The shell lets go of the socket, so that QEMU's end closes it.
_GUARD = '"$@" </dev/null & exec >&-; read -r _; kill -9 $!; wait $!'
#: An instruction takes 2^shift ns of the board's time. The monitor tells the number of instructions
#: of a run that is recorded; the recording itself is not wanted.
_COUNTING = "shift=7,align=off,rr=record,rrfile=/dev/null"
_END_S = 10.0


def find_qemu(*, where: str) -> Path:
    """QEMU's program for Arm.

    Raises:
        DeviceError: it is not installed; says how to install it.
    """
    path = shutil.which(PROGRAM)
    if path is None:
        raise DeviceError(f"{PROGRAM} is not installed", where=where, hint=_INSTALL)
    return Path(path)


class QemuProcess:
    """A running QEMU, halted before its first instruction.

    Attributes:
        connection: to its debug stub.
    """

    def __init__(self, board: str, image: Path, *, where: str) -> None:
        """Start it.

        Args:
            board: QEMU's name of the machine.
            image: an ELF file, which QEMU loads.
            where: the device's name, for errors.

        Raises:
            DeviceError: QEMU or the shell can't be started.
        """
        command = [
            *("/bin/sh", "-c", _GUARD, PROGRAM, str(find_qemu(where=where))),
            *("-M", board, "-nodefaults", "-display", "none", "-icount", _COUNTING),
            *("-chardev", "socket,id=stub,fd=1", "-gdb", "chardev:stub", "-S"),
            *("-kernel", str(image)),
        ]
        self.connection, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    # What Ctrl-C in the terminal means is this process's to decide.
                    start_new_session=True,
                )
            except OSError as error:
                self.connection.close()
                raise DeviceError(
                    f"{PROGRAM} can't be started: {error.strerror}", where=where
                ) from error
        self._finish = weakref.finalize(self, _end, process, self.connection)

    def close(self) -> str:
        """End QEMU if it still runs; closing twice does nothing.

        Returns:
            What it printed on standard error.
        """
        return self._finish() or ""


def _end(process: subprocess.Popen[bytes], connection: socket.socket) -> str:
    connection.close()
    try:
        # Closes standard input, which ends the guard, which ends QEMU.
        _, printed = process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        printed = b""
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, printed = process.communicate(timeout=_END_S)
    return printed.decode(errors="replace")
