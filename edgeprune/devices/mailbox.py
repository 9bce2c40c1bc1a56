"""The host's side of the firmware's mailbox (``firmware_templates/cortex-m/protocol.h``).

It needs no more of a device than reading and writing its memory and letting it run to the next
breakpoint, so an emulator and a debug probe use it alike.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from edgeprune.errors import DeviceError, IdentityError
from edgeprune.firmware.elf import words_to_identity

__all__ = ["SYMBOL", "Command", "FirmwareInfo", "Halted", "Mailbox", "Status"]

#: The object in RAM that requests are written into.
SYMBOL = "edgeprune_mailbox"
MAGIC = 0x50474445
PROTOCOL = 1

_HEADER = struct.Struct("<10I")
_INFO = struct.Struct("<11I")
#: From `command` up to the identity's end: what a request sets.
_REQUEST = struct.Struct("<5I")
_REQUEST_OFFSET = 8


class Command(IntEnum):
    """What a request asks for."""

    INFO = 1
    RESET = 2
    PCM = 3
    FEATURES = 4
    INFER = 5
    READ_FRAME = 6
    LEVEL = 16  # and above: this number plus the level


class Status(IntEnum):
    """How the firmware answered."""

    OK = 0
    BAD_COMMAND = 1
    BAD_LENGTH = 2
    IDENTITY = 3
    NOT_READY = 4


_REASONS = {
    Status.BAD_COMMAND: "does not know the command",
    Status.BAD_LENGTH: "refused the length of the payload",
    Status.NOT_READY: "has not enough frames yet",
}


class Halted(Protocol):
    """A core that is halted at the firmware's ready stop."""

    def read(self, address: int, size: int) -> bytes:
        """Read memory."""

    def write(self, address: int, data: bytes) -> None:
        """Write memory."""

    def resume(self) -> None:
        """Run to the next ready stop."""


@dataclass(frozen=True)
class FirmwareInfo:
    """The firmware's answer to INFO; lengths in samples, sizes in bytes."""

    sample_rate: int
    clip_samples: int
    window_samples: int
    hop_samples: int
    frames: int
    features: int
    fraction_bits: int
    labels: int
    payload_capacity: int
    arena_address: int
    arena_bytes: int


@dataclass(frozen=True)
class _Answer:
    status: int
    frontend_identity: str
    model_identity: str
    frames: int
    payload: bytes


class Mailbox:
    """Requests to the firmware, one at a time.

    Attributes:
        frontend_identity: of the image's front-end, 16 hex digits.
        model_identity: of the image's model, 16 hex digits.
        frames: that the clip had after the last request.
    """

    def __init__(self, core: Halted, address: int, size: int, *, where: str) -> None:
        """Attach to a mailbox of ``size`` bytes at ``address``.

        Raises:
            DeviceError: there is no mailbox of this protocol.
        """
        self._core = core
        self._address = address
        self._size = size
        self._where = where
        first = self._answer()
        self.frontend_identity = first.frontend_identity
        self.model_identity = first.model_identity
        self.frames = first.frames

    @property
    def capacity(self) -> int:
        """Bytes that a payload may have."""
        return self._size - _HEADER.size

    def info(self) -> FirmwareInfo:
        """Ask what the firmware was built for."""
        payload = self.request(Command.INFO)
        if len(payload) != _INFO.size:
            raise DeviceError(
                f"the answer to INFO has {len(payload)} bytes, not {_INFO.size}",
                where=self._where,
                hint="build the image again with this version of edgeprune",
            )
        return FirmwareInfo(*_INFO.unpack(payload))

    def set_level(self, level: int) -> None:
        """Set the operating point of a model that has several; 0 is the full network.

        Raises:
            DeviceError: the firmware's model has no such level.
        """
        self._send(Command.LEVEL + level, f"LEVEL {level}")

    def request(
        self, command: Command, payload: bytes = b"", *, identity: str | None = None
    ) -> bytes:
        """Send a request and return the payload of the answer.

        Args:
            command: what to do.
            payload: at most :attr:`capacity` bytes.
            identity: of the front-end that the payload comes from.

        Raises:
            IdentityError: the firmware has another front-end.
            DeviceError: the firmware refused, or the payload is too long.
        """
        return self._send(command, command.name, payload, identity=identity)

    def _send(
        self, command: int, name: str, payload: bytes = b"", *, identity: str | None = None
    ) -> bytes:
        if len(payload) > self.capacity:
            raise DeviceError(
                f"a payload of {len(payload)} bytes does not fit the mailbox of {self.capacity}",
                where=self._where,
            )
        words = _identity_words(identity or self.frontend_identity, where=self._where)
        request = _REQUEST.pack(command, Status.OK, len(payload), *words)
        self._core.write(self._address + _REQUEST_OFFSET, request)
        if payload:
            self._core.write(self._address + _HEADER.size, payload)
        self._core.resume()
        answer = self._answer()
        self.frames = answer.frames
        if answer.status == Status.IDENTITY:
            raise IdentityError(
                f"the features are of front-end {identity}, the image has front-end "
                f"{answer.frontend_identity}",
                where=self._where,
                hint="compute the features again, or build the image again from the same recipe",
            )
        if answer.status != Status.OK:
            known = answer.status in _REASONS
            reason = _REASONS[Status(answer.status)] if known else f"answered {answer.status}"
            raise DeviceError(f"the firmware {reason} ({name})", where=self._where)
        return answer.payload

    def _answer(self) -> _Answer:
        words = _HEADER.unpack(self._core.read(self._address, _HEADER.size))
        magic, protocol, _, status, length, *identities, frames = words
        if magic != MAGIC or protocol != PROTOCOL:
            raise DeviceError(
                f"the mailbox holds 0x{magic:08x}, protocol {protocol}; expected 0x{MAGIC:08x}, "
                f"protocol {PROTOCOL}",
                where=self._where,
                hint="build the image again with this version of edgeprune",
            )
        if length > self.capacity:
            raise DeviceError(
                f"the answer claims {length} bytes; the mailbox has {self.capacity}",
                where=self._where,
            )
        payload = self._core.read(self._address + _HEADER.size, length) if length else b""
        return _Answer(
            status=status,
            frontend_identity=words_to_identity(*identities[:2]),
            model_identity=words_to_identity(*identities[2:]),
            frames=frames,
            payload=payload,
        )


def _identity_words(identity: str, *, where: str) -> tuple[int, int]:
    try:
        value = int(identity, 16)
    except ValueError:
        value = -1
    if len(identity) != 16 or value < 0:
        raise IdentityError(f"{identity!r} is not an identity of 16 hex digits", where=where)
    return value >> 32, value & 0xFFFF_FFFF
