"""What a Cortex-M's fault registers and stacked frame say about a crash.

Sources: Armv7-M Architecture Reference Manual (DDI 0403E), B1.5.6 for the exception frame, B3.2.15
for CFSR; Armv8-M Architecture Reference Manual (DDI 0553), D1.2 for SFSR.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from edgeprune.errors import DeviceError

__all__ = ["Crash", "examine"]

_CFSR, _BFAR, _SFSR = 0xE000_ED28, 0xE000_ED38, 0xE000_EDE4
_BFAR_VALID = 1 << 15
#: Bits of CFSR: the frame could not be written.
_STACKING = 1 << 4 | 1 << 12 | 1 << 20

#: Bit of CFSR to what it means, the most telling first.
_FAULTS = {
    _STACKING: "an exception found no room on the stack",
    1 << 0 | 1 << 8: "jump to an address without memory",
    1 << 1 | 1 << 9 | 1 << 10: "access to an address without memory",
    1 << 16: "undefined instruction",
    1 << 19: "undefined instruction (coprocessor or FPU not there)",
    1 << 17: "jump to an address without the Thumb bit",
    1 << 24: "data abort: an access that is not aligned",
    1 << 25: "division by zero",
    1 << 18 | 1 << 3 | 1 << 11: "return from an exception that can't be undone",
}
_SUPERVISOR_CALL = 11
_HANDLERS_OF_FAULTS = range(3, 8)

#: What the core saves when it takes an exception, in the order of the stack.
_FRAME_REGISTERS = ("r0", "r1", "r2", "r3", "r12", "lr", "pc")
_FRAME = struct.Struct("<7I")
_FRAME_BYTES = 32
_FRAME_BYTES_WITH_FPU = 104
_NO_FPU_FRAME = 1 << 4
_PADDED = 1 << 9


@dataclass(frozen=True)
class Crash:
    """Why the core took an exception, and the registers that it had before, where they are known.

    ``address`` is the one that was accessed in vain.
    """

    message: str
    registers: dict[str, int]
    address: int | None


def examine(exception: int, registers: dict[str, int], read: Callable[[int, int], bytes]) -> Crash:
    """Look at a core that stands at the first instruction of an exception's handler.

    Args:
        exception: the number of the exception.
        registers: of the core as it stands.
        read: reads memory: address, bytes.

    Returns:
        What the stacked frame and the fault registers tell; where the stack itself is gone, the
        registers are those of the handler.
    """
    if exception == _SUPERVISOR_CALL:
        return Crash("supervisor call that nobody asked for", _unstacked(registers, read), None)
    if exception not in _HANDLERS_OF_FAULTS:
        before = _unstacked(registers, read)
        return Crash("the firmware took an interrupt that nobody asked for", before, None)
    status = _word(read, _CFSR)
    address = _word(read, _BFAR) if status & _BFAR_VALID else None
    message = next((text for bits, text in _FAULTS.items() if status & bits), None)
    if message is None:
        secure = _word(read, _SFSR)
        message = f"security fault, SFSR 0x{secure:08x}" if secure else "the firmware took a fault"
    if address is not None:
        message += f": 0x{address:08x}"
    before = registers if status & _STACKING else _unstacked(registers, read)
    return Crash(message, before, address)


def _word(read: Callable[[int, int], bytes], address: int) -> int:
    return int.from_bytes(read(address, 4), "little")


def _unstacked(registers: dict[str, int], read: Callable[[int, int], bytes]) -> dict[str, int]:
    sp = registers["sp"]
    try:
        frame = read(sp, _FRAME_BYTES)
    except DeviceError:
        return registers
    size = _FRAME_BYTES if registers["lr"] & _NO_FPU_FRAME else _FRAME_BYTES_WITH_FPU
    status = int.from_bytes(frame[-4:], "little")
    saved = dict(zip(_FRAME_REGISTERS, _FRAME.unpack_from(frame), strict=True))
    padding = 4 if status & _PADDED else 0
    return {**registers, **saved, "sp": sp + size + padding}
