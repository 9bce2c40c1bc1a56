"""What an image costs in flash and RAM: in all, by section, by symbol and by layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgeprune.codegen.manifest import Layer
from edgeprune.firmware.binary import flat_binary
from edgeprune.firmware.elf import Elf, Section, Symbol

__all__ = ["LayerSize", "SectionSize", "Sizes", "SymbolSize", "measure"]

STACK_SECTION = ".stack"
_LAYER_SYMBOL = re.compile(r"edgeprune_layer_(\d+)(?:_|$)")

Place = Literal["flash", "ram", "flash+ram"]


@dataclass(frozen=True)
class SectionSize:
    """A section and the memory that it takes room in; initialized data takes both."""

    name: str
    address: int
    size: int
    place: Place


@dataclass(frozen=True)
class SymbolSize:
    """A function or object."""

    name: str
    address: int
    size: int
    section: str
    place: Place


@dataclass(frozen=True)
class LayerSize:
    """Flash of one layer: its function, and the constants that are named after it."""

    index: int
    name: str
    op: str
    symbol: str
    code_bytes: int
    constant_bytes: int


@dataclass(frozen=True)
class Sizes:
    """Bytes of an image.

    Attributes:
        flash: the load image: vectors, code, constants, initial values of data, gaps between them.
        ram: static data, the stack not included.
        stack: what is kept for the stack.
        sections: by address.
        symbols: by size, the largest first.
        layers: in the order of execution.
    """

    flash: int
    ram: int
    stack: int
    sections: tuple[SectionSize, ...]
    symbols: tuple[SymbolSize, ...]
    layers: tuple[LayerSize, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as dictionaries and lists."""
        return asdict(self)

    def largest(self, memory: Literal["flash", "ram"], count: int = 5) -> tuple[SymbolSize, ...]:
        """The largest symbols in one memory."""
        return tuple(symbol for symbol in self.symbols if memory in symbol.place)[:count]


def measure(elf: Elf, layers: Sequence[Layer] = ()) -> Sizes:
    """Read the sizes of a linked image.

    A constant belongs to layer N when its name begins with ``edgeprune_layer_N``.
    """
    sections = tuple(
        SectionSize(section.name, section.address, section.size, _place(elf, section))
        for section in elf.sections
    )
    symbols = _symbol_sizes(elf, sections)
    return Sizes(
        flash=len(flat_binary(elf.segments)),
        ram=sum(s.size for s in sections if "ram" in s.place and s.name != STACK_SECTION),
        stack=sum(s.size for s in sections if s.name == STACK_SECTION),
        sections=sections,
        symbols=tuple(sorted(symbols, key=lambda symbol: (-symbol.size, symbol.address))),
        layers=tuple(_layer_size(layer, symbols) for layer in layers),
    )


def _place(elf: Elf, section: Section) -> Place:
    if not section.stored:
        return "ram"
    for segment in elf.segments:
        if segment.address <= section.address < segment.address + len(segment.data):
            return "flash" if segment.address == segment.load_address else "flash+ram"
    return "flash"


def _symbol_sizes(elf: Elf, sections: Sequence[SectionSize]) -> tuple[SymbolSize, ...]:
    found = []
    seen: set[tuple[int, int]] = set()
    for symbol in elf.symbols:
        section = _section_of(symbol, sections)
        if symbol.size and section and (symbol.address, symbol.size) not in seen:
            seen.add((symbol.address, symbol.size))
            found.append(
                SymbolSize(symbol.name, symbol.address, symbol.size, section.name, section.place)
            )
    return tuple(found)


def _section_of(symbol: Symbol, sections: Sequence[SectionSize]) -> SectionSize | None:
    for section in sections:
        if section.address <= symbol.address < section.address + section.size:
            return section
    return None


def _layer_size(layer: Layer, symbols: Sequence[SymbolSize]) -> LayerSize:
    code = constants = 0
    for symbol in symbols:
        if symbol.name.partition(".")[0] == layer.symbol:
            code += symbol.size
            continue
        named = _LAYER_SYMBOL.match(symbol.name)
        if named and int(named[1]) == layer.index and "flash" in symbol.place:
            constants += symbol.size
    return LayerSize(layer.index, layer.name, layer.op, layer.symbol, code, constants)
