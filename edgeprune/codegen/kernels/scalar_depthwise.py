"""DEPTHWISE_CONV_2D on cores without SIMD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeprune.codegen.kernels.scalar_cost import ScalarCore, scalar_core
from edgeprune.codegen.kernels.scalar_packing import (
    away_from_zero,
    range_shape,
    scalar_channel_words,
)
from edgeprune.codegen.kernels.weighted import weight_values
from edgeprune.codegen.lowering import Constant, Estimate, Kernel, Lowered, Overlap, unsupported
from edgeprune.cores import Core
from edgeprune.graph import DepthwiseConv2D

__all__ = ["SCALAR_DEPTHWISE"]

_WORD_BYTES = 4
#: Taps of a row that ``scalar_row.h`` has a loop in assembly for.
_DENSE_ROWS = (3, 5, 7, 9)


@dataclass(frozen=True)
class _Axis:
    """One axis of the image."""

    source: int
    output: int
    input_step: int
    output_step: int
    kernel: int
    stride: int
    dilation: int
    padding: int

    @property
    def padded(self) -> int:
        """Values from the first tap's first value to the last tap's last, or to the image's end."""
        reached = (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        return max(reached, self.padding + self.source)


@dataclass(frozen=True)
class _Plane:
    """How the image lies in scratch."""

    along: _Axis
    across: _Axis
    is_transposed: bool

    def count(self, core: ScalarCore) -> int:
        """Outputs at a time."""
        return min(core.sums, self.along.output)

    @property
    def scratch(self) -> int:
        return _WORD_BYTES * self.along.padded * self.across.padded


def _plane(operator: DepthwiseConv2D) -> _Plane:
    """The longer side of the output runs along the rows of the copy."""
    source, output, window = operator.input.shape, operator.output.shape, operator.window
    paddings = (window.padding.top, window.padding.left)
    axes = [
        _Axis(
            source=source[1 + axis],
            output=output[1 + axis],
            input_step=source[3] * (source[2] if axis == 0 else 1),
            output_step=output[3] * (output[2] if axis == 0 else 1),
            kernel=window.kernel[axis],
            stride=window.stride[axis],
            dilation=window.dilation[axis],
            padding=paddings[axis],
        )
        for axis in (0, 1)
    ]
    is_transposed = axes[0].output > axes[1].output
    along, across = axes if is_transposed else axes[::-1]
    return _Plane(along, across, is_transposed)


def _fits(operator: DepthwiseConv2D, core: Core) -> bool:
    if scalar_core(core) is None or operator.multiplier != 1 or operator.input.shape[0] != 1:
        return False
    weights = weight_values(operator)
    return scalar_channel_words(operator, weights.reshape(-1, weights.shape[-1]).T) is not None


def _instructions(operator: DepthwiseConv2D, plane: _Plane, core: ScalarCore) -> float:
    along, across = plane.along, plane.across
    count = plane.count(core)
    is_dense = (
        along.kernel in _DENSE_ROWS
        and along.stride == 1
        and along.dilation == 1
        and count == core.sums
    )
    row = core.dense_row + core.dense_tap * along.kernel if is_dense else core.tap * along.kernel
    block = core.block + across.kernel * row
    if away_from_zero(operator):
        block += core.away_from_zero * count
    blocks = -(-along.output // count) * across.output
    copied = across.source * (core.plane_row + core.copied * along.source)
    return operator.output.shape[3] * (core.channel + copied + blocks * block)


def _lower(operator: DepthwiseConv2D, core: Core) -> Lowered:
    weights = weight_values(operator)
    words = scalar_channel_words(operator, weights.reshape(-1, weights.shape[-1]).T)
    scalar = scalar_core(core)
    if words is None or scalar is None:
        raise unsupported(operator, f"its weights don't fit the scalar kernels of {core.name}")
    plane = _plane(operator)
    along, across = plane.along, plane.across
    packed = weights[0].transpose(2, 1, 0) if plane.is_transposed else weights[0].transpose(2, 0, 1)
    return Lowered(
        function="edgeprune_scalar_depthwise_conv_2d",
        struct="edgeprune_scalar_depthwise",
        header="scalar_depthwise_conv_2d.h",
        sources=(
            "kernel_inline.h",
            "scalar_depthwise_conv_2d.h",
            "scalar_requantize.h",
            "scalar_row.h",
        ),
        parameters={
            "weights": Constant("weights", np.ascontiguousarray(packed)),
            "channels": Constant("channels", words),
        },
        inputs=operator.inputs,
        scratch=plane.scratch,
        shape=(
            ("channels", operator.output.shape[3]),
            ("along", along.source),
            ("across", across.source),
            ("input_along", along.input_step),
            ("input_across", across.input_step),
            ("output_along", along.output),
            ("output_across", across.output),
            ("output_step_along", along.output_step),
            ("output_step_across", across.output_step),
            ("kernel_along", along.kernel),
            ("kernel_across", across.kernel),
            ("stride_along", along.stride),
            ("stride_across", across.stride),
            ("dilation_along", along.dilation),
            ("dilation_across", across.dilation),
            ("padding_along", along.padding),
            ("padding_across", across.padding),
            ("pitch", along.padded),
            ("rows", across.padded),
            ("count", plane.count(scalar)),
            ("fill", operator.input.zero_point),
            *range_shape(operator, scalar),
        ),
        overlap=Overlap(exact=True),
        estimate=Estimate(
            _instructions(operator, plane, scalar),
            packed.nbytes + words.nbytes,
        ),
    )


SCALAR_DEPTHWISE = Kernel(DepthwiseConv2D, _lower, fits=_fits)
