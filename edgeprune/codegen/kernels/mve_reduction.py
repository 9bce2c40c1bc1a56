"""AVERAGE_POOL_2D with Helium (MVE)."""

from __future__ import annotations

import math

from edgeprune.codegen.fixed_point import activation_range
from edgeprune.codegen.kernels.mve_packing import VECTOR_SOURCES
from edgeprune.codegen.kernels.window import WINDOW_SOURCES, window_fields, window_lead
from edgeprune.codegen.lowering import Estimate, Kernel, Lowered, Overlap
from edgeprune.cores import Core
from edgeprune.graph import AveragePool2D

__all__ = ["MVE_AVERAGE_POOL_2D"]

#: So many int8 values add up to an int16.
_MOST_VALUES = 255


def _fits(operator: AveragePool2D, core: Core) -> bool:
    window, source = operator.window, operator.input.shape
    most = math.prod(min(window.kernel[axis], source[1 + axis]) for axis in (0, 1))
    return core.mve and most <= _MOST_VALUES


def _lower(operator: AveragePool2D, _core: Core) -> Lowered:
    window, source, output = operator.window, operator.input, operator.output
    low, high = activation_range(operator.activation, output.scale, output.zero_point)
    return Lowered(
        function="edgeprune_kernel_mve_average_pool_2d",
        struct="edgeprune_average_pool_2d",
        header="mve_average_pool_2d.h",
        sources=(
            *VECTOR_SOURCES,
            "kernel_average_pool_2d.h",
            "mve_average_pool_2d.c",
            "mve_average_pool_2d.h",
            *WINDOW_SOURCES,
        ),
        parameters={
            "window": window_fields(window, source, output),
            "low": low,
            "high": high,
        },
        inputs=operator.inputs,
        overlap=Overlap(lead=window_lead(window, source, output)),
        estimate=Estimate(_cost(operator), 0),
    )


def _cost(operator: AveragePool2D) -> int:
    """Instructions, as zig compiles them; windows that reach over the border cost less."""
    source, output = operator.input.shape, operator.output.shape
    height, width = (min(operator.window.kernel[axis], source[1 + axis]) for axis in (0, 1))
    eight = height * (8 + 6 * width) + 95
    return math.prod(output[:3]) * (-(-output[3] // 8) * eight + 100)


MVE_AVERAGE_POOL_2D = Kernel(AveragePool2D, _lower, fits=_fits)
