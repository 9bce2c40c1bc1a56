"""DEPTHWISE_CONV_2D on cores with the DSP extension."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.dsp_matrix import ImageShape, turned
from edgeprune.codegen.kernels.dsp_packing import (
    channel_words,
    output_shape,
    requantizing,
    words_of,
)
from edgeprune.codegen.kernels.weighted import weight_values
from edgeprune.codegen.lowering import (
    Constant,
    Estimate,
    Kernel,
    Lowered,
    Nest,
    Overlap,
    unsupported,
)
from edgeprune.cores import Core
from edgeprune.graph import DepthwiseConv2D, Windowed

__all__ = ["DSP_DEPTHWISE"]

#: Outputs of a block, and of the last one of a row where one more would be left over.
_BLOCK, _LONGEST_BLOCK = 4, 5
#: A channel that is widened may take so many bytes, or this share of the input's.
_SMALL_SCRATCH, _SCRATCH_SHARE = 4096, 4


def _shapes(operator: DepthwiseConv2D) -> tuple[Windowed, ImageShape, ImageShape]:
    source, output = operator.input.shape, operator.output.shape
    return turned(operator.window, (source[1], source[2]), (output[1], output[2]))


def _rows(operator: DepthwiseConv2D) -> npt.NDArray[np.int8]:
    weights = weight_values(operator)
    return np.ascontiguousarray(weights.reshape(-1, weights.shape[-1]).T)


def _tap_words(width: int) -> int:
    """Words of the taps of one row of a kernel; as in ``dsp_depthwise_conv_2d.h``."""
    return 2 if width == 3 else 2 * (width // 2 + 1)


def _plane(window: Windowed, source: ImageShape, output: ImageShape) -> tuple[int, int]:
    """Rows of a widened channel, and words of a row: all that is written to or read from it."""
    rows = max(
        (output[0] - 1) * window.stride[0] + window.kernel[0],
        window.padding.top + source[0],
    )
    blocks = -(-output[1] // _BLOCK) * _BLOCK
    if window.kernel[1] == 3 and output[1] > _BLOCK and output[1] % _BLOCK == 1:
        blocks = output[1] + 1
    read = blocks + window.kernel[1]
    return rows, max(-(-(window.padding.left + source[1]) // 2), read // 2)


def _scratch(operator: DepthwiseConv2D) -> int:
    window, source, output = _shapes(operator)
    return 4 * (
        window.kernel[0] * _tap_words(window.kernel[1]) + math.prod(_plane(window, source, output))
    )


def _fits(operator: DepthwiseConv2D, core: Core) -> bool:
    window, _, _ = _shapes(operator)
    return (
        core.dsp
        and operator.multiplier == 1
        and operator.input.shape[0] == 1
        and window.dilation == (1, 1)
        and window.stride[1] == 1
        and _scratch(operator) <= max(_SMALL_SCRATCH, operator.input.size // _SCRATCH_SHARE)
        and channel_words(operator, _rows(operator)) is not None
    )


def _lower(operator: DepthwiseConv2D, _core: Core) -> Lowered:
    rows = _rows(operator)
    words = channel_words(operator, rows)
    if words is None:
        raise unsupported(operator, "its scales do not fit the DSP extension's kernel")
    window, source, output = _shapes(operator)
    channels = operator.output.shape[3]
    plane_rows, pitch = _plane(window, source, output)
    packed = words_of(words)
    return Lowered(
        function="edgeprune_dsp_depthwise_conv_2d",
        struct="edgeprune_dsp_depthwise",
        header="dsp_depthwise_conv_2d.h",
        sources=(
            "dsp_depthwise_conv_2d.h",
            "dsp_instructions.h",
            "dsp_requantize.h",
            "kernel_inline.h",
        ),
        parameters={
            "weights": Constant("weights", rows),
            "channels": Constant("channels", packed),
        },
        inputs=operator.inputs,
        scratch=_scratch(operator),
        shape=(
            ("channels", channels),
            ("input_height", source[0]),
            ("input_width", source[1]),
            ("output_height", output[0]),
            ("output_width", output[1]),
            ("kernel_height", window.kernel[0]),
            ("kernel_width", window.kernel[1]),
            ("stride_height", window.stride[0]),
            ("padding_top", window.padding.top),
            ("padding_left", window.padding.left),
            ("rows", plane_rows),
            ("pitch", pitch),
            ("input_zero_point", operator.input.zero_point),
            *output_shape(operator),
        ),
        overlap=Overlap(lead=0, exact=True),
        estimate=Estimate(
            instructions=channels
            * _channel(window, source, output, requantizing(operator, sign=0.5, clamp=6.2)),
            flash_bytes=int(rows.nbytes + packed.nbytes),
        ),
    )


def _channel(window: Windowed, source: ImageShape, output: ImageShape, clamping: float) -> float:
    """Instructions of one channel; fitted to counts of layers of many shapes, within 7 %."""
    height, width = window.kernel
    if width == 3:
        spare = 1 if output[1] > _BLOCK and output[1] % _BLOCK == 1 else 0
        block_rows = height * (-(-output[1] // _BLOCK) - spare)
        row = 15.4 * block_rows + output[1] * (3.3 + clamping)
        return 5.2 * math.prod(source) + output[0] * row + 48
    words = width // 2 + 1
    block_rows = height * -(-output[1] // _BLOCK)
    row = block_rows * (5.3 * words + 13.3) + output[1] * (6.4 + clamping) + 63
    return 11.6 * height * words + output[0] * row


def _nested(operator: DepthwiseConv2D, nest: Nest[DepthwiseConv2D], core: Core) -> Lowered | None:
    """A narrower layer, whose weights begin those of the widest as they are."""
    if operator is nest.widest:
        return None
    lowered = _lower(operator, core)
    return replace(
        lowered,
        function="edgeprune_dsp_nested_depthwise_conv_2d",
        struct="edgeprune_dsp_nested_depthwise",
        parameters={
            "layer": lowered.parameters,
            "input_zero_point": operator.input.zero_point,
        },
        shape=tuple(each for each in lowered.shape if each[0] != "input_zero_point"),
    )


DSP_DEPTHWISE = Kernel(DepthwiseConv2D, _lower, fits=_fits, nested=_nested)
