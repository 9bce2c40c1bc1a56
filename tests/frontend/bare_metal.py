"""The smallest way to run C functions on an emulated Cortex-M and count their instructions.

It calls functions by symbol, without start-up code, interrupts or I/O, and shares nothing with the
firmware and the devices that edgeprune ships: a second opinion on their figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprune.cores import CORES, CoreName
from edgeprune.toolchain import Job, Optimize, Toolchain

FLASH, FLASH_BYTES = 0x0000_0000, 1 << 20
RAM, RAM_BYTES = 0x2000_0000, 1 << 20
#: Where callers may put their buffers: above the image's own RAM, far below the stack.
BUFFERS = RAM + (1 << 16)
#: Returning here ends a call.
RETURN = FLASH + FLASH_BYTES - 0x100

_STACK_BYTES = 1 << 14
_STACK_MARK = b"\xa5"

_LINKER_SCRIPT = f"""
MEMORY {{
  flash (rx) : ORIGIN = {FLASH:#x}, LENGTH = {FLASH_BYTES:#x}
  ram (rwx) : ORIGIN = {RAM:#x}, LENGTH = {BUFFERS - RAM:#x}
}}
EXTERN(run_clip edgeprune_input_quantize)
SECTIONS {{
  .text : {{ *(.text* .rodata*) }} > flash
  .ARM.exidx : {{ *(.ARM.exidx*) }} > flash
  .data : {{ *(.data*) }} > ram
  .bss : {{ *(.bss* COMMON) }} > ram
}}
"""

_ENTRY = """
#include "frontend.h"

void run_clip(const int16_t *pcm, size_t count, int16_t *features);
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

void run_clip(const int16_t *pcm, size_t count, int16_t *features)
{
    static edgeprune_frontend stream;
    edgeprune_frontend_reset(&stream);
    while (count > 0) {
        bool ready = false;
        const size_t taken = edgeprune_frontend_push(&stream, pcm, count, features, &ready);
        pcm += taken;
        count -= taken;
        features += ready ? EDGEPRUNE_FRONTEND_FEATURES : 0;
    }
}

/* What a compiler may call by itself. */
void *memcpy(void *to, const void *from, size_t count)
{
    uint8_t *out = to;
    for (const uint8_t *in = from; count > 0; count--) {
        *out++ = *in++;
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    for (uint8_t *out = to; count > 0; count--) {
        *out++ = (uint8_t)value;
    }
    return to;
}
"""


def link(
    texts: Mapping[str, str],
    toolchain: Toolchain,
    core: CoreName,
    folder: Path,
    *,
    optimize: Optimize = "speed",
) -> Path:
    """Link a front-end's C files, given as name to text, to an ELF; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**texts, "entry.c": _ENTRY, "memory.ld": _LINKER_SCRIPT}.items():
        (folder / name).write_text(text, encoding="utf-8")
    output = folder / "image.elf"
    toolchain.build(
        Job(
            sources=[Path(name) for name in sorted((*texts, "entry.c")) if name.endswith(".c")],
            output=output,
            core=CORES[core],
            kind="image",
            cwd=folder,
            linker_script=Path("memory.ld"),
            optimize=optimize,
        )
    )
    return output


class Symbol(NamedTuple):
    """Where a function or an object lies, and its size in bytes."""

    address: int
    size: int
    is_function: bool


class BareMetal:
    """One image on one emulated core."""

    def __init__(self, elf: Path, core: CoreName) -> None:
        import unicorn
        from elftools.elf.elffile import ELFFile
        from unicorn import arm_const

        self._registers: Any = arm_const
        mode = unicorn.UC_MODE_THUMB  # with UC_MODE_MCLASS every core would be a Cortex-M33
        self._uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)
        self._uc.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{CORES[core].unicorn}"))
        self._uc.mem_map(FLASH, FLASH_BYTES)
        self._uc.mem_map(RAM, RAM_BYTES)
        with elf.open("rb") as file:
            image = ELFFile(file)
            for segment in image.iter_segments("PT_LOAD"):
                self._uc.mem_write(segment["p_paddr"], segment.data())
            self.symbols = {
                entry.name: Symbol(
                    entry["st_value"], entry["st_size"], entry["st_info"]["type"] == "STT_FUNC"
                )
                for entry in image.get_section_by_name(".symtab").iter_symbols()
            }

    def call(self, function: str, *arguments: int) -> None:
        """Call a function with up to four words; raises unicorn.UcError on a fault."""
        registers = self._registers
        for number, value in enumerate(arguments):
            self._uc.reg_write(registers.UC_ARM_REG_R0 + number, value)
        self._uc.reg_write(registers.UC_ARM_REG_SP, RAM + RAM_BYTES)
        self._uc.reg_write(registers.UC_ARM_REG_LR, RETURN | 1)
        self._uc.emu_start(self.symbols[function].address | 1, RETURN)

    def count(self, function: str, *arguments: int) -> int:
        """Call a function; returns the instructions that it and its callees executed."""
        import capstone
        import unicorn

        mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS
        decoder = capstone.Cs(capstone.CS_ARCH_ARM, mode)
        runs: dict[tuple[int, int], int] = {}

        def block(_uc: object, address: int, size: int, _data: object) -> None:
            runs[address, size] = runs.get((address, size), 0) + 1

        hook = self._uc.hook_add(unicorn.UC_HOOK_BLOCK, block)
        try:
            self.call(function, *arguments)
        finally:
            self._uc.hook_del(hook)
        total = 0
        for (address, size), times in runs.items():
            code = bytes(self._uc.mem_read(address, size))
            total += times * sum(1 for _ in decoder.disasm_lite(code, address))
        return total

    def stack(self, function: str, *arguments: int) -> int:
        """Call a function; returns the bytes of stack that it and its callees used."""
        self._uc.mem_write(RAM + RAM_BYTES - _STACK_BYTES, _STACK_MARK * _STACK_BYTES)
        self.call(function, *arguments)
        content = bytes(self._uc.mem_read(RAM + RAM_BYTES - _STACK_BYTES, _STACK_BYTES))
        return len(content.lstrip(_STACK_MARK))

    def write(self, address: int, values: NDArray[np.int16]) -> None:
        self._uc.mem_write(address, values.tobytes())

    def read(self, address: int, count: int) -> NDArray[np.int16]:
        return np.frombuffer(bytes(self._uc.mem_read(address, 2 * count)), np.int16)
