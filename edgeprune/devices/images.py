"""What all that runs a firmware image shares: where it lies, where it stops, how it fails."""

from __future__ import annotations

from collections.abc import Mapping

from edgeprune.errors import DeviceFault, DeviceTimeout, ImageError
from edgeprune.firmware.elf import Elf
from edgeprune.target import Memory

__all__ = [
    "BELOW_RAM",
    "POWER_UP",
    "STOP_READY",
    "check_place",
    "describe_stop",
    "fault",
    "stack_hint",
    "timed_out",
]

#: What RAM holds at power-up on an emulator: anything but zeros.
POWER_UP = b"\xa5"

#: Numbers of the firmware's breakpoints (protocol.h).
STOP_READY = 0xE0
_STOPS = {
    0xE1: "the firmware took a fault",
    0xE2: "the firmware took an interrupt that nobody asked for",
    0xE3: "the firmware's main returned",
}

#: How far below the RAM an access still is the stack's, in bytes.
BELOW_RAM = 4096


def check_place(elf: Elf, memory: Memory, *, where: str) -> None:
    """Refuse an image for another flash.

    Raises:
        ImageError: it loads something outside of the flash.
    """
    first = memory.flash_origin
    end = first + memory.flash_kib * 1024
    for segment in elf.segments:
        load, size = segment.load_address, len(segment.data)
        if not first <= load <= load + size <= end:
            raise ImageError(
                f"loads {size} bytes at 0x{load:08x}, outside of the flash of {where} "
                f"(0x{first:08x} to 0x{end:08x})",
                where=str(elf.path),
                hint="build the image for this target",
            )


def describe_stop(number: int) -> str:
    """What a breakpoint other than the ready one says."""
    return _STOPS.get(number, f"the firmware stopped at an unexpected breakpoint {number:#x}")


def fault(
    message: str,
    registers: Mapping[str, int],
    elf: Elf,
    *,
    where: str,
    hint: str | None = None,
) -> DeviceFault:
    """The error of firmware that crashed with these registers, ``pc`` among them."""
    function = elf.function_at(registers["pc"])
    return DeviceFault(
        message,
        pc=registers["pc"],
        symbol=function.name if function else None,
        registers=registers,
        where=where,
        hint=hint,
    )


def timed_out(pc: int, elf: Elf, timeout_s: float, *, where: str) -> DeviceTimeout:
    """The error of firmware that was still running, at ``pc``, after ``timeout_s`` seconds."""
    function = elf.function_at(pc)
    return DeviceTimeout(
        f"the firmware did not answer within {timeout_s:g} s; it is at "
        f"0x{pc:08x} in {function.name if function else 'no function'}",
        where=where,
        hint="an endless loop in the firmware, or a machine that is too busy",
    )


def stack_hint(address: int | None, memory: Memory) -> str | None:
    """The stack lies lowest in RAM: an access right below it is an overflow."""
    if address is not None and memory.ram_origin - BELOW_RAM <= address < memory.ram_origin:
        return "the stack overflowed: raise memory.stack_bytes of the target"
    return None
