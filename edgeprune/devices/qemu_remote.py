"""A client of QEMU's debug stub: memory, registers, breakpoints, run, and the instruction count.

It speaks the GDB Remote Serial Protocol (GDB manual, appendix E) over a connected socket. QEMU's
stub is never in no-acknowledge mode here, answers one packet at a time and takes monitor commands
as ``qRcmd``.
"""

from __future__ import annotations

import re
import socket
import time

from edgeprune.errors import DeviceError

__all__ = ["Disconnected", "RemoteStub", "RemoteTimeout"]

#: Bytes of memory in one packet; QEMU's packets hold 4096 characters, two for each byte.
_CHUNK = 1024
#: QEMU answers at once while the core is halted; this much later it is gone.
_ANSWER_S = 30.0
_INTERRUPT = b"\x03"
_WRITTEN = re.compile(r";watch:([0-9a-f]+);")
_COUNT = re.compile(r"instruction count = (\d+)")


class Disconnected(Exception):
    """QEMU ended, or closed the connection."""


class RemoteTimeout(Exception):
    """The core did not stop in time."""


class RemoteStub:
    """One connection. All addresses are the core's, all registers by their GDB number."""

    def __init__(self, connection: socket.socket, *, where: str) -> None:
        """Begin to talk.

        Args:
            connection: connected to QEMU's ``-gdb`` chardev.
            where: the device's name, for errors.

        Raises:
            Disconnected: QEMU is gone.
            DeviceError: it does not answer.
        """
        self._socket = connection
        self._where = where
        self._received = bytearray()
        # QEMU serves single registers only to a client that has read their description.
        self._ask("qXfer:features:read:target.xml:0,ffb")

    def read(self, address: int, size: int) -> bytes:
        """Read memory.

        Raises:
            DeviceError: nothing is mapped there.
        """
        parts = []
        for start in range(0, size, _CHUNK):
            count = min(_CHUNK, size - start)
            answer = self._ask(f"m{address + start:x},{count:x}")
            if answer.startswith("E"):
                raise DeviceError(
                    f"{size} bytes at 0x{address:08x} can't be read", where=self._where
                )
            parts.append(bytes.fromhex(answer))
        return b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Write memory; what is for a peripheral, or for no memory at all, is lost."""
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK]
            self._expect_ok(f"M{address + start:x},{len(chunk):x}:{chunk.hex()}")

    def register(self, number: int) -> int:
        """The value of a 32-bit register."""
        return int.from_bytes(bytes.fromhex(self._ask(f"p{number:x}")), "little")

    def set_register(self, number: int, value: int) -> None:
        """Set a 32-bit register."""
        self._expect_ok(f"P{number:x}={value.to_bytes(4, 'little').hex()}")

    def set_breakpoint(self, address: int) -> None:
        """Stop before the instruction at ``address``; the memory stays as it is."""
        self._expect_ok(f"Z1,{address:x},2")

    def clear_breakpoint(self, address: int) -> None:
        """Don't stop there any more."""
        self._expect_ok(f"z1,{address:x},2")

    def set_watchpoint(self, address: int, size: int) -> None:
        """Stop behind an instruction that writes there."""
        self._expect_ok(f"Z2,{address:x},{size:x}")

    def step(self) -> None:
        """Execute one instruction."""
        self._ask("s")

    def run(self, timeout_s: float) -> int | None:
        """Run until the core stops.

        Returns:
            The address that was written, if it stopped at a watchpoint.

        Raises:
            RemoteTimeout: it did not within ``timeout_s`` of wall-clock time; it is halted now.
            Disconnected: QEMU is gone.
        """
        self._send("c")
        try:
            written = _WRITTEN.search(self._answer(timeout_s))
        except TimeoutError:
            self._transmit(_INTERRUPT)
            self._next()
            raise RemoteTimeout from None
        except BaseException:
            # The core is still running, and a core that runs can't be asked anything.
            self._socket.close()
            raise
        return int(written[1], 16) if written else None

    def instructions(self) -> int:
        """How many instructions the core has executed since it was switched on."""
        text = self._monitor("info replay")
        found = _COUNT.search(text)
        if found is None:
            raise DeviceError(
                f"QEMU does not count instructions: {text.strip()}", where=self._where
            )
        return int(found[1])

    def _monitor(self, command: str) -> str:
        """What QEMU's monitor prints; it comes in packets that begin with O, and OK is the last."""
        answer = self._ask(f"qRcmd,{command.encode().hex()}")
        text = ""
        while answer.startswith("O") and answer != "OK":
            text += bytes.fromhex(answer[1:]).decode(errors="replace")
            answer = self._next()
        return text

    def _expect_ok(self, packet: str) -> None:
        answer = self._ask(packet)
        if answer != "OK":
            raise DeviceError(f"QEMU answered {answer!r} to {packet!r}", where=self._where)

    def _ask(self, packet: str) -> str:
        self._send(packet)
        return self._next()

    def _next(self) -> str:
        try:
            return self._answer(_ANSWER_S)
        except TimeoutError:
            raise self._silent() from None

    def _silent(self) -> DeviceError:
        return DeviceError(
            f"QEMU did not answer within {_ANSWER_S:g} s", where=self._where, hint="open it again"
        )

    def _send(self, packet: str) -> None:
        body = packet.encode()
        self._transmit(b"$%b#%02x" % (body, sum(body) % 256))

    def _transmit(self, data: bytes) -> None:
        try:
            self._socket.settimeout(_ANSWER_S)
            self._socket.sendall(data)
        except TimeoutError:
            raise self._silent() from None
        except OSError as error:
            raise Disconnected from error

    def _answer(self, timeout_s: float) -> str:
        """The body of the next packet, acknowledged.

        Raises:
            TimeoutError: none came in time.
            Disconnected: none will come.
        """
        end = time.monotonic() + timeout_s
        while (packet := self._packet()) is None:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            try:
                received = self._socket.recv(65536)
            except TimeoutError:
                raise
            except OSError as error:
                raise Disconnected from error
            if not received:
                raise Disconnected
            self._received += received
        self._transmit(b"+")
        return packet

    def _packet(self) -> str | None:
        """Take a whole packet from what was received; a local socket damages none."""
        start = self._received.find(b"$")
        end = self._received.find(b"#", start)
        if start < 0 or end < 0 or len(self._received) < end + 3:
            return None
        body = bytes(self._received[start + 1 : end])
        del self._received[: end + 3]
        return body.decode("ascii", errors="replace")
