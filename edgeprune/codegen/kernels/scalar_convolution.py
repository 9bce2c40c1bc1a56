"""CONV_2D on cores without SIMD."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.scalar_cost import ScalarCore, scalar_core
from edgeprune.codegen.kernels.scalar_groups import STEPS, Arrangement, arrange, arrange_nested
from edgeprune.codegen.kernels.scalar_packing import (
    away_from_zero,
    range_shape,
    scalar_channel_words,
)
from edgeprune.codegen.kernels.weighted import matrix_rows
from edgeprune.codegen.kernels.window import WINDOW_SOURCES
from edgeprune.codegen.lowering import (
    Constant,
    Estimate,
    Field,
    Kernel,
    Lowered,
    Nest,
    Overlap,
    unsupported,
)
from edgeprune.cores import Core
from edgeprune.graph import Conv2D

__all__ = ["SCALAR_CONV_2D", "SCALAR_POINTWISE"]

_SOURCES = (
    "kernel_inline.h",
    "scalar_dot.h",
    "scalar_matrix.h",
    "scalar_requantize.h",
)
#: Vectors at a time: EDGEPRUNE_SCALAR_VECTORS of ``scalar_matrix.h``.
_VECTORS = 4
_WORD_BYTES = 4


@dataclass(frozen=True, eq=False)
class _Matrix:
    """The constants of a layer, and what it costs.

    Attributes:
        core: that it costs so much on.
        rows: int8 weights ``[outputs, depth]``.
        arrangement: of the taps.
        weights: int8 ``[outputs or more, taps or more]``, as they lie in flash.
        words: of the channels.
        is_signed: whether an output may be below its zero point.
    """

    core: ScalarCore
    rows: npt.NDArray[Any]
    arrangement: Arrangement
    weights: npt.NDArray[np.int8]
    words: npt.NDArray[np.int32]
    is_signed: bool

    @property
    def outputs(self) -> int:
        return len(self.rows)

    @property
    def depth(self) -> int:
        return int(self.rows.shape[1])

    def fields(self) -> dict[str, Field]:
        """The ``edgeprune_scalar_matrix``."""
        order: Field = 0
        if self.arrangement.is_ordered:
            order = Constant("order", self.arrangement.indices())
        return {
            "weights": Constant("weights", self.weights),
            "order": order,
            "channels": Constant("channels", self.words),
        }

    def shape(self) -> tuple[tuple[str, int], ...]:
        return (
            ("taps", self.arrangement.taps),
            ("pitch", int(self.weights.shape[1])),
            ("group", self.arrangement.group),
            ("ordered", int(self.arrangement.is_ordered)),
        )

    def scratch(self, pixels: int) -> int:
        """Bytes of the words of four vectors, and of outputs that don't fill four pixels."""
        rest = _VECTORS * self.outputs if pixels % _VECTORS else 0
        return 2 * _WORD_BYTES * self.arrangement.taps + rest

    def instructions(self, pixels: int) -> float:
        """Of all outputs of so many pixels, from the vectors on."""
        taps, group = self.arrangement.taps, self.arrangement.group
        looped = self.arrangement.turns * STEPS[group]
        products = self.core.taps[group] * looped + self.core.taps[2] * (taps - looped)
        requantized = self.core.filter
        if self.is_signed:
            requantized += _VECTORS * self.core.away_from_zero
        filters = self.outputs * (products + requantized)
        return -(-pixels // _VECTORS) * (filters + self.core.pair * taps)

    def flash_bytes(self) -> int:
        taps = self.arrangement.taps
        order = taps if self.arrangement.is_ordered else 0
        return self.outputs * taps + order + self.words.nbytes


def _matrix(operator: Conv2D, core: Core, nest: Nest[Conv2D] | None = None) -> _Matrix | None:
    """The layer as a matrix; None where the kernels don't take it."""
    scalar = scalar_core(core)
    if scalar is None or operator.groups != 1:
        return None
    rows = matrix_rows(operator)
    words = scalar_channel_words(operator, rows)
    if words is None:
        return None
    wide = rows if nest is None else matrix_rows(nest.widest)
    if nest is None:
        arrangement = whole = arrange(rows, scalar.taps)
    else:
        depths = [matrix_rows(each).shape[1] for each in nest.members]
        by_depth = arrange_nested(wide, depths, scalar.taps) or {}
        arrangement, whole = by_depth.get(rows.shape[1]), by_depth.get(wide.shape[1])
    if arrangement is None or whole is None:
        return None
    return _Matrix(scalar, rows, arrangement, whole.arrange(wide), words, away_from_zero(operator))


def _lower_matrix(operator: Conv2D, core: Core) -> _Matrix:
    matrix = _matrix(operator, core)
    if matrix is None:
        raise unsupported(operator, f"its weights don't fit the scalar kernels of {core.name}")
    return matrix


def _is_pointwise(operator: Conv2D, core: Core) -> bool:
    window = operator.window
    return (
        window.kernel == (1, 1)
        and window.stride == (1, 1)
        and window.padding.is_none
        and _matrix(operator, core) is not None
    )


def _lower_pointwise(operator: Conv2D, matrix: _Matrix) -> Lowered:
    pixels = math.prod(operator.output.shape[:3])
    return Lowered(
        function="edgeprune_scalar_pointwise_conv_2d",
        struct="edgeprune_scalar_matrix",
        header="scalar_pointwise_conv_2d.h",
        sources=("scalar_pointwise_conv_2d.h", *_SOURCES),
        parameters=matrix.fields(),
        inputs=operator.inputs,
        scratch=matrix.scratch(pixels),
        shape=(
            ("pixels", pixels),
            ("depth", matrix.depth),
            ("outputs", matrix.outputs),
            *matrix.shape(),
            *range_shape(operator, matrix.core),
        ),
        overlap=Overlap(lead=max(0, matrix.outputs - matrix.depth) * pixels),
        estimate=Estimate(matrix.instructions(pixels), matrix.flash_bytes()),
    )


def _fits_conv_2d(operator: Conv2D, core: Core) -> bool:
    return _matrix(operator, core) is not None


def _gathering(matrix: _Matrix, rows: int) -> float:
    """Instructions of copying what lies under a window of so many rows."""
    core = matrix.core
    return core.pixel + core.gathered_row * rows + core.gathered * matrix.depth


def _lower_conv_2d(operator: Conv2D, matrix: _Matrix) -> Lowered:
    source, output, window = operator.input, operator.output, operator.window
    pixels = math.prod(output.shape[:3])
    return Lowered(
        function="edgeprune_scalar_conv_2d",
        struct="edgeprune_scalar_matrix",
        header="scalar_conv_2d.h",
        sources=("scalar_conv_2d.h", *_SOURCES, *WINDOW_SOURCES),
        parameters=matrix.fields(),
        inputs=operator.inputs,
        scratch=matrix.scratch(pixels) + _VECTORS * matrix.depth,
        shape=(
            ("batches", source.shape[0]),
            ("height", source.shape[1]),
            ("width", source.shape[2]),
            ("channels", source.shape[3]),
            ("output_height", output.shape[1]),
            ("output_width", output.shape[2]),
            ("outputs", matrix.outputs),
            ("kernel_height", window.kernel[0]),
            ("kernel_width", window.kernel[1]),
            ("stride_height", window.stride[0]),
            ("stride_width", window.stride[1]),
            ("dilation_height", window.dilation[0]),
            ("dilation_width", window.dilation[1]),
            ("padding_top", window.padding.top),
            ("padding_left", window.padding.left),
            ("fill", source.zero_point),
            *matrix.shape(),
            *range_shape(operator, matrix.core),
        ),
        estimate=Estimate(
            matrix.instructions(pixels) + pixels * _gathering(matrix, window.kernel[0]),
            matrix.flash_bytes(),
        ),
    )


def _kernel(
    lower: Callable[[Conv2D, _Matrix], Lowered], fits: Callable[[Conv2D, Core], bool]
) -> Kernel[Conv2D]:
    def nested(operator: Conv2D, nest: Nest[Conv2D], core: Core) -> Lowered | None:
        matrix = _matrix(operator, core, nest)
        return None if matrix is None else lower(operator, matrix)

    return Kernel(
        Conv2D,
        lambda operator, core: lower(operator, _lower_matrix(operator, core)),
        fits=fits,
        nested=nested,
    )


SCALAR_POINTWISE = _kernel(_lower_pointwise, _is_pointwise)
SCALAR_CONV_2D = _kernel(_lower_conv_2d, _fits_conv_2d)
