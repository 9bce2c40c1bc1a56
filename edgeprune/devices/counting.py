"""Counts what an emulated core executes: exactly, by function and by layer.

Unicorn reports every basic block before it runs. A block is decoded once and multiplied by how
often it ran; a block that does not begin where the one before it ended was reached by a taken
branch. The number is the same in every run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeprune.codegen.manifest import Layer
from edgeprune.cores import CoreName
from edgeprune.devices.base import Work
from edgeprune.devices.cycles import estimate_cycles
from edgeprune.devices.instructions import Decoder, Kind, Mix, instruction_count
from edgeprune.errors import DeviceError
from edgeprune.firmware.elf import Elf

__all__ = [
    "Analysis",
    "BlockCounter",
    "FunctionCost",
    "LayerCost",
    "Profile",
    "every_layer_entry",
    "layer_entries",
]

_Block = tuple[int, int]
#: Where blocks outside of every layer are counted.
_OUTSIDE = -1
_LEAVE = -2
_ELSEWHERE = "(no function)"


@dataclass(frozen=True)
class FunctionCost:
    """One function, without the functions that it calls."""

    name: str
    instructions: int
    cycles_estimate: int


@dataclass(frozen=True)
class LayerCost:
    """One layer, with the functions that it calls.

    The numbers are None when the image has no function of the layer's own, because the compiler
    merged or inlined it.
    """

    index: int
    name: str
    op: str
    macs: int
    instructions: int | None
    cycles_estimate: int | None


@dataclass(frozen=True)
class Profile:
    """Where the work went.

    Attributes:
        work: all of it.
        functions: the most expensive first.
        layers: in the order of execution.
        kinds: instructions and events by class.
    """

    work: Work
    functions: tuple[FunctionCost, ...]
    layers: tuple[LayerCost, ...]
    kinds: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """The same as dictionaries and lists."""
        return asdict(self)


def layer_entries(elf: Elf, layers: Sequence[Layer]) -> dict[int, int]:
    """Address of each layer's function to the layer's index; merged functions are left out."""
    addresses: dict[str, int] = {}
    for function in elf.symbols:
        if function.kind == "function":
            addresses.setdefault(function.base_name, function.address)
    found = [(addresses[layer.symbol], layer) for layer in layers if layer.symbol in addresses]
    uses = Counter(address for address, _ in found)
    return {address: layer.index for address, layer in found if uses[address] == 1}


def every_layer_entry(elf: Elf, layers: Sequence[Layer], *, where: str) -> dict[int, int]:
    """The same as :func:`layer_entries`, for work that needs all of them.

    Raises:
        DeviceError: a layer has no function of its own in the image.
    """
    entries = layer_entries(elf, layers)
    for layer in layers:
        if layer.index not in entries.values():
            raise DeviceError(
                f"layer {layer.index} ({layer.op}, {layer.name}) has no function "
                f"{layer.symbol} of its own in the image",
                where=where,
                hint="keep the compiler from merging or inlining the layers' functions",
            )
    return entries


class BlockCounter:
    """Counts blocks and taken branches, separately for each layer.

    A layer begins at its function's first block and ends at the address that it returns to, which
    the link register holds at that moment.
    """

    def __init__(
        self,
        entries: Mapping[int, int],
        return_address: Callable[[], int],
        on_leave: Callable[[int], None] | None = None,
    ) -> None:
        """Count from now on.

        Args:
            entries: address of a layer's function to the layer's index.
            return_address: reads the link register.
            on_leave: called with a layer's index when it returns.
        """
        self._marks = dict(entries)
        self._return_address = return_address
        self._on_leave = on_leave
        self._layer = _OUTSIDE
        self._runs: dict[int, dict[_Block, int]] = {}
        self._taken: dict[int, dict[_Block, int]] = {}
        self._last: _Block | None = None
        self._next = -1
        self._switch(_OUTSIDE)

    def on_block(self, uc: Any, address: int, size: int, user: object) -> None:
        """Count a block."""
        if address != self._next and self._last is not None:
            self._taken_now[self._last] += 1
        if address in self._marks:
            self._cross(address)
        block = (address, size)
        self._runs_now[block] += 1
        self._last = block
        self._next = address + size

    def runs(self) -> Iterator[tuple[int, _Block, int, int]]:
        """Layer (-1 outside), block, how often it ran, how often a branch was taken at its end."""
        for layer, blocks in self._runs.items():
            for block, count in blocks.items():
                yield layer, block, count, self._taken[layer].get(block, 0)

    def _cross(self, address: int) -> None:
        mark = self._marks[address]
        if mark == _LEAVE:
            del self._marks[address]
            left = self._layer
            self._switch(_OUTSIDE)
            if self._on_leave is not None:
                self._on_leave(left)
            return
        if self._layer == _OUTSIDE:
            self._marks[self._return_address() & ~1] = _LEAVE
            self._switch(mark)

    def _switch(self, layer: int) -> None:
        self._layer = layer
        self._runs_now = self._runs.setdefault(layer, defaultdict(int))
        self._taken_now = self._taken.setdefault(layer, defaultdict(int))


class Analysis:
    """Turns block counts into costs."""

    def __init__(self, elf: Elf, core: CoreName, layers: Sequence[Layer], decoder: Decoder) -> None:
        """Use the symbols of ``elf`` and the cycle table of ``core``."""
        self._elf = elf
        self._core = core
        self._layers = layers
        self._decoder = decoder

    def profile(self, counter: BlockCounter) -> Profile:
        """Costs in all, by function and by layer."""
        total = Mix()
        functions: dict[str, Mix] = defaultdict(Mix)
        layers: dict[int, Mix] = defaultdict(Mix)
        for layer, (address, size), count, taken in counter.runs():
            function = self._elf.function_at(address)
            mix = self._mix(address, size, count, taken)
            for part in (
                total,
                functions[function.name if function else _ELSEWHERE],
                layers[layer],
            ):
                part.update(mix)
        return Profile(
            work=self._work(total),
            functions=tuple(
                sorted(
                    (self._function_cost(name, mix) for name, mix in functions.items()),
                    key=lambda cost: (-cost.instructions, cost.name),
                )
            ),
            layers=tuple(
                self._layer_cost(layer, layers.get(layer.index)) for layer in self._layers
            ),
            kinds={str(kind): total[kind] for kind in Kind if total[kind]},
        )

    def _mix(self, address: int, size: int, count: int, taken: int) -> Mix:
        block = self._decoder.block(address, size)
        mix = Mix({kind: number * count for kind, number in block.items()})
        mix[Kind.TAKEN] += taken
        return mix

    def _work(self, mix: Mix) -> Work:
        return Work(instruction_count(mix), estimate_cycles(self._core, mix))

    def _function_cost(self, name: str, mix: Mix) -> FunctionCost:
        work = self._work(mix)
        return FunctionCost(name, work.instructions, work.cycles_estimate)

    def _layer_cost(self, layer: Layer, mix: Mix | None) -> LayerCost:
        work = None if mix is None else self._work(mix)
        return LayerCost(
            index=layer.index,
            name=layer.name,
            op=layer.op,
            macs=layer.macs,
            instructions=work.instructions if work else None,
            cycles_estimate=work.cycles_estimate if work else None,
        )
