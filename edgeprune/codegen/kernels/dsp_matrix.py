"""CONV_2D and FULLY_CONNECTED on cores with the DSP extension."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from edgeprune.codegen.kernels.dsp_packing import (
    VECTORS,
    groups,
    output_shape,
    pack_channels,
    pack_matrix,
    pair_words,
    requantizing,
    vectors_bytes,
)
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
from edgeprune.graph import Conv2D, FullyConnected, Padding, Windowed

__all__ = ["DSP_CONV_2D", "DSP_FULLY_CONNECTED", "DSP_POINTWISE", "ImageShape", "turned"]

_MATRIX_SOURCES = (
    "dsp_instructions.h",
    "dsp_matrix.c",
    "dsp_matrix.h",
    "dsp_requantize.h",
    "kernel_inline.h",
)

#: Weights of a single vector from which on the code that multiplies three is worth its bytes.
_LARGE_MATRIX = 4096

#: Height and width.
ImageShape = tuple[int, int]


def turned(
    window: Windowed, source: ImageShape, output: ImageShape
) -> tuple[Windowed, ImageShape, ImageShape]:
    """A window along the height of an image of width 1 as one along the width: the same bytes."""
    if source[1] != 1 or output[1] != 1 or window.kernel[1] != 1:
        return window, source, output
    padding = window.padding
    along = Windowed(
        kernel=(1, window.kernel[0]),
        stride=(1, window.stride[0]),
        padding=Padding(0, padding.top, 0, padding.bottom),
        dilation=(1, window.dilation[0]),
    )
    return along, (1, source[0]), (1, output[0])


def _is_pointwise(operator: Conv2D, core: Core) -> bool:
    window = operator.window
    return (
        core.dsp
        and operator.groups == 1
        and window.kernel == (1, 1)
        and window.stride == (1, 1)
        and window.padding.is_none
        and pack_matrix(operator) is not None
    )


def _lower_pointwise(operator: Conv2D, _core: Core) -> Lowered:
    return _lower_vectors(operator, math.prod(operator.output.shape[:3]))


def _is_fully_connected(operator: FullyConnected, core: Core) -> bool:
    pays = operator.rows > 1 or operator.weights.elements >= _LARGE_MATRIX
    return core.dsp and pays and pack_matrix(operator) is not None


def _lower_fully_connected(operator: FullyConnected, _core: Core) -> Lowered:
    return _lower_vectors(operator, operator.rows)


def _lower_vectors(operator: Conv2D | FullyConnected, pixels: int) -> Lowered:
    outputs, depth = operator.weights.shape[0], operator.weights.shape[-1]
    return _lowered(
        operator,
        "pointwise",
        shape=(("pixels", pixels), ("depth", depth), ("outputs", outputs)),
        scratch=vectors_bytes(depth),
        overlap=Overlap(lead=_pointwise_lead(pixels, depth, outputs)),
        pixels=pixels,
    )


def _pointwise_lead(pixels: int, depth: int, outputs: int) -> int:
    """Bytes that the outputs must start before the inputs, so that no block meets the next."""
    full = (pixels - 1) // VECTORS
    if full == 0:
        return -depth * pixels
    return VECTORS * (outputs - depth) * (full if outputs > depth else 1)


def _is_conv_2d(operator: Conv2D, core: Core) -> bool:
    return (
        core.dsp
        and operator.groups == 1
        and operator.input.shape[0] == 1
        and pack_matrix(operator) is not None
    )


def _lower_conv_2d(operator: Conv2D, _core: Core) -> Lowered:
    source_shape, output_shape_ = operator.input.shape, operator.output.shape
    window, source, output = turned(
        operator.window,
        (source_shape[1], source_shape[2]),
        (output_shape_[1], output_shape_[2]),
    )
    depth = math.prod(window.kernel) * source_shape[3]
    shape = (
        ("input_height", source[0]),
        ("input_width", source[1]),
        ("input_channels", source_shape[3]),
        ("output_height", output[0]),
        ("output_width", output[1]),
        ("output_channels", output_shape_[3]),
        ("kernel_height", window.kernel[0]),
        ("kernel_width", window.kernel[1]),
        ("stride_height", window.stride[0]),
        ("stride_width", window.stride[1]),
        ("dilation_height", window.dilation[0]),
        ("dilation_width", window.dilation[1]),
        ("padding_top", window.padding.top),
        ("padding_left", window.padding.left),
        ("input_zero_point", operator.input.zero_point),
    )
    needed = _first_needed(window, source, output) * source_shape[3]
    return _lowered(
        operator,
        "conv_2d",
        shape=shape,
        scratch=vectors_bytes(depth) + VECTORS * depth,
        overlap=Overlap(lead=_conv_2d_lead(needed, output_shape_[3], operator.input.size)),
        pixels=math.prod(output),
        gathering=window.kernel[0] * (27 + 0.83 * window.kernel[1] * source_shape[3]),
        sources=("kernel_window.h",),
    )


def _first_needed(window: Windowed, source: ImageShape, output: ImageShape) -> np.ndarray:
    """For each output pixel, the first input pixel that it or a later one reads."""
    rows = np.maximum(np.arange(output[0]) * window.stride[0] - window.padding.top, 0)
    columns = np.maximum(np.arange(output[1]) * window.stride[1] - window.padding.left, 0)
    first = (rows[:, None] * source[1] + columns[None, :]).reshape(-1)
    return np.minimum.accumulate(first[::-1])[::-1]


def _conv_2d_lead(needed: np.ndarray, outputs: int, size: int) -> int:
    """Bytes that the outputs must start before the inputs.

    Args:
        needed: for each output pixel, the first byte of the input that is still needed.
        outputs: bytes of an output pixel.
        size: bytes of the input.
    """
    written = np.arange(VECTORS, len(needed), VECTORS)
    return int(np.max(written * outputs - needed[written], initial=-size))


def _lowered(
    operator: Conv2D | FullyConnected,
    name: str,
    *,
    shape: tuple[tuple[str, int], ...],
    scratch: int,
    overlap: Overlap,
    pixels: int,
    gathering: float = 0.0,
    sources: tuple[str, ...] = (),
) -> Lowered:
    packed = pack_matrix(operator)
    if packed is None:
        raise unsupported(operator, "its weights or scales do not fit the DSP extension's kernel")
    blocks = -(-pixels // VECTORS)
    depth, outputs = math.prod(operator.weights.shape[1:]), operator.weights.shape[0]
    return Lowered(
        function=f"edgeprune_dsp_{name}",
        struct="edgeprune_dsp_matrix",
        header=f"dsp_{name}.h",
        sources=(f"dsp_{name}.h", *_MATRIX_SOURCES, *sources),
        parameters={"pairs": Constant("pairs", packed)},
        inputs=operator.inputs,
        scratch=scratch,
        shape=(*shape, *output_shape(operator)),
        overlap=overlap,
        estimate=Estimate(
            instructions=blocks
            * _block(depth, outputs, requantizing(operator, sign=1.8, clamp=16.8))
            + pixels * (gathering + 8 * groups(depth)),
            flash_bytes=int(packed.nbytes),
        ),
    )


def _block(depth: int, outputs: int, clamping: float) -> float:
    """Instructions of three vectors that are widened; fitted to counts, within 6 %."""
    pair = 16.6 * groups(depth) + 69 + 2 * VECTORS * clamping
    return -(-outputs // 2) * pair + 10 * groups(depth)


def _nested(operator: Conv2D | FullyConnected, lowered: Lowered, nest: Nest[Any]) -> Lowered | None:
    """The layer with the widest one's weights, and the parameters of its own channels."""
    widest = nest.widest
    packed, own = pack_matrix(widest), pack_channels(operator)
    if operator is widest or packed is None or own is None:
        return None
    *shape, zero_point, low, high = lowered.shape
    pitch = pair_words(math.prod(widest.weights.shape[1:]))
    return replace(
        lowered,
        function=lowered.function.replace("edgeprune_dsp_", "edgeprune_dsp_nested_"),
        struct="edgeprune_dsp_nested_matrix",
        parameters={
            "pairs": Constant("pairs", packed),
            "channels": Constant("channels", own),
        },
        shape=(*shape, ("pitch", pitch), zero_point, low, high),
    )


DSP_POINTWISE = Kernel(
    Conv2D,
    _lower_pointwise,
    fits=_is_pointwise,
    nested=lambda operator, nest, core: _nested(operator, _lower_pointwise(operator, core), nest),
)
DSP_CONV_2D = Kernel(
    Conv2D,
    _lower_conv_2d,
    fits=_is_conv_2d,
    nested=lambda operator, nest, core: _nested(operator, _lower_conv_2d(operator, core), nest),
)
DSP_FULLY_CONNECTED = Kernel(
    FullyConnected,
    _lower_fully_connected,
    fits=_is_fully_connected,
    nested=lambda operator, nest, core: _nested(
        operator, _lower_fully_connected(operator, core), nest
    ),
)
