"""Reads what the tools need from a linked image: load segments, sections, symbols, identity."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from edgeprune.errors import ImageError

__all__ = ["NO_FRONTEND", "Elf", "Identity", "Section", "Segment", "Symbol", "words_to_identity"]

NOTE_SECTION = ".note.edgeprune"
#: name size, description size, type, "EDGP" padded; protocol, front-end identity, model identity.
_NOTE = struct.Struct("<3I8sI2I2I")

#: What stands in an image without a front-end.
NO_FRONTEND = "0" * 16

SymbolKind = Literal["function", "object", "other"]
_KINDS: Mapping[str, SymbolKind] = {"STT_FUNC": "function", "STT_OBJECT": "object"}


@dataclass(frozen=True)
class Segment:
    """Bytes to load: where they lie in flash, and the address that the code sees."""

    load_address: int
    address: int
    data: bytes
    memory_size: int


@dataclass(frozen=True)
class Section:
    """An allocated section; ``stored`` is false for ``.bss`` and its kind."""

    name: str
    address: int
    size: int
    stored: bool


@dataclass(frozen=True)
class Symbol:
    """A function or an object; a function's address has its Thumb bit cleared."""

    name: str
    address: int
    size: int
    kind: SymbolKind

    @property
    def base_name(self) -> str:
        """The name without the suffix of a clone (``.isra.0``, ``.constprop.0``, ``.12``)."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Identity:
    """What an image says it was built from, 16 hex digits each."""

    protocol: int
    frontend: str
    model: str


def words_to_identity(first: int, second: int) -> str:
    """The 16 hex digits that two 32-bit words stand for, most significant word first."""
    return f"{first:08x}{second:08x}"


class Elf:
    """A linked image.

    Attributes:
        path: the file.
        entry: the entry point, Thumb bit included.
        segments: by load address.
        sections: allocated sections by address.
        symbols: defined symbols by address.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ImageError: it can't be read or is not a linked Arm ELF image.
        """
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        self.path = path
        try:
            with path.open("rb") as stream:
                elf = ELFFile(stream)
                if elf["e_machine"] != "EM_ARM" or elf["e_type"] != "ET_EXEC":
                    raise ImageError("is not a linked image for an Arm core", where=str(path))
                self.entry = int(elf["e_entry"])
                self.segments = _segments(elf)
                self.sections = _sections(elf)
                self.symbols = _symbols(elf)
                self._note = _note(elf)
        except OSError as error:
            raise ImageError(f"can't be read: {error.strerror}", where=str(path)) from error
        except ELFError as error:
            raise ImageError(f"is not an ELF file: {error}", where=str(path)) from error

    def symbol(self, name: str) -> Symbol:
        """The symbol of that name.

        Raises:
            ImageError: there is none.
        """
        for symbol in self.symbols:
            if symbol.name == name:
                return symbol
        raise ImageError(
            f"has no symbol {name}",
            where=str(self.path),
            hint="link with edgeprune's firmware template, and do not strip",
        )

    @cached_property
    def functions(self) -> tuple[Symbol, ...]:
        """Functions by address, one for each address."""
        by_address = {s.address: s for s in reversed(self.symbols) if s.kind == "function"}
        return tuple(by_address[address] for address in sorted(by_address))

    @cached_property
    def _function_addresses(self) -> list[int]:
        return [function.address for function in self.functions]

    def function_at(self, address: int) -> Symbol | None:
        """The function that holds ``address``; None outside of every function."""
        index = bisect.bisect_right(self._function_addresses, address) - 1
        if index < 0:
            return None
        function = self.functions[index]
        # A function written in assembly may have no size; it then lasts until the next one.
        inside = address < function.address + function.size or function.size == 0
        return function if inside else None

    @cached_property
    def identity(self) -> Identity:
        """The identity note.

        Raises:
            ImageError: the image has none.
        """
        if self._note is None or len(self._note) < _NOTE.size:
            raise ImageError("carries no identity of edgeprune", where=str(self.path))
        words = _NOTE.unpack_from(self._note)
        return Identity(
            protocol=words[4],
            frontend=words_to_identity(*words[5:7]),
            model=words_to_identity(*words[7:9]),
        )


def _segments(elf: Any) -> tuple[Segment, ...]:
    segments = (
        Segment(int(s["p_paddr"]), int(s["p_vaddr"]), s.data(), int(s["p_memsz"]))
        for s in elf.iter_segments("PT_LOAD")
        if s["p_filesz"]
    )
    return tuple(sorted(segments, key=lambda segment: segment.load_address))


def _sections(elf: Any) -> tuple[Section, ...]:
    allocated = (
        Section(s.name, int(s["sh_addr"]), int(s["sh_size"]), s["sh_type"] != "SHT_NOBITS")
        for s in elf.iter_sections()
        if s["sh_flags"] & 2 and s["sh_size"]
    )
    return tuple(sorted(allocated, key=lambda section: section.address))


def _symbols(elf: Any) -> tuple[Symbol, ...]:
    table = elf.get_section_by_name(".symtab")
    return tuple(sorted(_defined(table.iter_symbols() if table else ()), key=_order))


def _order(symbol: Symbol) -> tuple[int, str]:
    return symbol.address, symbol.name


def _defined(entries: Iterable[Any]) -> Iterable[Symbol]:
    for entry in entries:
        if entry["st_shndx"] == "SHN_UNDEF" or not entry.name or entry.name.startswith("$"):
            continue
        if entry["st_info"]["type"] in ("STT_FILE", "STT_SECTION"):
            continue
        kind = _KINDS.get(entry["st_info"]["type"], "other")
        address = int(entry["st_value"])
        if kind == "function":
            address &= ~1
        yield Symbol(entry.name, address, int(entry["st_size"]), kind)


def _note(elf: Any) -> bytes | None:
    section = elf.get_section_by_name(NOTE_SECTION)
    return bytes(section.data()) if section else None
