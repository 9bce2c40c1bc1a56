"""How weights and channels lie in flash for the kernels with Helium (MVE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.fixed_point import activation_range
from edgeprune.codegen.kernels.weighted import channels, weight_values
from edgeprune.codegen.lowering import unsupported
from edgeprune.graph import Conv2D, DepthwiseConv2D, FullyConnected

__all__ = [
    "LANES",
    "VECTOR_SOURCES",
    "Finish",
    "depthwise_rows",
    "finish",
    "finishes",
    "pairs",
    "rows_in_blocks",
]

VECTOR_SOURCES = ("kernel_inline.h", "kernel_requantize.h", "mve_vector.h")

#: Bytes in a vector.
LANES = 16
#: A bias shares its word with a shift of eight bits.
_BIAS_LIMIT = 1 << 23

_Weighted = Conv2D | DepthwiseConv2D | FullyConnected


@dataclass(frozen=True, eq=False)
class Finish:
    """How accumulators become outputs.

    Attributes:
        channels: int32 ``[outputs, 2]``: bias * 256 + (-shift & 255), and the multiplier.
        away: whether the last rounding must be half away from zero. Where the activation hides
            what lies below zero, half up is the same.
        clamp: whether the output's range is less than int8.
    """

    channels: npt.NDArray[np.int32]
    away: bool
    clamp: bool

    @property
    def shape(self) -> tuple[tuple[str, int], ...]:
        """The compile-time arguments that the kernels end with."""
        return (("away", int(self.away)), ("clamp", int(self.clamp)))

    @property
    def instructions(self) -> int:
        """What turns eight accumulators into bytes: two vectors, then one."""
        return 2 * (3 + 2 * self.away) + 4 + self.clamp


def finishes(operator: _Weighted, rows: npt.NDArray[Any], *, fold: bool = True) -> bool:
    """Whether the kernels can make the outputs of a layer; see :func:`finish`."""
    return _finish(operator, rows, fold) is not None


def finish(operator: _Weighted, rows: npt.NDArray[Any], *, fold: bool = True) -> Finish:
    """How a layer's accumulators become outputs.

    Args:
        operator: the layer.
        rows: int8 weights ``[outputs, values]``.
        fold: whether the input's zero point goes into the bias; see :func:`channels`.

    Raises:
        UnsupportedError: an accumulator could overflow 32 bits, a bias needs more than 24, a
            channel is shifted left, or one that must round half away from zero is not shifted.
    """
    found = _finish(operator, rows, fold)
    if found is None:
        raise unsupported(operator, "its biases or scales are out of the range of the MVE kernels")
    return found


def _finish(operator: _Weighted, rows: npt.NDArray[Any], fold: bool) -> Finish | None:
    found = channels(operator, rows, fold=fold)
    output = operator.output
    low, high = activation_range(operator.activation, output.scale, output.zero_point)
    away = low < output.zero_point
    unshifted = (found.shift == 0) & (found.multiplier != 0)
    too_large = (np.abs(found.bias) >= _BIAS_LIMIT) | (found.shift > 0)
    if too_large.any() or (away and unshifted.any()):
        return None
    words = np.stack([found.bias * 256 + (found.shift & 255), found.multiplier], axis=1)
    return Finish(words.astype(np.int32), away=away, clamp=(low, high) != (-128, 127))


def depthwise_rows(operator: DepthwiseConv2D) -> npt.NDArray[Any]:
    """The weights ``[channels, taps]``."""
    weights = weight_values(operator)
    return weights.reshape(-1, weights.shape[-1]).T


def pairs(outputs: int) -> npt.NDArray[np.intp]:
    """The rows of each block of two, ``[blocks, 2]``; the last is not alone if they are odd."""
    first = np.minimum(np.arange(0, outputs, 2), outputs - 2)
    return np.stack([first, first + 1], axis=1)


def rows_in_blocks(rows: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Weights as ``mve_matrix.h`` takes them, and as many zeros as loads reach behind them.

    Args:
        rows: int8 weights ``[outputs, depth]``, at least two outputs.
    """
    blocks = rows.astype(np.int8)[pairs(rows.shape[0])]
    cut = (rows.shape[1] - 1) // LANES * LANES
    whole = blocks[:, :, :cut].reshape(len(blocks), 2, -1, LANES).transpose(0, 2, 1, 3)
    rest = blocks[:, :, cut:]
    packed = np.concatenate([whole.reshape(len(blocks), -1), rest.reshape(len(blocks), -1)], axis=1)
    return np.concatenate([packed.reshape(-1), np.zeros(LANES - rest.shape[2], dtype=np.int8)])
