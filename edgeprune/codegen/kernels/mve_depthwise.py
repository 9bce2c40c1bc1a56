"""DEPTHWISE_CONV_2D with Helium (MVE), a channel at a time: small windows, many pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeprune.codegen.kernels.mve_packing import (
    LANES,
    VECTOR_SOURCES,
    Finish,
    depthwise_rows,
    finish,
    finishes,
)
from edgeprune.codegen.kernels.weighted import output_range
from edgeprune.codegen.lowering import Constant, Estimate, Kernel, Lowered, Overlap
from edgeprune.cores import Core
from edgeprune.graph import DepthwiseConv2D

__all__ = ["MVE_DEPTHWISE"]

#: Sums that one run of a row computes.
_RUN = 6
#: A vector can be moved by so many bytes at once.
_FARTHEST_MOVE = 4
#: How far a load of sixteen bytes, and an addition, reach from a pointer.
_LOAD_REACH, _ADD_REACH = 127, 4095
#: Pixels that are scattered at once, at distances that must fit in 16 bits.
_SCATTERED = 8


@dataclass(frozen=True)
class _Geometry:
    """A depthwise window; every pair is (height, width)."""

    input: tuple[int, int]
    output: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]

    @classmethod
    def of(cls, operator: DepthwiseConv2D) -> _Geometry:
        """The window of a layer; where all widths are 1, its height becomes the width."""
        window, source, output = operator.window, operator.input.shape, operator.output.shape
        found = cls(
            input=(source[1], source[2]),
            output=(output[1], output[2]),
            kernel=window.kernel,
            stride=window.stride,
            dilation=window.dilation,
            before=(window.padding.top, window.padding.left),
            after=(window.padding.bottom, window.padding.right),
        )
        if found.input[1] == found.output[1] == found.kernel[1] == 1:
            return cls(
                input=(1, found.input[0]),
                output=(1, found.output[0]),
                kernel=(1, found.kernel[0]),
                stride=(1, found.stride[0]),
                dilation=(1, found.dilation[0]),
                before=(0, found.before[0]),
                after=(0, found.after[0]),
            )
        return found

    @property
    def pitch(self) -> int:
        """From line to line of the plane: right of an image's line is left of the next one."""
        return self.input[1] + max(self.before[1], self.after[1])

    @property
    def origin(self) -> int:
        """Where the image's first pixel lies in the plane."""
        return self.before[0] * self.pitch + self.before[1]

    @property
    def tap_places(self) -> tuple[int, ...]:
        """Where the taps of a window lie behind its first."""
        return tuple(
            y * self.dilation[0] * self.pitch + x * self.dilation[1]
            for y in range(self.kernel[0])
            for x in range(self.kernel[1])
        )

    @property
    def is_paired(self) -> bool:
        """Whether two neighbouring windows lie within the same sixteen bytes."""
        stride = self.stride[1]
        return stride <= _FARTHEST_MOVE and self.tap_places[-1] + stride < LANES

    @property
    def pixels(self) -> int:
        """Of the output."""
        return math.prod(self.output)

    @property
    def run(self) -> int:
        """Sums of one run."""
        return min(self.output[1], _RUN)

    @property
    def runs_of_row(self) -> int:
        """Runs that a row is computed in."""
        return -(-self.output[1] // _RUN)

    @property
    def advance(self) -> int:
        """Bytes from one run to the next."""
        if self.output[1] <= _RUN:
            return self.stride[0] * self.pitch
        return _RUN * self.stride[1]

    @property
    def sums_size(self) -> int:
        """Bytes of the accumulators, those that belong to no pixel included."""
        last_row = max(self.output[1], self.runs_of_row * self.run)
        count = (self.output[0] - 1) * self.output[1] + last_row
        return _align(4 * count)

    @property
    def plane_size(self) -> int:
        """Bytes of the plane, with what loads reach behind it."""
        image = self.origin + (self.input[0] - 1) * self.pitch + self.input[1]
        last = (self.output[0] - 1) * self.stride[0] * self.pitch
        last += (self.runs_of_row * self.run - 1) * self.stride[1]
        return _align(max(image, last + LANES))


def _align(size: int) -> int:
    return -(-size // LANES) * LANES


def _fits(operator: DepthwiseConv2D, core: Core) -> bool:
    if not core.mve or operator.multiplier != 1:
        return False
    geometry = _Geometry.of(operator)
    return (
        geometry.tap_places[-1] < LANES
        and geometry.pixels >= _SCATTERED
        and (_SCATTERED - 1) * operator.output.shape[3] <= 0xFFFF
        and (_RUN - 1) * geometry.stride[1] <= _LOAD_REACH
        and geometry.advance <= _ADD_REACH
        and finishes(operator, depthwise_rows(operator))
    )


def _lower(operator: DepthwiseConv2D, _core: Core) -> Lowered:
    rows = depthwise_rows(operator)
    to_output = finish(operator, rows)
    geometry = _Geometry.of(operator)
    batches, channels = operator.input.shape[0], operator.input.shape[3]
    taps = [0] * LANES
    for tap, place in enumerate(geometry.tap_places):
        taps[place] = tap
    constants = (
        Constant("weights", np.ascontiguousarray(rows)),
        Constant("taps", np.array(taps, dtype=np.int8)),
        Constant("channels", to_output.channels),
    )
    same_pixels = geometry.pixels == math.prod(geometry.input)
    fewer_pixels = geometry.pixels < math.prod(geometry.input) and batches == 1
    return Lowered(
        function="edgeprune_kernel_mve_depthwise_conv_2d",
        struct="edgeprune_mve_depthwise_conv_2d",
        header="mve_depthwise_conv_2d.h",
        sources=(*VECTOR_SOURCES, "mve_depthwise_conv_2d.h", "mve_rows.h"),
        parameters={
            **{each.name: each for each in constants},
            "input_zero_point": operator.input.zero_point,
            "range": output_range(operator.activation, operator.output),
        },
        inputs=operator.inputs,
        scratch=geometry.sums_size + geometry.plane_size,
        shape=(
            ("batches", batches),
            ("input_height", geometry.input[0]),
            ("input_width", geometry.input[1]),
            ("output_height", geometry.output[0]),
            ("output_width", geometry.output[1]),
            ("channels", channels),
            ("taps", rows.shape[1]),
            ("lanes", sum(1 << place for place in geometry.tap_places)),
            ("stride_height", geometry.stride[0]),
            ("stride_width", geometry.stride[1]),
            ("origin", geometry.origin),
            ("pitch", geometry.pitch),
            ("paired", int(geometry.is_paired)),
            ("sums_size", geometry.sums_size),
            ("plane_size", geometry.plane_size),
            *to_output.shape,
        ),
        overlap=Overlap(exact=True) if same_pixels or fewer_pixels else None,
        estimate=Estimate(
            batches * channels * _channel_cost(geometry, to_output) + 100,
            sum(int(each.values.nbytes) for each in constants),
        ),
    )


def _channel_cost(geometry: _Geometry, to_output: Finish) -> int:
    """Instructions for one channel of one image, as zig compiles them."""
    height, width = geometry.input
    take = -(-width // 8) * (5 * height + 8)
    run = geometry.run
    loads = -(-run // 2) if geometry.is_paired else run
    row_cost = 0 if geometry.runs_of_row == 1 else 8
    runs = geometry.output[0] * (geometry.runs_of_row * (loads + run + 2) + row_cost)
    put = -(-geometry.pixels // _SCATTERED) * (to_output.instructions + 5)
    return take + runs + put + 40


MVE_DEPTHWISE = Kernel(DepthwiseConv2D, _lower, fits=_fits)
