"""How kernels for the DSP extension take weights and the parameters of output channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.fixed_point import activation_range
from edgeprune.codegen.kernels.weighted import channels, matrix_rows
from edgeprune.errors import UnsupportedError
from edgeprune.graph import Conv2D, DepthwiseConv2D, FullyConnected

__all__ = [
    "GROUP",
    "VECTORS",
    "channel_words",
    "groups",
    "output_shape",
    "pack_channels",
    "pack_matrix",
    "pair_words",
    "requantizing",
    "vectors_bytes",
    "words_of",
]

#: Values of a vector in one group of a matrix, and vectors at a time; see ``dsp_matrix.h``.
GROUP = 4
VECTORS = 3

#: Accumulators below it keep their bits when they are shifted left by 8, and bias fits 24 bits.
_REACH = 1 << 23
#: Right shifts of one more make every accumulator zero.
_LARGEST_SHIFT = 24

_Weighted = Conv2D | DepthwiseConv2D | FullyConnected


def groups(depth: int) -> int:
    """Groups of a vector, the last filled up."""
    return -(-depth // GROUP)


def vectors_bytes(depth: int) -> int:
    """Bytes of the widened vectors, and of the mark and what is read behind them."""
    return 2 * VECTORS * GROUP * groups(depth) + 4 * VECTORS


def output_shape(operator: _Weighted) -> tuple[tuple[str, int], ...]:
    """The compile-time numbers that become an ``edgeprune_dsp_output``."""
    output = operator.output
    low, high = activation_range(operator.activation, output.scale, output.zero_point)
    return (("zero_point", output.zero_point), ("low", low), ("high", high))


def requantizing(operator: _Weighted, *, sign: float, clamp: float) -> float:
    """Instructions that an output takes beyond those of a fused ReLU, for estimates.

    Args:
        operator: the layer.
        sign: for outputs that can be below their zero point.
        clamp: for a range that is not int8's.
    """
    numbers = dict(output_shape(operator))
    signed = numbers["low"] < numbers["zero_point"]
    clamped = numbers["low"] > -128 or numbers["high"] < 127
    return sign * signed + clamp * clamped


def channel_words(operator: _Weighted, rows: npt.NDArray[Any]) -> npt.NDArray[np.int64] | None:
    """Both parameter words of every output channel; see ``dsp_requantize.h``.

    Args:
        operator: the layer.
        rows: int8 weights ``[channels, values]``; every one of them meets a value of the input or
            its zero point.

    Returns:
        int64 ``[channels, 2]`` of values within int32; None where a channel does not fit them.
    """
    try:
        by_channel = channels(operator, rows, fold=True)
    except UnsupportedError:
        return None
    shift = -by_channel.shift
    vanishes = (by_channel.multiplier == 0) | (shift > _LARGEST_SHIFT)
    shift = np.where(vanishes, 1, shift)
    multiplier = np.where(vanishes, 0, by_channel.multiplier)
    if np.any(by_channel.reach >= _REACH) or np.any(shift < 1):
        return None
    return np.stack([by_channel.bias * 256 + (shift - 1), multiplier], axis=1)


def pack_matrix(operator: Conv2D | FullyConnected) -> npt.NDArray[np.int32] | None:
    """Weights and parameters of all pairs of output channels, as ``dsp_matrix.h`` takes them.

    Returns:
        int32 words; None where a value does not fit them.
    """
    rows = matrix_rows(operator)
    words = channel_words(operator, rows)
    if words is None:
        return None
    outputs, depth = rows.shape
    pairs = _pairs(outputs)
    wide = np.zeros((2 * pairs, groups(depth) * GROUP), dtype=np.int64)
    wide[:outputs, :depth] = rows
    halves = 256 * wide[0::2] + wide[1::2]
    if np.any(halves < -(1 << 15)):
        return None
    halves = halves.reshape(pairs, -1, 2, 2)
    weights = halves[:, :, 0, :] & 0xFFFF | halves[:, :, 1, :] << 16
    first, multiplier = _by_pair(words)
    return words_of(np.concatenate([first, weights.reshape(pairs, -1), multiplier], axis=1))


def pack_channels(operator: Conv2D | FullyConnected) -> npt.NDArray[np.int32] | None:
    """Parameters of all pairs of output channels of a nested layer, as ``dsp_matrix.h`` takes them.

    Returns:
        int32 words; None where a value does not fit them.
    """
    words = channel_words(operator, matrix_rows(operator))
    return None if words is None else words_of(np.concatenate(_by_pair(words), axis=1))


def pair_words(depth: int) -> int:
    """Words of a pair of output channels."""
    return 2 * groups(depth) + 4


def _pairs(outputs: int) -> int:
    return -(-outputs // 2)


def _by_pair(words: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First words and multipliers, two of each a pair."""
    pairs = _pairs(len(words))
    parameters = np.zeros((2 * pairs, 2), dtype=np.int64)
    parameters[: len(words)] = words
    return parameters[:, 0].reshape(pairs, 2), parameters[:, 1].reshape(pairs, 2)


def words_of(words: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The words as C's int32_t, whatever their upper 32 bits are."""
    return (words & 0xFFFFFFFF).astype(np.uint32).view(np.int32).reshape(-1)
