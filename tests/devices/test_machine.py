"""Faults, stops and time-outs, with firmware of a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeprune.cores import CORES
from edgeprune.devices.machine import Machine
from edgeprune.errors import DeviceError, DeviceFault, DeviceTimeout
from edgeprune.firmware import Elf
from edgeprune.target import Memory
from edgeprune.toolchain import Job, find_toolchain

MEMORY = Memory(flash_kib=64, ram_kib=16, flash_origin=0x08000000)

SCRIPT = """
ENTRY(_start)
MEMORY {
    FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 65536
    RAM (rw) : ORIGIN = 0x20000000, LENGTH = 16384
}
SECTIONS {
    .text : { KEEP(*(.vectors)) KEEP(*(.table)) *(.text .text.*) *(.rodata .rodata.*) } > FLASH
    .bss : { *(.bss .bss.*) } > RAM
    /DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) }
}
"""

FRAME = """
#include <stdint.h>
typedef volatile uint32_t *word;
typedef void (*function)(void);
uint32_t recurse(uint32_t depth);
void _start(void);
volatile uint32_t sink;
volatile function chosen;
void _start(void) {
    __asm__ volatile("bkpt 0xE0" ::: "memory");
    chosen();
    __asm__ volatile("bkpt 0xE0" ::: "memory");
}
__attribute__((section(".vectors"), used)) static void (*const vectors[2])(void) = {
    (void (*)(void))0x20001000u, _start};
