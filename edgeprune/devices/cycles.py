"""Cycles, *estimated* from counted instructions: a table of cycles a class for each core.

All tables assume memory without wait states and leave out stalls between instructions, so a real
chip with slow flash takes longer. They are for comparing programs on one core, and for a first
answer to "is it fast enough"; a board's cycle counter overrides them.

Sources and assumptions:

* Cortex-M0+: Arm DDI 0484C, Cortex-M0+ Technical Reference Manual, Table 3-1. With the fast
  multiplier (1 cycle; the small one takes 32).
* Cortex-M3: Arm 100165, Cortex-M3 Processor Technical Reference Manual, table of instruction
  cycles. P, the refill of the pipeline (1 to 3), is taken as 2; long multiplies (3 to 5, with
  accumulation 4 to 7) and divides (2 to 12) as the middle of their ranges; a load or store right
  after another one as 1 (they pipeline), a store as 1 (the write buffer takes it).
* Cortex-M4: Arm 100166, Cortex-M4 Processor Technical Reference Manual, the tables of instruction,
  DSP and FPU cycles; P and divides as for the M3.
* Cortex-M7: **no table is published.** The core issues up to two instructions a cycle and predicts
  branches. Assumed: 0.6 cycles for what can be paired, 1 for a multiply, half a cycle for a taken
  branch. In one vendor's MLPerf Tiny v1.2 keyword-spotting results this core takes 3.2 million
  cycles where the M4 takes 5.2 million: a ratio of 0.62.
* Cortex-M33: **no table is published.** Assumed: the M4's table, with single loads at 1.5 cycles
  (no stall unless the value is used at once) and a refill of 1.5 cycles. In the same results it
  takes 4.7 million cycles: a ratio of 0.90.
* Cortex-M55: **no table is published**, and no device here sorts its instructions. Assumed: 1.5
  cycles an instruction. A vector instruction takes two cycles, and the next one begins in the
  second of them if it uses another unit; scalar instructions take one.

A device that counts instructions without sorting them (QEMU) gets a core's average, a rougher
estimate: the cycles that the tables give for an instruction of MLPerf Tiny's keyword spotting
network, as edgeprune compiles it.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeprune.cores import CoreName
from edgeprune.devices.instructions import Kind, Mix

__all__ = ["estimate_cycles", "estimate_from_count"]

#: One cycle for everything that a table does not name.
_M0PLUS: dict[Kind, float] = {
    Kind.LOAD: 2,
    Kind.STORE: 2,
    Kind.NEXT_LOAD: 2,
    Kind.NEXT_STORE: 2,
    Kind.CALL: 2,
    Kind.RETURN: 2,
    Kind.BARRIER: 3,
}

_M3: dict[Kind, float] = {
    Kind.LOAD: 2,
    Kind.MULTIPLY_ADD: 2,
    Kind.LONG_MULTIPLY: 4,
    Kind.LONG_MULTIPLY_ADD: 5.5,
    Kind.DIVIDE: 7,
    Kind.BARRIER: 2,
    Kind.TAKEN: 2,
}

_M4: dict[Kind, float] = {
    Kind.LOAD: 2,
    Kind.DIVIDE: 7,
    Kind.FLOAT_MULTIPLY_ADD: 3,
    Kind.FLOAT_DIVIDE: 14,
    Kind.BARRIER: 2,
    Kind.TAKEN: 2,
}

_M7: dict[Kind, float] = {
    Kind.LOAD: 0.6,
    Kind.STORE: 0.6,
    Kind.NEXT_LOAD: 0.6,
    Kind.NEXT_STORE: 0.6,
    Kind.TRANSFER: 0.6,
    Kind.BRANCH: 0.6,
    Kind.OTHER: 0.6,
    Kind.DIVIDE: 7,
    Kind.FLOAT_DIVIDE: 14,
    Kind.BARRIER: 2,
    Kind.TAKEN: 0.5,
}

_M33: dict[Kind, float] = {**_M4, Kind.LOAD: 1.5, Kind.TAKEN: 1.5}

_TABLES: Mapping[CoreName, Mapping[Kind, float]] = {
    "cortex-m0plus": _M0PLUS,
    "cortex-m3": _M3,
    "cortex-m4": _M4,
    "cortex-m7": _M7,
    "cortex-m33": _M33,
}

#: Cycles of an average instruction.
_AVERAGE: Mapping[CoreName, float] = {
    "cortex-m0plus": 1.4,
    "cortex-m3": 2.8,
    "cortex-m4": 1.4,
    "cortex-m7": 1.1,
    "cortex-m33": 1.4,
    "cortex-m55": 1.5,
}


def estimate_cycles(core: CoreName, mix: Mix) -> int:
    """Cycles that a mix of instructions is estimated to take, rounded.

    Raises:
        KeyError: for the host, which has no table.
    """
    table = _TABLES[core]
    return round(sum(count * table.get(kind, 1.0) for kind, count in mix.items()))


def estimate_from_count(core: CoreName, instructions: int) -> int:
    """Cycles that a number of unsorted instructions is estimated to take, rounded.

    Raises:
        KeyError: for the host.
    """
    return round(instructions * _AVERAGE[core])
