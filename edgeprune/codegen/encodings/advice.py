"""Which zeros pay on which core: what pruning may ask before it chooses a structure.

The figures are counts of one layer, the pointwise convolution of 64 to 64 channels on 125 pixels
that the MLPerf Tiny keyword network has four times, built with zig at its default setting, random
zeros at 50 and 90 %, and a straight line through both; 70 and 80 % lie within 2 % of it. Bytes are
those of the layer's constants: weights and the 512 bytes of its channels' parameters.

- Unstructured zeros, and N:M ones, which are stored like them: from 40 % zeros on fewer
  instructions than dense weights on cores with the DSP extension, from 36 % fewer bytes. On the
  Cortex-M3 they pay at any share. 2:4 gains 13 % on a Cortex-M4, 1:4 gains 44 %.
- Blocks of 1x4 (four neighbouring input channels of an output channel, from a multiple of four
  on): at the same share of zeros 5 to 11 % fewer instructions and 13 to 20 % fewer bytes than
  single weights, and more accuracy lost. They pay from 33 % zeros on.
- Whole channels make a smaller dense layer, on every core.
- On the Cortex-M55 sixteen dense products are one instruction: zeros gain no time below 80 %. The
  Cortex-M0+ has no long multiply. Neither has sparse kernels.

Instructions are not cycles: the long multiplication that sparse kernels are made of takes one
cycle on a Cortex-M4, M7 or M33, but four to seven on a Cortex-M3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeprune.cores import CORES, CoreName

__all__ = ["Advice", "Zeros", "advice"]

#: Where zeros may lie: anywhere, N in every M weights of an output channel, in blocks of four.
Zeros = Literal["unstructured", "n:m", "block1x4"]


@dataclass(frozen=True)
class _Line:
    """A cost that grows with the share of weights that are not zero."""

    none: float
    all: float

    def at(self, sparsity: float) -> float:
        return self.none + (self.all - self.none) * (1.0 - sparsity)

    def reaches(self, cost: float) -> float:
        """The sparsity from which on it is below a cost; 0 to 1."""
        return min(1.0, max(0.0, (self.all - cost) / (self.all - self.none)))


@dataclass(frozen=True)
class _Measured:
    """Instructions and bytes of the layer."""

    instructions: _Line
    flash_bytes: _Line


_DENSE_BYTES = 4608.0
_DENSE_INSTRUCTIONS = {"dsp": 480_700.0, "scalar": 922_800.0}
_SINGLE_BYTES = _Line(none=840.0, all=6670.0)
_BLOCK_BYTES = _Line(none=576.0, all=5696.0)
_MEASURED: dict[str, dict[Zeros, _Measured]] = {
    "dsp": {
        "unstructured": _Measured(_Line(129_800.0, 705_500.0), _SINGLE_BYTES),
        "n:m": _Measured(_Line(129_800.0, 705_500.0), _SINGLE_BYTES),
        "block1x4": _Measured(_Line(124_100.0, 655_300.0), _BLOCK_BYTES),
    },
    "scalar": {
        "unstructured": _Measured(_Line(147_500.0, 759_500.0), _SINGLE_BYTES),
        "n:m": _Measured(_Line(147_500.0, 759_500.0), _SINGLE_BYTES),
        "block1x4": _Measured(_Line(151_700.0, 661_100.0), _BLOCK_BYTES),
    },
}


@dataclass(frozen=True)
class Advice:
    """What zeros bring to a pointwise layer on a core.

    Attributes:
        instructions: of the layer over those with dense weights; 1 where there is no sparse kernel.
        flash_bytes: of the layer's constants, likewise.
        pays_from: the share of zeros from which on instructions are fewer than with dense weights;
            1 where they never are.
    """

    instructions: float
    flash_bytes: float
    pays_from: float


def advice(core: CoreName, zeros: Zeros, sparsity: float) -> Advice:
    """What a share of zeros brings on a core, as far as one layer tells; see the module.

    Args:
        core: where the network will run.
        zeros: where they lie.
        sparsity: share of the weights that are zero, 0 to 1.
    """
    if core in ("cortex-m0plus", "cortex-m55", "host"):
        return Advice(instructions=1.0, flash_bytes=1.0, pays_from=1.0)
    kind = "dsp" if CORES[core].dsp else "scalar"
    measured, dense = _MEASURED[kind][zeros], _DENSE_INSTRUCTIONS[kind]
    return Advice(
        instructions=measured.instructions.at(sparsity) / dense,
        flash_bytes=measured.flash_bytes.at(sparsity) / _DENSE_BYTES,
        pays_from=measured.instructions.reaches(dense),
    )
