"""The cores without SIMD, and what the kernels' steps cost on them: counted instructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeprune.cores import Core, CoreName

__all__ = ["ScalarCore", "scalar_core"]


@dataclass(frozen=True)
class ScalarCore:
    """One core; every cost is in instructions, as zig compiles the kernels.

    Attributes:
        long_multiply: whether it multiplies to 64 bits.
        sums: outputs of a depthwise convolution at a time, EDGEPRUNE_SCALAR_ROW_SUMS.
        taps: of one tap for four vectors, by the size of the groups.
        filter: of four outputs of one filter, apart from its taps.
        away_from_zero: of one output that may be below its zero point, on top.
        pair: of one value of four vectors to put in words.
        pixel: of one window to copy, apart from its rows.
        gathered_row: of one row of a window to copy, apart from its values.
        gathered: of one value of a window to copy.
        channel: of one channel of a depthwise convolution, apart from its rows.
        plane_row: of one row of a channel's copy, apart from its values and outputs.
        copied: of one value of a channel to copy.
        block: of one block of outputs, apart from its taps.
        dense_row: of one row of taps for a block, apart from them, where assembly does it.
        dense_tap: of one tap for a block there.
        tap: of one tap for a block elsewhere.
    """

    long_multiply: bool
    sums: int
    taps: Mapping[int, float]
    filter: float
    away_from_zero: float
    pair: float
    pixel: float
    gathered_row: float
    gathered: float
    channel: float
    plane_row: float
    copied: float
    block: float
    dense_row: float
    dense_tap: float
    tap: float


_CORES: dict[CoreName, ScalarCore] = {
    "cortex-m3": ScalarCore(
        long_multiply=True,
        sums=5,
        taps={2: 24 / 4, 3: 31 / 6, 4: 38 / 8, 6: 27 / 6, 8: 34 / 8},
        filter=55,
        away_from_zero=3.7,
        pair=13,
        pixel=92,
        gathered_row=19,
        gathered=5.9,
        channel=60,
        plane_row=48,
        copied=2,
        block=51,
        dense_row=5,
        dense_tap=7,
        tap=17,
    ),
    "cortex-m0plus": ScalarCore(
        long_multiply=False,
        sums=4,
        taps={2: 41 / 4, 3: 55 / 6, 4: 69 / 8, 6: 49 / 6, 8: 63 / 8},
        # Half of the outputs are taken to be negative, which a ReLU makes cheap.
        filter=135,
        away_from_zero=15,
        pair=15,
        pixel=250,
        gathered_row=15,
        gathered=5,
        channel=60,
        plane_row=100,
        copied=7,
        block=111,
        dense_row=2,
        dense_tap=12,
        tap=28,
    ),
}


def scalar_core(core: Core) -> ScalarCore | None:
    """The costs of a core; None for one that has SIMD, or is none that was counted on."""
    return _CORES.get(core.name)
