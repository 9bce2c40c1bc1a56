"""CONV_2D and DEPTHWISE_CONV_2D in plain C."""

from __future__ import annotations

import math

from edgeprune.codegen.kernels.cost import PlainCost
from edgeprune.codegen.kernels.weighted import (
    MATRIX_SOURCES,
    matrix,
    output_range,
    per_channel,
    weight_values,
)
from edgeprune.codegen.kernels.window import WINDOW_SOURCES, window_fields, window_lead
from edgeprune.codegen.lowering import Constant, Kernel, Lowered, Overlap
from edgeprune.cores import Core
from edgeprune.graph import Conv2D, DepthwiseConv2D

__all__ = ["CONV_2D", "DEPTHWISE", "DEPTHWISE_MULTIPLIED", "POINTWISE"]

_POINTWISE_COST = PlainCost(per_mac=(2.6, 8.7), per_output=(36.0, 82.0))
_CONV_2D_COST = PlainCost(per_mac=(3.1, 9.8), per_output=(25.0, 56.0))
_DEPTHWISE_COST = PlainCost(per_mac=(2.4, 5.3), per_output=(72.0, 139.0))
_MULTIPLIED_COST = PlainCost(per_mac=(8.0, 12.0), per_output=(100.0, 200.0))


def _is_pointwise(operator: Conv2D, _core: Core) -> bool:
    window = operator.window
    return (
        window.kernel == (1, 1)
        and window.stride == (1, 1)
        and window.padding.is_none
        and operator.groups == 1
    )


def _lower_pointwise(operator: Conv2D, core: Core, widest: Conv2D | None = None) -> Lowered:
    lowered = Lowered(
        function="edgeprune_kernel_pointwise_conv_2d",
        struct="edgeprune_pointwise_conv_2d",
        header="kernel_pointwise_conv_2d.h",
        sources=("kernel_pointwise_conv_2d.c", "kernel_pointwise_conv_2d.h", *MATRIX_SOURCES),
        parameters={
            "matrix": matrix(operator, widest=widest),
            "pixels": math.prod(operator.output.shape[:3]),
        },
        inputs=operator.inputs,
    )
    return _POINTWISE_COST.on(operator, lowered, core)


def _lower_conv_2d(operator: Conv2D, core: Core, widest: Conv2D | None = None) -> Lowered:
    filter_size = math.prod(operator.weights.shape[1:])
    lowered = Lowered(
        function="edgeprune_kernel_conv_2d",
        struct="edgeprune_conv_2d",
        header="kernel_conv_2d.h",
        sources=("kernel_conv_2d.c", "kernel_conv_2d.h", *MATRIX_SOURCES, *WINDOW_SOURCES),
        parameters={
            "matrix": matrix(operator, groups=operator.groups, widest=widest),
            "window": window_fields(operator.window, operator.input, operator.output),
            "groups": operator.groups,
            "input_zero_point": operator.input.zero_point,
        },
        inputs=operator.inputs,
        scratch=2 * filter_size,
        # Groups are computed one after the other, so that the whole input is needed to the end.
        overlap=_overlap(operator) if operator.groups == 1 else None,
    )
    return _CONV_2D_COST.on(operator, lowered, core)


def _overlap(operator: Conv2D | DepthwiseConv2D, *, more: int = 0) -> Overlap:
    """Output pixels are written in order, when what is under their windows is read."""
    return Overlap(lead=window_lead(operator.window, operator.input, operator.output) + more)


def _lower_depthwise(
    operator: DepthwiseConv2D, function: str, *, more: int, widest: DepthwiseConv2D | None = None
) -> Lowered:
    weights = weight_values(operator)
    wide = weights if widest is None else weight_values(widest)
    rows = weights.reshape(-1, weights.shape[-1]).T
    # Taps outside the image are left out, so the zero point folds only where there are none.
    fold = operator.window.padding.is_none
    return Lowered(
        function=function,
        struct="edgeprune_depthwise_conv_2d",
        header="kernel_depthwise_conv_2d.h",
        sources=(
            "kernel_depthwise_conv_2d.c",
            "kernel_depthwise_conv_2d.h",
            "kernel_requantize.h",
            *WINDOW_SOURCES,
        ),
        parameters={
            "weights": Constant("weights", wide),
            **per_channel(operator, rows, fold=fold),
            "range": output_range(operator.activation, operator.output),
            "window": window_fields(operator.window, operator.input, operator.output),
            "pitch": wide.shape[-1],
            "input_offset": 0 if fold else -operator.input.zero_point,
        },
        inputs=operator.inputs,
        overlap=_overlap(operator, more=more),
    )


def _lower_depthwise_plain(
    operator: DepthwiseConv2D, core: Core, widest: DepthwiseConv2D | None = None
) -> Lowered:
    function = "edgeprune_kernel_depthwise_conv_2d"
    lowered = _lower_depthwise(operator, function, more=0, widest=widest)
    return _DEPTHWISE_COST.on(operator, lowered, core)


def _lower_depthwise_multiplied(operator: DepthwiseConv2D, core: Core) -> Lowered:
    function = "edgeprune_kernel_depthwise_conv_2d_multiplied"
    # While a pixel is computed, more is written than is done with.
    more = operator.output.shape[3] - operator.input.shape[3]
    return _MULTIPLIED_COST.on(operator, _lower_depthwise(operator, function, more=more), core)


POINTWISE = Kernel(
    Conv2D,
    _lower_pointwise,
    fits=_is_pointwise,
    nested=lambda operator, nest, core: _lower_pointwise(operator, core, nest.widest),
)
CONV_2D = Kernel(
    Conv2D,
    _lower_conv_2d,
    nested=lambda operator, nest, core: _lower_conv_2d(operator, core, nest.widest),
)
DEPTHWISE = Kernel(
    DepthwiseConv2D,
    _lower_depthwise_plain,
    fits=lambda operator, _core: operator.multiplier == 1,
    nested=lambda operator, nest, core: _lower_depthwise_plain(operator, core, nest.widest),
)
DEPTHWISE_MULTIPLIED = Kernel(DepthwiseConv2D, _lower_depthwise_multiplied)
