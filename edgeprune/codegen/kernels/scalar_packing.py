"""The parameters of output channels as the kernels for cores without SIMD take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.dsp_packing import channel_words, output_shape
from edgeprune.codegen.kernels.scalar_cost import ScalarCore
from edgeprune.graph import Conv2D, DepthwiseConv2D

__all__ = ["away_from_zero", "range_shape", "scalar_channel_words"]


def scalar_channel_words(
    operator: Conv2D | DepthwiseConv2D, rows: npt.NDArray[Any]
) -> npt.NDArray[np.int32] | None:
    """Both parameter words of every output channel; see ``scalar_requantize.h``.

    Args:
        operator: the layer.
        rows: int8 weights ``[channels, values]``; every one of them meets a value of the input or
            its zero point.

    Returns:
        int32 ``[channels, 2]``; None where a channel does not fit them: where its bias needs more
        than 24 bits, or its right shift is less than 2.
    """
    words = channel_words(operator, rows)
    if words is None:
        return None
    shifts_by_one = (words[:, 0] & 0xFF) == 0
    if np.any(shifts_by_one & (words[:, 1] != 0)):
        return None
    words[shifts_by_one, 0] += 1  # a multiplier of 0: any shift will do
    return words.astype(np.int32)


def range_shape(
    operator: Conv2D | DepthwiseConv2D, scalar: ScalarCore
) -> tuple[tuple[str, int], ...]:
    """The compile-time numbers that become an ``edgeprune_scalar_output``."""
    return (("long_multiply", int(scalar.long_multiply)), *output_shape(operator))


def away_from_zero(operator: Conv2D | DepthwiseConv2D) -> bool:
    """Whether outputs may be below their zero point, so that the sign matters in rounding."""
    shape = dict(output_shape(operator))
    return shape["low"] < shape["zero_point"]