__attribute__((noinline)) uint32_t recurse(uint32_t depth) {
    volatile uint32_t kept[16] = {depth};
    return depth == 0u ? kept[0] : recurse(depth - 1u) + kept[1];
}
"""

#: What the firmware does, and what the error says.
FAULTS = {
    "read": ("sink = *(word)0x90000000u;", "read from an address without memory: 4 .* 0x90000000"),
    "write": ("*(word)0x60000000u = 1u;", "write to an address without memory: 4 .* 0x60000000"),
    "null": ("sink = *(word)(sink * 0u);", "read from an address without memory: 4 .* 0x00000000"),
    "flash": ("*(word)0x08000100u = 1u;", "write to flash: 4 bytes at 0x08000100"),
    "jump": ("((function)0x90000001u)(); sink = 1u;", "jump to an address without memory"),
    "jump_to_ram": ("((function)0x20000101u)(); sink = 1u;", "jump into memory that holds no code"),
    "undefined": ('__asm__ volatile("udf #7");', "undefined instruction"),
    "supervisor": ('__asm__ volatile("svc #1");', "supervisor call"),
    "handler": ('__asm__ volatile("bkpt 0xE1");', "the firmware took a fault"),
    "interrupt": ('__asm__ volatile("bkpt 0xE2");', "took an interrupt that nobody asked for"),
    "finished": ('__asm__ volatile("bkpt 0xE3");', "the firmware's main returned"),
    "breakpoint": ('__asm__ volatile("bkpt 0xAB");', "unexpected breakpoint 0xab"),
}

UNALIGNED = 'uint32_t v; __asm__ volatile("ldr %0, [%1]" : "=l"(v) : "l"(0x20000001u)); sink = v;'

OTHERS = {
    "good": "sink = 0x12345678u;",
    "overflow": "sink = recurse(10000u);",
    "far_below": "sink = *(word)0x1f000000u;",
    "unaligned": UNALIGNED,
    "add_floats": '__asm__ volatile(".short 0xee30, 0x0a81");',  # vadd.f32 s0, s1, s2
    "empty_loop": 'for (;;) { __asm__ volatile(""); }',
    "busy_loop": "for (;;) { sink += 1u; }",
    "calling_loop": "for (;;) { sink = recurse(3u); }",
}


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
        (folder / "link.ld").write_text(SCRIPT)
        table = (
            '__attribute__((section(".table"), used)) '
            f"static function const table[] = {{{', '.join(bodies)}}};"
        )
        (folder / "snippets.c").write_text(f"{FRAME}{functions}{table}\n")
        find_toolchain("zig").build(
            Job(
                sources=[Path("snippets.c")],
                output=Path("snippets.elf"),
                core=CORES[core],
                kind="image",
                cwd=folder,
                linker_script=Path("link.ld"),
            )
        )
        built[core] = Elf(folder / "snippets.elf")
        return built[core]

    return image


@pytest.fixture
def machine(images):
    """A booted machine that runs the snippet of a name when it is resumed."""

    def boot(name: str, core: str = "cortex-m4", timeout_s: float = 5.0) -> Machine:
        elf = images(core)
        made = Machine(elf, core, MEMORY, where="bench", timeout_s=timeout_s)
        made.boot()
        address = elf.symbol(name).address | 1
        made.write(elf.symbol("chosen").address, address.to_bytes(4, "little"))
        return made

    return boot


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
def test_a_fault_tells_where_and_with_which_registers(machine, name, core):
    with pytest.raises(DeviceFault, match=FAULTS[name][1]) as caught:
        machine(name, core).resume()
    fault = caught.value
    assert fault.where == "bench"
    assert fault.pc == fault.registers["pc"]
    assert list(fault.registers) == [*(f"r{i}" for i in range(13)), "sp", "lr", "pc"]
    assert fault.registers["r4"] == 42
    assert 0x20000F00 < fault.registers["sp"] <= 0x20001000
    if not name.startswith("jump"):
        assert fault.symbol == name
        assert f"0x{fault.pc:08x} in {name}" in str(fault)


def test_a_stack_overflow_says_so(machine):
    with pytest.raises(DeviceFault, match="write to an address without memory") as caught:
        machine("overflow").resume()
    assert caught.value.symbol == "recurse"
    assert "stack overflowed: raise memory.stack_bytes" in str(caught.value)


def test_another_fault_does_not_blame_the_stack(machine):
    with pytest.raises(DeviceFault) as caught:
        machine("far_below").resume()
    assert caught.value.hint is None


def test_an_unaligned_access_is_a_fault_where_the_core_has_none(machine):
    with pytest.raises(DeviceFault, match="not aligned") as caught:
        machine("unaligned", "cortex-m0plus").resume()
    assert caught.value.symbol == "unaligned"
    machine("unaligned", "cortex-m4").resume()


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33"])
def test_cores_with_an_fpu_have_it(machine, core):
    machine("add_floats", core).resume()


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3"])
def test_cores_without_an_fpu_fault(machine, core):
    with pytest.raises(DeviceFault, match="undefined instruction") as caught:
        machine("add_floats", core).resume()
    assert caught.value.symbol == "add_floats"


@pytest.mark.parametrize("loop", ["empty_loop", "busy_loop", "calling_loop"])
@pytest.mark.parametrize("watched", [False, True])
def test_an_endless_loop_is_a_timeout(machine, loop, watched):
    stuck = machine(loop, timeout_s=0.2)
    with pytest.raises(
        DeviceTimeout, match=r"did not answer within 0\.2 s; it is at 0x08"
    ) as caught:
        if watched:
            with stuck.watch(_Ignore()):
                stuck.resume()
        else:
            stuck.resume()
    assert f" in {loop}" in str(caught.value) or " in recurse" in str(caught.value)
    assert caught.value.where == "bench"


class _Ignore:
    def on_block(self, uc, address, size, user):
        """Take no note."""


def test_a_hook_sees_blocks_only_while_it_watches(machine):
    class Noting:
        def __init__(self):
            self.blocks = []

        def on_block(self, uc, address, size, user):
            self.blocks.append((address, size))

    elf_address = machine("good")._elf.symbol("good").address
    noting, bench = Noting(), machine("good")
    with bench.watch(noting):
        bench.resume()
    seen = list(noting.blocks)
    assert elf_address in {address for address, _ in seen}
    bench.boot()
    assert noting.blocks == seen


def test_an_error_in_a_hook_is_not_swallowed(machine):
    class Broken:
        def on_block(self, uc, address, size, user):
            raise RuntimeError("broken hook")

    with pytest.raises(RuntimeError, match="broken hook"):
        broken = machine("good")
        with broken.watch(Broken()):
            broken.resume()


def test_memory_that_is_not_there_can_not_be_accessed(machine):
    bench = machine("good")
    with pytest.raises(DeviceError, match="4 bytes at 0x90000000 can't be read"):
        bench.read(0x90000000, 4)
    with pytest.raises(DeviceError, match="2 bytes at 0x90000000 can't be written"):
        bench.write(0x90000000, b"ab")


def test_a_debugger_sees_what_the_firmware_wrote(machine, images):
    bench = machine("good")
    bench.resume()
    sink = images("cortex-m4").symbol("sink").address
    assert bench.read(sink, 4) == bytes.fromhex("78563412")


def test_memories_that_overlap_are_refused(images):
    memory = Memory(flash_kib=64, ram_kib=16, flash_origin=0x08000000, ram_origin=0x08001000)
    with pytest.raises(DeviceError, match="must not overlap"):
        Machine(images("cortex-m4"), "cortex-m4", memory, where="bench")


def test_the_host_has_no_emulation(images):
    with pytest.raises(DeviceError, match="host has no emulation"):
        Machine(images("cortex-m4"), "host", MEMORY, where="bench")
