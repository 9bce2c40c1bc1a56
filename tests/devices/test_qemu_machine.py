"""Faults, stops and time-outs on QEMU's boards, with firmware of a few lines."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import time
from pathlib import Path

import pytest

from edgeprune.cores import CORES, QEMU_BOARDS
from edgeprune.devices.qemu_faults import examine
from edgeprune.devices.qemu_machine import QemuMachine
from edgeprune.devices.qemu_process import PROGRAM
from edgeprune.errors import DeviceError, DeviceFault, DeviceTimeout, ImageError
from edgeprune.firmware import Elf
from edgeprune.target import Memory
from edgeprune.toolchain import Job, find_toolchain

#: Each board's core, and an address where the board has nothing.
NOWHERE = {
    "cortex-m3": 0x90000000,
    "cortex-m4": 0x90000000,
    "cortex-m7": 0x90000000,
    "cortex-m33": 0x90000000,
    "cortex-m55": 0x1E000000,
}
REGISTERS = [*(f"r{i}" for i in range(13)), "sp", "lr", "pc"]

if shutil.which(PROGRAM) is None and "EDGEPRUNE_REQUIRE_COMPILERS" not in os.environ:
    pytest.skip(f"{PROGRAM} is not installed", allow_module_level=True)

SCRIPT = """
ENTRY(_start)
MEMORY {
    FLASH (rx) : ORIGIN = %#x, LENGTH = 65536
    RAM (rw) : ORIGIN = %#x, LENGTH = 16384
}
SECTIONS {
    .text : { KEEP(*(.vectors)) KEEP(*(.table)) *(.text .text.*) *(.rodata .rodata.*) } > FLASH
    .stack (NOLOAD) : { . = . + 0x1000; stack_top = .; } > RAM
    .bss (NOLOAD) : { *(.bss .bss.*) } > RAM
    /DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) }
}
"""

FRAME = """
#include <stdint.h>
typedef volatile uint32_t *word;
typedef void (*function)(void);
extern uint32_t stack_top[];
uint32_t recurse(uint32_t depth);
void _start(void);
volatile uint32_t sink;
volatile function chosen;
void _start(void) {
    *(word)0xE000ED88u |= ENABLE_FPU;
    __asm__ volatile("dsb\\n\\tisb" ::: "memory");
    __asm__ volatile("bkpt 0xE0" ::: "memory");
    chosen();
    __asm__ volatile("bkpt 0xE0" ::: "memory");
}
static void fault(void) { __asm__ volatile("bkpt 0xE1"); }
static void interrupt(void) { __asm__ volatile("bkpt 0xE2"); }
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    function handlers[15];
} vectors = {stack_top, {_start, interrupt, fault, fault, fault, fault, fault, 0, 0, 0, interrupt,
    interrupt, 0, interrupt, interrupt}};
