"""Instructions of this thread, counted by the CPU: perf_event_open(2), where it is permitted."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
from types import TracebackType

__all__ = ["InstructionCounter"]

#: Number of the system call, by architecture; ``linux/arch/*/…/syscall*.tbl``.
_SYSCALLS = {"x86_64": 298, "aarch64": 241, "armv7l": 364, "armv6l": 364, "armv8l": 364}

#: Of ``struct perf_event_attr`` (linux/perf_event.h).
_ATTRIBUTE_BYTES = 112
_HARDWARE, _INSTRUCTIONS = 0, 1
_INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6
_CLOSE_ON_EXEC = 8
#: What _IOR and its kin make of ('$', 0) and ('$', 3).
_ENABLE, _RESET = 0x2400, 0x2403


class InstructionCounter:
    """Counts user-space instructions of this thread and of those that it starts from now on.

    Attributes:
        reason: why it can't count; empty when it can.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._file: int | None = None
        number = _SYSCALLS.get(platform.machine())
        if number is None:
            self.reason = f"no system call is known for {platform.machine()}"
            return
        library = ctypes.CDLL(None, use_errno=True)
        file = library.syscall(
            ctypes.c_long(number), _attribute(), 0, -1, -1, ctypes.c_ulong(_CLOSE_ON_EXEC)
        )
        if file < 0:
            self.reason = f"perf_event_open: {os.strerror(ctypes.get_errno())}"
            return
        self._file = file
        fcntl.ioctl(file, _RESET, 0)
        fcntl.ioctl(file, _ENABLE, 0)

    def read(self) -> int | None:
        """Instructions so far; none where they can't be counted."""
        if self._file is None:
            return None
        return int(struct.unpack("<Q", os.read(self._file, 8))[0])

    def __enter__(self) -> InstructionCounter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _attribute() -> ctypes.Array[ctypes.c_char]:
    flags = _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR
    content = struct.pack("<IIQQQQQ", _HARDWARE, _ATTRIBUTE_BYTES, _INSTRUCTIONS, 0, 0, 0, flags)
    return ctypes.create_string_buffer(content, _ATTRIBUTE_BYTES)
