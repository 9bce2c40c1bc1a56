"""Shared libraries of other machines in Unicorn: their own code runs, and needs no sysroot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray
from unicorn import arm64_const, arm_const

_PAGE = 1 << 16
_BASE = 0x10_0000
#: Where the functions of the C library are taken to be: nothing runs there.
_IMPORTS = 0x4000_0000
_RETURN = 0x4000_8000
_HEAP, _HEAP_SIZE = 0x5000_0000, 1 << 22
_STACK, _STACK_SIZE = 0x6000_0000, 1 << 20

#: Relocations by what is written: the base plus an addend, or the address of a symbol.
_RELATIVE = {"EM_AARCH64": {1027}, "EM_ARM": {23}}
_SYMBOLIC = {"EM_AARCH64": {257, 1025, 1026}, "EM_ARM": {2, 21, 22}}


class EmulatedLibrary:
    """A shared library for aarch64 or armv7, and calls of its functions.

    Attributes:
        imported: the functions of the C library that it asked for.
    """

    def __init__(self, path: Path) -> None:
        self._heap = _HEAP
        self.imported: list[str] = []
        with path.open("rb") as file:
            elf = ELFFile(file)
            self._wide = elf["e_machine"] == "EM_AARCH64"
            self._uc = self._machine()
            self._load(elf)
            dynamic = elf.get_section_by_name(".dynsym")
            self._symbols = {
                symbol.name: _BASE + symbol["st_value"]
                for symbol in dynamic.iter_symbols()
                if symbol["st_shndx"] != "SHN_UNDEF"
            }
            self._relocate(elf, dynamic)
        self._uc.hook_add(unicorn.UC_HOOK_CODE, self._import, begin=_IMPORTS, end=_RETURN - 1)

    def put(self, values: NDArray) -> int:
        """Copy an array into memory; returns its address."""
        address, content = self._heap, np.ascontiguousarray(values).tobytes()
        self._heap += -(-len(content) // 64) * 64 + 64
        assert self._heap < _HEAP + _HEAP_SIZE
        self._uc.mem_write(address, content)
        return address

    def get(self, address: int, like: NDArray) -> NDArray:
        """Copy an array out of memory."""
        content = self._uc.mem_read(address, like.nbytes)
        return np.frombuffer(bytes(content), dtype=like.dtype).reshape(like.shape)

    def text(self, address: int) -> str:
        return bytes(self._uc.mem_read(address, 64)).split(b"\0")[0].decode()

    def call(self, name: str, *arguments: int) -> int:
        """Call a function with integers and pointers; returns what it returns."""
        registers = self._registers()
        stack = _STACK + _STACK_SIZE - 256
        for index, value in enumerate(arguments):
            if index < len(registers):
                self._uc.reg_write(registers[index], value)
            else:
                self._uc.mem_write(
                    stack + 4 * (index - len(registers)), value.to_bytes(4, "little")
                )
        self._uc.reg_write(self._const("SP"), stack)
        self._uc.reg_write(self._const("LR"), _RETURN)
        self._uc.emu_start(self._symbols[name], _RETURN)
        return int(self._uc.reg_read(registers[0]))

    def _machine(self) -> unicorn.Uc:
        if self._wide:
            uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
            uc.ctl_set_cpu_model(arm64_const.UC_CPU_ARM64_A53)
            uc.reg_write(arm64_const.UC_ARM64_REG_CPACR_EL1, 3 << 20)
        else:
            uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
            uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_A7)
            access = uc.reg_read(arm_const.UC_ARM_REG_C1_C0_2)
            uc.reg_write(arm_const.UC_ARM_REG_C1_C0_2, access | 0xF << 20)
            uc.reg_write(arm_const.UC_ARM_REG_FPEXC, 1 << 30)
        for start, size in ((_IMPORTS, _PAGE), (_HEAP, _HEAP_SIZE), (_STACK, _STACK_SIZE)):
            uc.mem_map(start, size)
        return uc

    def _load(self, elf: ELFFile) -> None:
        segments = [each for each in elf.iter_segments() if each["p_type"] == "PT_LOAD"]
        end = max(each["p_vaddr"] + each["p_memsz"] for each in segments)
        self._uc.mem_map(_BASE, -(-end // _PAGE) * _PAGE)
        for segment in segments:
            self._uc.mem_write(_BASE + segment["p_vaddr"], segment.data())

    def _relocate(self, elf: ELFFile, dynamic: object) -> None:
        size = 8 if self._wide else 4
        for section in elf.iter_sections():
            if section["sh_type"] not in ("SHT_REL", "SHT_RELA"):
                continue
            for each in section.iter_relocations():
                place, kind = _BASE + each["r_offset"], each["r_info_type"]
                addend = (
                    each["r_addend"]
                    if section["sh_type"] == "SHT_RELA"
                    else int.from_bytes(self._uc.mem_read(place, size), "little")
                )
                if kind in _RELATIVE[elf["e_machine"]]:
                    value = _BASE + addend
                else:
                    assert kind in _SYMBOLIC[elf["e_machine"]], kind
                    symbol = dynamic.get_symbol(each["r_info_sym"])  # type: ignore[attr-defined]
                    value = self._resolve(symbol.name) + (addend if kind == 257 else 0)
                self._uc.mem_write(place, value.to_bytes(size, "little"))

    def _resolve(self, name: str) -> int:
        if name in self._symbols:
            return self._symbols[name]
        if name.startswith(("__cxa_finalize", "_ITM_", "__gmon")):
            return 0
        self.imported.append(name)
        return _IMPORTS + 4 * (len(self.imported) - 1)

    def _import(self, uc: unicorn.Uc, address: int, size: int, user: object) -> None:
        to, other, count = (uc.reg_read(each) for each in self._registers()[:3])
        name = self.imported[(address - _IMPORTS) // 4]
        if name == "memset":
            uc.mem_write(to, bytes([other & 0xFF]) * count)
        else:
            assert name in ("memcpy", "memmove"), name
            uc.mem_write(to, bytes(uc.mem_read(other, count)))
        uc.reg_write(self._const("PC"), uc.reg_read(self._const("LR")))

    def _registers(self) -> list[int]:
        return [
            self._const(f"X{i}" if self._wide else f"R{i}") for i in range(8 if self._wide else 4)
        ]

    def _const(self, name: str) -> int:
        return int(
            getattr(arm64_const, f"UC_ARM64_REG_{name}")
            if self._wide
            else getattr(arm_const, f"UC_ARM_REG_{name}")
        )
