"""DEPTHWISE_CONV_2D with Helium (MVE), eight channels at a time: any window."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.mve_packing import (
    VECTOR_SOURCES,
    Finish,
    depthwise_rows,
    finish,
    finishes,
)
from edgeprune.codegen.kernels.weighted import output_range
from edgeprune.codegen.kernels.window import WINDOW_SOURCES, window_fields, window_lead
from edgeprune.codegen.lowering import Constant, Estimate, Kernel, Lowered, Overlap
from edgeprune.cores import Core
from edgeprune.graph import DepthwiseConv2D

__all__ = ["MVE_DEPTHWISE_CHANNELS"]

#: Channels that are computed at once.
_BLOCK = 8


def _folds(operator: DepthwiseConv2D) -> bool:
    """Taps outside the image are left out, so the zero point folds only where there are none."""
    return operator.window.padding.is_none


def _fits(operator: DepthwiseConv2D, core: Core) -> bool:
    return (
        core.mve
        and operator.multiplier == 1
        and finishes(operator, depthwise_rows(operator), fold=_folds(operator))
    )


def _in_blocks(channels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """``[channels, 2]`` as ``[blocks, 4, 4]``: both words of the even ones, then of the odd."""
    count = len(channels)
    padded = np.concatenate([channels, np.zeros((-count % _BLOCK, 2), dtype=np.int32)])
    return padded.reshape(-1, _BLOCK // 2, 2, 2).transpose(0, 2, 3, 1)


def _lower(operator: DepthwiseConv2D, _core: Core) -> Lowered:
    rows = depthwise_rows(operator)
    folds = _folds(operator)
    to_output = finish(operator, rows, fold=folds)
    reach = np.zeros(_BLOCK - 1, dtype=np.int8)
    constants = (
        Constant("weights", np.concatenate([rows.T.reshape(-1), reach])),
        Constant("channels", _in_blocks(to_output.channels)),
    )
    return Lowered(
        function="edgeprune_kernel_mve_depthwise_channels",
        struct="edgeprune_mve_depthwise_channels",
        header="mve_depthwise_channels.h",
        sources=(
            *VECTOR_SOURCES,
            "mve_depthwise_channels.c",
            "mve_depthwise_channels.h",
            "mve_window.h",
            *WINDOW_SOURCES,
        ),
        parameters={
            **{each.name: each for each in constants},
            "window": window_fields(operator.window, operator.input, operator.output),
            "input_offset": 0 if folds else -operator.input.zero_point,
            "range": output_range(operator.activation, operator.output),
            **dict(to_output.shape),
        },
        inputs=operator.inputs,
        overlap=Overlap(lead=window_lead(operator.window, operator.input, operator.output)),
        estimate=Estimate(
            _cost(operator, to_output), sum(int(each.values.nbytes) for each in constants)
        ),
    )


def _cost(operator: DepthwiseConv2D, to_output: Finish) -> float:
    """Instructions, as zig compiles them."""
    height, width = (_mean_taps(operator, axis) for axis in (0, 1))
    lines, taps = (1.0, height) if operator.window.kernel[1] == 1 else (height, width)
    block = lines * (11 * taps + 12) + to_output.instructions + 43
    pixels = math.prod(operator.output.shape[:3])
    return pixels * (-(-operator.output.shape[3] // _BLOCK) * block + 80) + 90


def _mean_taps(operator: DepthwiseConv2D, axis: int) -> float:
    """How many taps lie inside the image along an axis, averaged over the output's pixels."""
    window = operator.window
    first = np.arange(operator.output.shape[1 + axis]) * window.stride[axis]
    taps = np.arange(window.kernel[axis]) * window.dilation[axis]
    place = np.add.outer(first, taps) - (window.padding.top, window.padding.left)[axis]
    inside = (place >= 0) & (place < operator.input.shape[1 + axis])
    return float(inside.sum(axis=1).mean())


MVE_DEPTHWISE_CHANNELS = Kernel(DepthwiseConv2D, _lower, fits=_fits)