__attribute__((noinline)) uint32_t recurse(uint32_t depth) {
    volatile uint32_t kept[16] = {depth};
    return depth == 0u ? kept[0] : recurse(depth - 1u) + kept[1];
}
"""

#: What the firmware does, and what the error says.
FAULTS = {
    "read": ("sink = *(word)NOWHERE;", "access to an address without memory: NOWHERE"),
    "write": ("*(word)NOWHERE = 1u;", "access to an address without memory: NOWHERE"),
    "jump": ("((function)(NOWHERE + 1u))(); sink = 1u;", "jump to an address without memory"),
    "undefined": ('__asm__ volatile("udf #7");', "undefined instruction"),
    "arm_state": ("((function)(uintptr_t)&sink)(); sink = 1u;", "without the Thumb bit"),
    "supervisor": ('__asm__ volatile("svc #1");', "supervisor call that nobody asked for"),
    "pended": (
        '*(word)0xE000ED04u = 1u << 28; __asm__ volatile("dsb\\n\\tisb\\n\\tnop");',
        "took an interrupt that nobody asked for",
    ),
    "unaligned": (
        'uint32_t a, b; __asm__ volatile("ldrd %0, %1, [%2]" : "=r"(a), "=r"(b) '
        ': "r"((uintptr_t)&sink + 1u)); sink = a + b;',
        "an access that is not aligned",
    ),
    "handler": ('__asm__ volatile("bkpt 0xE1");', "the firmware took a fault"),
    "finished": ('__asm__ volatile("bkpt 0xE3");', "the firmware's main returned"),
    "breakpoint": ('__asm__ volatile("bkpt 0xAB");', "unexpected breakpoint 0xab"),
}

OTHERS = {
    "good": "sink = 0x12345678u;",
    "overflow": "sink = recurse(10000u);",
    "lost_vectors": '*(word)0xE000ED08u = NOWHERE; __asm__ volatile("dsb\\n\\tudf #1");',
    "add_floats": '__asm__ volatile(".short 0xee30, 0x0a81");',  # vadd.f32 s0, s1, s2
    "empty_loop": 'for (;;) { __asm__ volatile(""); }',
    "calling_loop": "for (;;) { sink = recurse(3u); }",
}


def _memory(core: str) -> Memory:
    board = QEMU_BOARDS[CORES[core].qemu]
    return Memory(
        flash_kib=64, ram_kib=16, flash_origin=board.flash_origin, ram_origin=board.ram_origin
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """For each core one image that holds all the snippets, each a function of its name."""
    built: dict[str, Elf] = {}

    def image(core: str) -> Elf:
        if core in built:
            return built[core]
        folder = tmp_path_factory.mktemp(core)
        bodies = {name: body for name, (body, _) in FAULTS.items()} | OTHERS
        functions = "".join(
            f"void {name}(void);\n__attribute__((used)) void {name}(void) {{\n"
            f'__asm__ volatile("movs r4, #42" ::: "r4");\n{body}\n}}\n'
            for name, body in bodies.items()
        )
        table = (
            '__attribute__((section(".table"), used)) '
            f"static function const table[] = {{{', '.join(bodies)}}};"
        )
        memory = _memory(core)
        (folder / "link.ld").write_text(SCRIPT % (memory.flash_origin, memory.ram_origin))
        (folder / "snippets.c").write_text(f"{FRAME}{functions}{table}\n")
        find_toolchain("zig").build(
            Job(
                sources=[Path("snippets.c")],
                output=Path("snippets.elf"),
                core=CORES[core],
                kind="image",
                cwd=folder,
                linker_script=Path("link.ld"),
                defines={
                    "ENABLE_FPU": "0x00F00000u" if CORES[core].fpu else "0u",
                    "NOWHERE": f"{NOWHERE[core]:#x}u",
                },
            )
        )
        built[core] = Elf(folder / "snippets.elf")
        return built[core]

    return image


@pytest.fixture
def machine(images):
    """A booted board that runs the snippet of a name when it is resumed."""
    made = []

    def boot(name: str, core: str = "cortex-m4", timeout_s: float = 20.0) -> QemuMachine:
        elf = images(core)
        made.append(QemuMachine(elf, core, _memory(core), where="bench", timeout_s=timeout_s))
        made[-1].boot()
        address = elf.symbol(name).address | 1
        made[-1].write(elf.symbol("chosen").address, address.to_bytes(4, "little"))
        return made[-1]

    yield boot
    for each in made:
        each.close()


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("core", NOWHERE)
def test_a_fault_tells_where_and_with_which_registers(machine, images, name, core):
    says = FAULTS[name][1].replace("NOWHERE", f"0x{NOWHERE[core]:08x}")
    with pytest.raises(DeviceFault, match=says) as caught:
        machine(name, core).resume()
    fault = caught.value
    assert fault.where == "bench"
    assert fault.pc == fault.registers["pc"]
    assert list(fault.registers) == REGISTERS
    assert fault.registers["r4"] == 42
    top = images(core).symbol("stack_top").address
    assert top - 0x100 < fault.registers["sp"] <= top
    assert fault.hint is None
    if name not in ("jump", "arm_state"):
        assert fault.symbol == name
        assert f"0x{fault.pc:08x} in {name}" in str(fault)


@pytest.mark.parametrize("core", NOWHERE)
def test_a_stack_overflow_says_so(machine, core):
    with pytest.raises(DeviceFault) as caught:
        machine("overflow", core).resume()
    assert "write to an address without memory: 0x" in str(caught.value)
    assert "stack overflowed: raise memory.stack_bytes" in str(caught.value)
    assert caught.value.symbol == "recurse"


def test_a_core_that_locks_up_is_a_fault(machine):
    with pytest.raises(DeviceFault, match="the core locked up: Lockup") as caught:
        machine("lost_vectors").resume()
    assert list(caught.value.registers) == REGISTERS
    assert caught.value.symbol == "lost_vectors"


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
def test_cores_with_an_fpu_have_it(machine, core):
    machine("add_floats", core).resume()


def test_cores_without_an_fpu_fault(machine):
    with pytest.raises(DeviceFault, match="undefined instruction") as caught:
        machine("add_floats", "cortex-m3").resume()
    assert caught.value.symbol == "add_floats"


@pytest.mark.parametrize("loop", ["empty_loop", "calling_loop"])
def test_an_endless_loop_is_a_timeout(machine, loop):
    stuck = machine(loop, timeout_s=0.3)
    with pytest.raises(DeviceTimeout, match=r"did not answer within 0\.3 s; it is at 0x") as caught:
        stuck.resume()
    assert f" in {loop}" in str(caught.value) or " in recurse" in str(caught.value)
    assert caught.value.where == "bench"


def test_a_loop_can_be_interrupted_and_closed(machine):
    """As by Ctrl-C: an error in the middle of a run, and then the end."""
    stuck = machine("empty_loop")
    ended = threading.Timer(0.3, stuck._process.connection.shutdown, [2])
    ended.start()
    with pytest.raises(DeviceError, match="QEMU ended"):
        stuck.resume()
    begun = time.monotonic()
    stuck.close()
    assert time.monotonic() - begun < 5


def test_memory_that_is_not_there_can_not_be_read(machine):
    bench = machine("good")
    with pytest.raises(DeviceError, match="4 bytes at 0x90000000 can't be read"):
        bench.read(0x90000000, 4)


def test_a_debugger_sees_what_the_firmware_wrote(machine, images):
    bench = machine("good")
    bench.resume()
    sink = images("cortex-m4").symbol("sink").address
    assert bench.read(sink, 4) == bytes.fromhex("78563412")


def test_long_memory_is_read_and_written_whole(machine):
    bench = machine("good")
    origin = _memory("cortex-m4").ram_origin + 0x1100
    data = bytes(range(256)) * 23 + b"end"
    bench.write(origin, data)
    assert bench.read(origin, len(data)) == data
    assert bench.read(origin, 0) == b""


def test_an_image_for_other_memories_is_refused(images):
    memory = Memory(flash_kib=64, ram_kib=16, flash_origin=0x08000000)
    with pytest.raises(ImageError, match="outside of the flash of bench"):
        QemuMachine(images("cortex-m4"), "cortex-m4", memory, where="bench")


def test_the_host_has_no_board(images):
    with pytest.raises(DeviceError, match="no board with the core host"):
        QemuMachine(images("cortex-m4"), "host", _memory("cortex-m4"), where="bench")


@pytest.mark.parametrize(
    ("exception_return", "status", "size"),
    [
        (0xFFFFFFF9, 0x01000000, 32),
        (0xFFFFFFF9, 0x01000200, 36),
        (0xFFFFFFE9, 0x01000000, 104),
        (0xFFFFFFE9, 0x01000200, 108),
    ],
)
def test_the_stack_pointer_is_that_of_before_the_exception(exception_return, status, size):
    """The frame is longer with an FPU's registers, and padded to 8 bytes where it has to be."""
    sp = 0x20000F00
    memory = {
        sp: struct.pack("<8I", 1, 2, 3, 4, 12, 0x81, 0x90, status),
        0xE000ED28: (1 << 25).to_bytes(4, "little"),
    }
    registers = dict.fromkeys(REGISTERS, 0) | {"r7": 7, "sp": sp, "lr": exception_return}
    crash = examine(6, registers, lambda address, size: memory[address])
    assert (crash.message, crash.address) == ("division by zero", None)
    changed = {"r0": 1, "r1": 2, "r2": 3, "r3": 4, "r12": 12, "lr": 0x81, "pc": 0x90}
    assert crash.registers == registers | changed | {"sp": sp + size}


@pytest.mark.parametrize(
    ("status", "secure", "says"),
    [
        (0, 0, "the firmware took a fault"),
        (0, 0x08, "security fault, SFSR 0x00000008"),
        (1 << 12, 0, "an exception found no room on the stack"),
    ],
)
def test_registers_stay_those_of_the_handler_where_the_stack_is_gone(status, secure, says):
    memory = {0xE000ED28: status, 0xE000EDE4: secure}

    def read(address, size):
        if address not in memory:
            raise DeviceError("nothing there")
        return memory[address].to_bytes(4, "little")

    registers = dict.fromkeys(REGISTERS, 5)
    crash = examine(3, registers, read)
    assert (crash.message, crash.registers) == (says, registers)
