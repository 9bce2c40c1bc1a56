"""The parameters of output channels as kernels for cores without a long multiply take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.weighted import channels
from edgeprune.errors import UnsupportedError
from edgeprune.graph import Conv2D, DepthwiseConv2D

__all__ = ["short_channel_words"]

#: Accumulators below it keep their products with parts of a multiplier in 32 bits.
_REACH = 1 << 20
#: A right shift keeps the constant that is added before it in 32 bits.
_LARGEST_SHIFT = 14


def short_channel_words(
    operator: Conv2D | DepthwiseConv2D, rows: npt.NDArray[Any]
) -> npt.NDArray[np.int32] | None:
    """Both parameter words of every output channel; see ``short_requantize.h``.

    Args:
        operator: the layer.
        rows: int8 weights ``[channels, values]``; every one of them meets a value of the input or
            its zero point.

    Returns:
        int32 ``[channels, 2]``; None where a channel does not fit them.
    """
    try:
        by_channel = channels(operator, rows, fold=True)
    except UnsupportedError:
        return None
    shift = -by_channel.shift
    # The first rounding leaves |y| <= |x|: what is below half of 2**shift vanishes in the second.
    halves = np.left_shift(1, np.clip(shift, 1, 32) - 1)
    vanishes = (by_channel.multiplier == 0) | ((shift > 0) & (by_channel.reach < halves))
    shift = np.where(vanishes, 1, shift)
    multiplier = np.where(vanishes, 0, by_channel.multiplier)
    outside = (by_channel.reach >= _REACH) | (shift < 1) | (shift > _LARGEST_SHIFT)
    if np.any(outside):
        return None
    return np.stack([by_channel.bias * 256 + (shift - 1), multiplier], axis=1).astype(np.int32)
