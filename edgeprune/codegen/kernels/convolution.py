"""CONV_2D and DEPTHWISE_CONV_2D in plain C."""

from __future__ import annotations

import math

from edgeprune.codegen.kernels.weighted import (
    MATRIX_SOURCES,
    matrix,
    output_range,
    per_channel,
    weight_values,
)
from edgeprune.codegen.kernels.window import WINDOW_SOURCES, window_fields
from edgeprune.codegen.lowering import Constant, Kernel, Lowered
from edgeprune.cores import Core
from edgeprune.graph import Conv2D, DepthwiseConv2D

__all__ = ["CONV_2D", "DEPTHWISE", "DEPTHWISE_MULTIPLIED", "POINTWISE"]


def _is_pointwise(operator: Conv2D, _core: Core) -> bool:
    window = operator.window
    return (
        window.kernel == (1, 1)
        and window.stride == (1, 1)
        and window.padding.is_none
        and operator.groups == 1
    )


def _lower_pointwise(operator: Conv2D, _core: Core) -> Lowered:
    return Lowered(
        function="edgeprune_kernel_pointwise_conv_2d",
        struct="edgeprune_pointwise_conv_2d",
        header="kernel_pointwise_conv_2d.h",
        sources=("kernel_pointwise_conv_2d.c", "kernel_pointwise_conv_2d.h", *MATRIX_SOURCES),
        parameters={
            "matrix": matrix(operator),
            "pixels": math.prod(operator.output.shape[:3]),
        },
        inputs=operator.inputs,
    )


def _lower_conv_2d(operator: Conv2D, _core: Core) -> Lowered:
    filter_size = math.prod(operator.weights.shape[1:])
    return Lowered(
        function="edgeprune_kernel_conv_2d",
        struct="edgeprune_conv_2d",
        header="kernel_conv_2d.h",
        sources=("kernel_conv_2d.c", "kernel_conv_2d.h", *MATRIX_SOURCES, *WINDOW_SOURCES),
        parameters={
            "matrix": matrix(operator, groups=operator.groups),
            "window": window_fields(operator.window, operator.input, operator.output),
            "groups": operator.groups,
            "input_zero_point": operator.input.zero_point,
        },
        inputs=operator.inputs,
        scratch=2 * filter_size,
    )


def _lower_depthwise(operator: DepthwiseConv2D, function: str) -> Lowered:
    weights = weight_values(operator)
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
            "weights": Constant("weights", weights),
            **per_channel(operator, rows, fold=fold),
            "range": output_range(operator.activation, operator.output),
            "window": window_fields(operator.window, operator.input, operator.output),
            "input_offset": 0 if fold else -operator.input.zero_point,
        },
        inputs=operator.inputs,
    )


def _lower_depthwise_plain(operator: DepthwiseConv2D, _core: Core) -> Lowered:
    return _lower_depthwise(operator, "edgeprune_kernel_depthwise_conv_2d")


def _lower_depthwise_multiplied(operator: DepthwiseConv2D, _core: Core) -> Lowered:
    return _lower_depthwise(operator, "edgeprune_kernel_depthwise_conv_2d_multiplied")


POINTWISE = Kernel(Conv2D, _lower_pointwise, fits=_is_pointwise)
CONV_2D = Kernel(Conv2D, _lower_conv_2d)
DEPTHWISE = Kernel(
    DepthwiseConv2D,
    _lower_depthwise_plain,
    fits=lambda operator, _core: operator.multiplier == 1,
)
DEPTHWISE_MULTIPLIED = Kernel(DepthwiseConv2D, _lower_depthwise_multiplied)
