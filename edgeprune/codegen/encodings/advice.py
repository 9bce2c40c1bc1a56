"""Which zeros pay on which core: what pruning may ask before it chooses a structure.

The figures are counts of one layer, the pointwise convolution of 64 to 64 channels on 125 pixels
that the MLPerf Tiny keyword network has four times, built with zig at its default setting, random
zeros at 50 and 90 %, and a straight line through both; 70 and 80 % lie within 2 % of it. Bytes are
those of the layer's constants: weights and the 512 bytes of its channels' parameters.

- Unstructured zeros, and N:M ones, which are stored like them: from 40 % zeros on fewer
  instructions than dense weights on cores with the DSP extension, from 36 % fewer bytes. On the
  Cortex-M3 they pay at any share. 2:4 gains 13 % on a Cortex-M4, 1:4 gains 44 %.
- On the Cortex-M0+ they pay from 15 % zeros on, and in layers of trained weights, whose dense form
  is quicker than that of random ones, from 30 %. 80 % of zeros take away two thirds.
- Blocks of 1x4 (four neighbouring input channels of an output channel, from a multiple of four
  on): at the same share of zeros 5 to 12 % fewer instructions and 13 to 20 % fewer bytes than
  single weights, and more accuracy lost. They pay from 33 % zeros on.
- Whole channels make a smaller dense layer, on every core.
- On the Cortex-M55 sixteen dense products are one instruction: zeros gain no time, but bytes, from
  13 % zeros on. The weights are expanded to memory before they are used, which takes 13 % more
  instructions at 80 % zeros; where they lie does not matter.

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


#: By how a core multiplies: vectors (Helium), the DSP extension, with a long multiply, without.
_Kind = Literal["mve", "dsp", "long", "short"]

_DENSE_BYTES = 4608.0
_DENSE_INSTRUCTIONS: dict[_Kind, float] = {
    "mve": 84_700.0,
    "dsp": 480_700.0,
    "long": 922_800.0,
    "short": 1_662_100.0,
}
_SINGLE_BYTES = _Line(none=840.0, all=6670.0)
_SHORT_BYTES = _Line(none=740.0, all=6650.0)
_BLOCK_BYTES = _Line(none=576.0, all=5696.0)
_SINGLE: dict[_Kind, _Measured] = {
    "mve": _Measured(_Line(89_500.0, 118_800.0), _Line(none=1024.0, all=5120.0)),
    "dsp": _Measured(_Line(129_800.0, 705_500.0), _SINGLE_BYTES),
    "long": _Measured(_Line(147_500.0, 759_500.0), _SINGLE_BYTES),
    "short": _Measured(_Line(274_500.0, 1_911_800.0), _SHORT_BYTES),
}
_BLOCKS: dict[_Kind, _Measured] = {
    "mve": _SINGLE["mve"],
    "dsp": _Measured(_Line(124_100.0, 655_300.0), _BLOCK_BYTES),
    "long": _Measured(_Line(151_700.0, 661_100.0), _BLOCK_BYTES),
    "short": _Measured(_Line(241_600.0, 1_695_800.0), _BLOCK_BYTES),
}


def _kind(core: CoreName) -> _Kind | None:
    """How a core multiplies; None for one that nothing was measured on."""
    if not CORES[core].bare_metal:
        return None
    if core == "cortex-m0plus":
        return "short"
    return "mve" if CORES[core].mve else "dsp" if CORES[core].dsp else "long"


@dataclass(frozen=True)
class Advice:
    """What zeros bring to a pointwise layer on a core.

    Attributes:
        instructions: of the layer over those with dense weights; 1 where nothing was measured.
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
    kind = _kind(core)
    if kind is None:
        return Advice(instructions=1.0, flash_bytes=1.0, pays_from=1.0)
    measured = (_BLOCKS if zeros == "block1x4" else _SINGLE)[kind]
    dense = _DENSE_INSTRUCTIONS[kind]
    return Advice(
        instructions=measured.instructions.at(sparsity) / dense,
        flash_bytes=measured.flash_bytes.at(sparsity) / _DENSE_BYTES,
        pays_from=measured.instructions.reaches(dense),
    )
