"""A Cortex-M core with flash and RAM on Unicorn: runs from breakpoint to breakpoint.

What it does not have: exceptions (a fault ends the run), interrupts, peripherals, wait states.
Memory is mapped in pages of 4 KiB, so an access beyond a RAM that ends within a page is not seen.
The M0+ faults on an unaligned access, as the real one does; the larger cores let an unaligned LDM
or LDRD pass, which the real ones do not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edgeprune.codegen.manifest import Layer
from edgeprune.cores import CORES, CoreName
from edgeprune.devices.counting import (
    Analysis,
    BlockCounter,
    Profile,
    every_layer_entry,
    layer_entries,
)
from edgeprune.devices.images import (
    POWER_UP,
    STOP_READY,
    check_place,
    describe_stop,
    fault,
    stack_hint,
    timed_out,
)
from edgeprune.devices.instructions import Decoder
from edgeprune.errors import DeviceError, DeviceFault
from edgeprune.firmware.elf import Elf
from edgeprune.target import Memory

__all__ = ["BlockHook", "Machine"]

_T = TypeVar("_T")

_PAGE = 4096
#: The system control space: CPACR and its neighbours, as plain memory.
_SYSTEM_CONTROL = 0xE000_E000
#: An address that no program counter reaches.
_NOWHERE = 0xFFFF_FFFE
_EXCEPTION_BREAKPOINT = 7
_EXCEPTIONS = {
    1: "undefined instruction",
    2: "supervisor call that nobody asked for",
    3: "instruction fetch abort",
    4: "data abort: an access that is not aligned",
    17: "undefined instruction (coprocessor or FPU not there)",
    18: "jump to an address without the Thumb bit",
}


class BlockHook(Protocol):
    """What sees every block of instructions."""

    def on_block(self, uc: Any, address: int, size: int, user: object) -> None:
        """Take note of a block of ``size`` bytes that is about to run."""


@dataclass(frozen=True)
class _BadAccess:
    kind: str
    address: int
    size: int


class Machine:
    """One emulated core, halted except during :meth:`boot` and :meth:`resume`."""

    def __init__(
        self, elf: Elf, core: CoreName, memory: Memory, *, where: str, timeout_s: float = 60.0
    ) -> None:
        """Load an image.

        Args:
            elf: the image.
            core: the core to emulate.
            memory: origins and sizes; flash can't be written by the firmware.
            where: the device's name, for errors.
            timeout_s: wall-clock limit from one stop to the next.

        Raises:
            ImageError: the image does not lie in the flash.
            DeviceError: the core has no emulation.
        """
        import unicorn
        from unicorn import arm_const

        model = CORES[core].unicorn
        if not model:
            raise DeviceError(f"the core {core} has no emulation", where=where)
        # Unicorn's annotations leave most of it out.
        self._unicorn: Any = unicorn
        self._arm: Any = arm_const
        self._elf = elf
        self._core = core
        self._decoder = Decoder(self.read)
        self._memory = memory
        self._where = where
        self._timeout_us = int(timeout_s * 1e6)
        self._timeout_s = timeout_s
        self._stop: int | None = None
        self._exception: int | None = None
        self._bad_access: _BadAccess | None = None
        # UC_MODE_MCLASS must stay away: it makes every core a Cortex-M33.
        self._uc = self._unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        self._uc.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{model}"))
        self._map()
        self._load()
        self._uc.hook_add(unicorn.UC_HOOK_INTR, self._on_exception)
        invalid = unicorn.UC_HOOK_MEM_UNMAPPED | unicorn.UC_HOOK_MEM_PROT
        self._uc.hook_add(invalid, self._on_bad_access)

    def boot(self) -> None:
        """Start at the reset vector and run to the ready stop.

        Raises:
            DeviceFault: the firmware crashed.
            DeviceTimeout: it did not get there in time.
        """
        stack, reset = struct.unpack("<2I", self.read(self._memory.flash_origin, 8))
        self._uc.reg_write(self._arm.UC_ARM_REG_SP, stack)
        self._run(reset)

    def resume(self) -> None:
        """Run on from the ready stop to the next one.

        Raises:
            DeviceFault: the firmware crashed.
            DeviceTimeout: it did not get there in time.
        """
        self._run(self.register("pc") + 2)

    def read(self, address: int, size: int) -> bytes:
        """Read memory, as a debugger does.

        Raises:
            DeviceError: nothing is mapped there.
        """
        try:
            return bytes(self._uc.mem_read(address, size))
        except self._unicorn.UcError as error:
            raise DeviceError(
                f"{size} bytes at 0x{address:08x} can't be read: {error}", where=self._where
            ) from error

    def write(self, address: int, data: bytes) -> None:
        """Write memory, as a debugger does.

        Raises:
            DeviceError: nothing is mapped there.
        """
        try:
            self._uc.mem_write(address, data)
        except self._unicorn.UcError as error:
            raise DeviceError(
                f"{len(data)} bytes at 0x{address:08x} can't be written: {error}",
                where=self._where,
            ) from error

    def register(self, name: str) -> int:
        """The value of ``r0`` … ``r12``, ``sp``, ``lr`` or ``pc``."""
        return int(self._uc.reg_read(getattr(self._arm, f"UC_ARM_REG_{name.upper()}")))

    def registers(self) -> dict[str, int]:
        """All of them, in that order."""
        names = [*(f"r{index}" for index in range(13)), "sp", "lr", "pc"]
        return {name: self.register(name) for name in names}

    def counted(self, work: Callable[[], _T], layers: Sequence[Layer]) -> tuple[_T, Profile]:
        """Do ``work``, and count every block of instructions, by function and by layer."""
        counter = BlockCounter(layer_entries(self._elf, layers), lambda: self.register("lr"))
        with self.watch(counter):
            result = work()
        analysis = Analysis(self._elf, self._core, layers, self._decoder)
        return result, analysis.profile(counter)

    def watched(
        self, work: Callable[[], object], layers: Sequence[Layer], leave: Callable[[int], None]
    ) -> None:
        """Do ``work``, and call ``leave`` with a layer's index when its function returns.

        Raises:
            DeviceError: a layer has no function of its own in the image.
        """
        entries = every_layer_entry(self._elf, layers, where=self._where)
        with self.watch(BlockCounter(entries, lambda: self.register("lr"), leave)):
            work()

    def close(self) -> None:
        """Unicorn frees the core when nothing refers to it any more."""

    @contextmanager
    def watch(self, hook: BlockHook) -> Iterator[None]:
        """Call ``hook`` for every block while the context is open; costs speed.

        Translated code is dropped at both ends: code that was translated without the hook would
        not call it, and the other way round would keep the cost.
        """
        handle = self._uc.hook_add(self._unicorn.UC_HOOK_BLOCK, hook.on_block)
        self._uc.ctl_flush_tb()
        try:
            yield
        finally:
            self._uc.hook_del(handle)
            self._uc.ctl_flush_tb()

    def _map(self) -> None:
        unicorn, memory = self._unicorn, self._memory
        read_execute = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        read_write = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        self._map_pages(memory.flash_origin, memory.flash_kib * 1024, read_execute)
        self._map_pages(memory.ram_origin, memory.ram_kib * 1024, read_write)
        self._map_pages(_SYSTEM_CONTROL, _PAGE, read_write)

    def _map_pages(self, origin: int, size: int, rights: int) -> None:
        first = origin - origin % _PAGE
        end = -(-(origin + size) // _PAGE) * _PAGE
        try:
            self._uc.mem_map(first, end - first, rights)
        except self._unicorn.UcError as error:
            raise DeviceError(
                f"memory at 0x{origin:08x} can't be mapped: {error}",
                where=self._where,
                hint="memory.flash_origin and memory.ram_origin must not overlap",
            ) from error

    def _load(self) -> None:
        check_place(self._elf, self._memory, where=self._where)
        for segment in self._elf.segments:
            self._uc.mem_write(segment.load_address, segment.data)
        ram = POWER_UP * (self._memory.ram_kib * 1024)
        self._uc.mem_write(self._memory.ram_origin, ram)

    def _run(self, address: int) -> None:
        self._stop = self._exception = self._bad_access = None
        try:
            self._uc.emu_start(address | 1, _NOWHERE, timeout=self._timeout_us)
        except self._unicorn.UcError as error:
            raise self._fault(self._describe(error)) from error
        if self._stop == STOP_READY:
            return
        if self._stop is not None:
            raise self._fault(describe_stop(self._stop))
        if self._exception is not None:
            raise self._fault(
                _EXCEPTIONS.get(self._exception, f"exception {self._exception} of the emulator")
            )
        raise timed_out(self.register("pc"), self._elf, self._timeout_s, where=self._where)

    def _on_exception(self, uc: Any, number: int, user: object) -> None:
        if number == _EXCEPTION_BREAKPOINT:
            instruction = self.read(self.register("pc"), 2)
            self._stop = instruction[0]
        else:
            self._exception = number
        uc.emu_stop()

    def _on_bad_access(
        self, uc: Any, access: int, address: int, size: int, value: int, user: object
    ) -> bool:
        unicorn = self._unicorn
        kinds = {
            unicorn.UC_MEM_READ_UNMAPPED: "read from an address without memory",
            unicorn.UC_MEM_WRITE_UNMAPPED: "write to an address without memory",
            unicorn.UC_MEM_FETCH_UNMAPPED: "jump to an address without memory",
            unicorn.UC_MEM_WRITE_PROT: "write to flash",
            unicorn.UC_MEM_FETCH_PROT: "jump into memory that holds no code",
        }
        self._bad_access = _BadAccess(kinds.get(access, f"access {access}"), address, size)
        return False

    def _describe(self, error: Exception) -> str:
        if self._bad_access is not None:
            access = self._bad_access
            return f"{access.kind}: {access.size} bytes at 0x{access.address:08x}"
        if getattr(error, "errno", None) == self._unicorn.UC_ERR_INSN_INVALID:
            return "undefined instruction"
        if self._exception is not None:
            return _EXCEPTIONS.get(self._exception, f"exception {self._exception}")
        return f"the emulator stopped: {error}"

    def _fault(self, message: str) -> DeviceFault:
        address = self._bad_access.address if self._bad_access else None
        hint = stack_hint(address, self._memory)
        return fault(message, self.registers(), self._elf, where=self._where, hint=hint)
