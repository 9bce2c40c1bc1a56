"""A Cortex-M board with an image in its memory on QEMU: runs from breakpoint to breakpoint.

Every ``bkpt`` of the image is a breakpoint of QEMU's debug stub, and so is every exception handler,
so a fault is seen at the handler's first instruction, with all that the core has saved. The number
of instructions is QEMU's own; it does not depend on how fast QEMU runs.

What it does not have: errors for writes to the flash, which is RAM on these boards, and for
accesses to memory that the board has and the target has not.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

from edgeprune.codegen.manifest import Layer
from edgeprune.cores import CORES, CoreName
from edgeprune.devices.base import Work
from edgeprune.devices.counting import LayerCost, Profile, every_layer_entry, layer_entries
from edgeprune.devices.cycles import estimate_from_count
from edgeprune.devices.images import (
    BELOW_RAM,
    POWER_UP,
    STOP_READY,
    check_place,
    describe_stop,
    fault,
    stack_hint,
    timed_out,
)
from edgeprune.devices.qemu_faults import examine
from edgeprune.devices.qemu_process import QemuProcess
from edgeprune.devices.qemu_remote import Disconnected, RemoteStub, RemoteTimeout
from edgeprune.errors import DeviceError, DeviceFault
from edgeprune.firmware.elf import Elf
from edgeprune.target import Memory

__all__ = ["QemuMachine"]

_T = TypeVar("_T")

#: GDB's numbers of the registers.
_REGISTERS = {**{f"r{index}": index for index in range(13)}, "sp": 13, "lr": 14, "pc": 15}
_XPSR = 25
_EXCEPTION_NUMBER = 0x1FF

#: Exception vectors: the initial stack pointer, then fifteen handlers.
_VECTORS = struct.Struct("<16I")
_FIRST_EXCEPTION = 2
#: The upper byte of the instruction; the lower one is its number.
_BKPT = 0xBE
#: What QEMU prints when it gives up on a core, and how it prints the registers.
_LOCKUP = re.compile(r"qemu: fatal: (.+)")
_PRINTED_REGISTER = re.compile(r"\bR(\d\d)=([0-9a-f]{8})")


class QemuMachine:
    """One board, halted except during :meth:`boot` and :meth:`resume`."""

    def __init__(
        self, elf: Elf, core: CoreName, memory: Memory, *, where: str, timeout_s: float = 60.0
    ) -> None:
        """Start QEMU with an image in its memory.

        Args:
            elf: the image.
            core: its board is taken; see :data:`edgeprune.cores.CORES`.
            memory: origins and sizes.
            where: the device's name, for errors.
            timeout_s: wall-clock limit from one stop to the next.

        Raises:
            ImageError: the image does not lie in the flash.
            DeviceError: the core has no board, or QEMU is not installed or does not start.
        """
        board = CORES[core].qemu
        if not board:
            raise DeviceError(f"QEMU has no board with the core {core}", where=where)
        check_place(elf, memory, where=where)
        self._elf = elf
        self._core = core
        self._memory = memory
        self._where = where
        self._timeout_s = timeout_s
        #: What is called when the core arrives at an address, besides the stops.
        self._arrivals: dict[int, Callable[[], None]] = {}
        self._resumed = 0
        self._process = QemuProcess(board, elf.path, where=where)
        try:
            with self._connected():
                self._stub = RemoteStub(self._process.connection, where=where)
                self._prepare()
        except BaseException:
            self.close()
            raise

    def boot(self) -> None:
        """Run from the reset vector to the ready stop; once.

        Raises:
            DeviceFault: the firmware crashed.
            DeviceTimeout: it did not get there in time.
        """
        with self._connected():
            self._run()

    def resume(self) -> None:
        """Run on from the ready stop to the next one.

        Raises:
            DeviceFault: the firmware crashed.
            DeviceTimeout: it did not get there in time.
        """
        with self._connected():
            self._stub.set_register(_REGISTERS["pc"], self._register("pc") + 2)
            self._resumed += 1
            self._run()

    def read(self, address: int, size: int) -> bytes:
        """Read memory, as a debugger does.

        Raises:
            DeviceError: nothing is mapped there.
        """
        with self._connected():
            return self._stub.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Write memory, as a debugger does; what is for a peripheral or no memory is lost."""
        with self._connected():
            self._stub.write(address, data)

    def register(self, name: str) -> int:
        """The value of ``r0`` … ``r12``, ``sp``, ``lr`` or ``pc``."""
        with self._connected():
            return self._register(name)

    def counted(self, work: Callable[[], _T], layers: Sequence[Layer]) -> tuple[_T, Profile]:
        """Do ``work``, and count its instructions, by layer; functions and kinds are not known.

        The breakpoint that a request ends at counts as an instruction, as on the emulator.
        """
        counter = _LayerCounter(self._executed)
        with self._marked(layer_entries(self._elf, layers), counter.enter, counter.leave):
            before = self._executed()
            result = work()
            instructions = self._executed() - before
        return result, Profile(
            work=self._work(instructions),
            functions=(),
            layers=tuple(self._layer_cost(each, counter.counts.get(each.index)) for each in layers),
            kinds={},
        )

    def watched(
        self, work: Callable[[], object], layers: Sequence[Layer], leave: Callable[[int], None]
    ) -> None:
        """Do ``work``, and call ``leave`` with a layer's index when its function returns.

        Raises:
            DeviceError: a layer has no function of its own in the image.
        """
        entries = every_layer_entry(self._elf, layers, where=self._where)
        with self._marked(entries, lambda index: None, leave):
            work()

    def close(self) -> None:
        """End QEMU; closing twice does nothing."""
        self._process.close()

    def _prepare(self) -> None:
        """Stop at every breakpoint instruction and handler, and when the stack overflows.

        The boards of the M3, M4 and M7 let writes below the RAM pass without a fault.
        """
        vectors = _VECTORS.unpack(self._stub.read(self._memory.flash_origin, _VECTORS.size))
        handlers = {vector & ~1 for vector in vectors[_FIRST_EXCEPTION:] if vector}
        self._stops = frozenset(handlers | set(_breakpoints(self._elf)))
        for address in sorted(self._stops):
            self._stub.set_breakpoint(address)
        self._stub.set_watchpoint(self._memory.ram_origin - BELOW_RAM, BELOW_RAM)
        self._stub.write(self._memory.ram_origin, POWER_UP * (self._memory.ram_kib * 1024))

    def _run(self) -> None:
        while True:
            try:
                written = self._stub.run(self._timeout_s)
            except RemoteTimeout:
                raise timed_out(
                    self._register("pc"), self._elf, self._timeout_s, where=self._where
                ) from None
            if written is not None:
                raise self._fault(_written(written), self._registers(), written)
            pc = self._register("pc")
            exception = self._stub.register(_XPSR) & _EXCEPTION_NUMBER
            if exception:
                crash = examine(exception, self._registers(), self._stub.read)
                raise self._fault(crash.message, crash.registers, crash.address)
            arrival = self._arrivals.get(pc)
            if arrival is not None:
                arrival()
            if pc in self._stops:
                break
            self._step_over(pc)
        number, kind = self._stub.read(pc, 2)
        if kind == _BKPT and number == STOP_READY:
            return
        raise self._fault(describe_stop(number), self._registers())

    def _step_over(self, pc: int) -> None:
        """Go on behind a breakpoint, which is kept if it is still wanted."""
        self._stub.clear_breakpoint(pc)
        self._stub.step()
        if pc in self._arrivals:
            self._stub.set_breakpoint(pc)

    @contextmanager
    def _marked(
        self,
        entries: Mapping[int, int],
        enter: Callable[[int], None],
        leave: Callable[[int], None],
    ) -> Iterator[None]:
        """Call ``enter`` and ``leave`` with the index of a layer whose function runs meanwhile."""

        def returned(address: int, index: int) -> None:
            del self._arrivals[address]
            leave(index)

        def called(index: int) -> None:
            address = self._register("lr") & ~1
            enter(index)
            self._arrivals[address] = lambda: returned(address, index)
            self._stub.set_breakpoint(address)

        for address, index in entries.items():
            self._arrivals[address] = partial(called, index)
        with self._connected():
            for address in entries:
                self._stub.set_breakpoint(address)
        try:
            yield
        finally:
            left = list(self._arrivals)
            self._arrivals.clear()
            with suppress(Disconnected):
                for address in left:
                    self._stub.clear_breakpoint(address)

    def _executed(self) -> int:
        with self._connected():
            return self._stub.instructions() + self._resumed

    def _work(self, instructions: int) -> Work:
        return Work(instructions, estimate_from_count(self._core, instructions))

    def _layer_cost(self, layer: Layer, instructions: int | None) -> LayerCost:
        cycles = None if instructions is None else estimate_from_count(self._core, instructions)
        return LayerCost(layer.index, layer.name, layer.op, layer.macs, instructions, cycles)

    def _register(self, name: str) -> int:
        return self._stub.register(_REGISTERS[name])

    def _registers(self) -> dict[str, int]:
        return {name: self._register(name) for name in _REGISTERS}

    def _fault(
        self, message: str, registers: Mapping[str, int], address: int | None = None
    ) -> DeviceFault:
        hint = stack_hint(address, self._memory)
        return fault(message, registers, self._elf, where=self._where, hint=hint)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Turn QEMU's end into an error that says why it ended."""
        try:
            yield
        except Disconnected:
            raise self._ended(self._process.close()) from None

    def _ended(self, printed: str) -> DeviceError:
        lockup = _LOCKUP.search(printed)
        values = dict(_PRINTED_REGISTER.findall(printed))
        if lockup is None or len(values) < len(_REGISTERS):
            said = printed.strip() or "it printed nothing"
            return DeviceError(f"QEMU ended: {said}", where=self._where)
        registers = {name: int(values[f"{number:02}"], 16) for name, number in _REGISTERS.items()}
        return self._fault(f"the core locked up: {lockup[1]}", registers)


class _LayerCounter:
    """Instructions from each layer's first to its return."""

    def __init__(self, executed: Callable[[], int]) -> None:
        self._executed = executed
        self._entered = 0
        self.counts: dict[int, int] = {}

    def enter(self, index: int) -> None:
        self._entered = self._executed()

    def leave(self, index: int) -> None:
        count = self._executed() - self._entered
        self.counts[index] = self.counts.get(index, 0) + count


def _written(address: int) -> str:
    return f"write to an address without memory: 0x{address:08x}"


def _breakpoints(elf: Elf) -> Iterator[int]:
    """Addresses of all that looks like a ``bkpt``; constants among them are never executed."""
    for segment in elf.segments:
        for offset in range(0, len(segment.data) - 1, 2):
            if segment.data[offset + 1] == _BKPT:
                yield segment.address + offset
