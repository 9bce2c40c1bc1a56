"""CONV_2D and FULLY_CONNECTED with Helium (MVE): products of a matrix and panels of vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from edgeprune.codegen.kernels.mve_packing import (
    LANES,
    VECTOR_SOURCES,
    Finish,
    finish,
    finishes,
    pairs,
    rows_in_blocks,
)
from edgeprune.codegen.kernels.weighted import output_range, weight_values
from edgeprune.codegen.kernels.window import WINDOW_SOURCES, window_fields, window_lead
from edgeprune.codegen.lowering import (
    Constant,
    Estimate,
    Field,
    Kernel,
    Lowered,
    Nest,
    Overlap,
)
from edgeprune.cores import Core
from edgeprune.graph import Conv2D, FullyConnected

__all__ = ["MVE_CONV_2D", "MVE_FULLY_CONNECTED", "MVE_POINTWISE"]

_MATRIX_SOURCES = (*VECTOR_SOURCES, "mve_matrix.h")

#: Vectors of a panel, which are multiplied at once.
_PANEL = 4
#: The scattered store reaches 65535 bytes from the first of four pixels.
_MOST_OUTPUTS = 0xFFFF // (_PANEL - 1) - 1


def _rows(operator: Conv2D | FullyConnected) -> npt.NDArray[Any]:
    return weight_values(operator).reshape(operator.weights.shape[0], -1)


def _is_product(operator: Conv2D | FullyConnected, core: Core) -> bool:
    rows = _rows(operator)
    return core.mve and 2 <= len(rows) <= _MOST_OUTPUTS and finishes(operator, rows)


def _is_convolution(operator: Conv2D, core: Core) -> bool:
    return operator.groups == 1 and _is_product(operator, core)


def _is_pointwise(operator: Conv2D, core: Core) -> bool:
    window = operator.window
    is_plain = window.kernel == (1, 1) and window.stride == (1, 1) and window.padding.is_none
    return is_plain and _is_convolution(operator, core)


def _matrix(
    operator: Conv2D | FullyConnected,
    rows: npt.NDArray[Any],
    wide: npt.NDArray[Any],
    to_output: Finish,
) -> dict[str, Field]:
    """The ``edgeprune_mve_matrix`` of a layer whose weights begin ``wide``."""
    return {
        "weights": Constant("weights", rows_in_blocks(wide)),
        "channels": Constant("channels", to_output.channels[pairs(len(rows))]),
        "range": output_range(operator.activation, operator.output),
    }


def _panel_size(depth: int) -> int:
    return _PANEL * LANES * -(-depth // LANES)


def _lower_product(
    operator: Conv2D | FullyConnected, vectors: int, widest: Conv2D | FullyConnected | None = None
) -> Lowered:
    rows, wide = _rows(operator), _rows(operator if widest is None else widest)
    outputs, depth = rows.shape
    to_output = finish(operator, rows)
    matrix = _matrix(operator, rows, wide, to_output)
    panels = -(-vectors // _PANEL)
    return Lowered(
        function="edgeprune_kernel_mve_pointwise_conv_2d",
        struct="edgeprune_mve_matrix",
        header="mve_pointwise_conv_2d.h",
        sources=(*_MATRIX_SOURCES, "mve_pointwise_conv_2d.h"),
        parameters=matrix,
        inputs=operator.inputs,
        scratch=_panel_size(depth),
        shape=(
            ("vectors", vectors),
            ("depth", depth),
            ("pitch", wide.shape[1]),
            ("outputs", outputs),
            *to_output.shape,
        ),
        overlap=Overlap(lead=_PANEL * (panels - 1) * max(outputs - depth, 0)),
        estimate=_estimate(matrix, panels * _multiply_cost(depth, outputs, to_output)),
    )


def _lower_pointwise(operator: Conv2D, _core: Core, widest: Conv2D | None = None) -> Lowered:
    return _lower_product(operator, math.prod(operator.output.shape[:3]), widest)


def _lower_fully_connected(
    operator: FullyConnected, _core: Core, widest: FullyConnected | None = None
) -> Lowered:
    return _lower_product(operator, operator.rows, widest)


def _lower_conv_2d(operator: Conv2D, _core: Core, widest: Conv2D | None = None) -> Lowered:
    rows, wide = _rows(operator), _rows(operator if widest is None else widest)
    outputs, depth = rows.shape
    to_output = finish(operator, rows)
    matrix = _matrix(operator, rows, wide, to_output)
    batches, height, width, _ = operator.output.shape
    panels = batches * -(-height * width // _PANEL)
    instructions = panels * _multiply_cost(depth, outputs, to_output)
    instructions += batches * height * width * _gather_cost(operator)
    window = operator.window
    return Lowered(
        function="edgeprune_kernel_mve_conv_2d",
        struct="edgeprune_mve_conv_2d",
        header="mve_conv_2d.h",
        sources=(
            *_MATRIX_SOURCES,
            "mve_conv_2d.h",
            "mve_im2col.c",
            "mve_im2col.h",
            "mve_rows.h",
            "mve_window.h",
            *WINDOW_SOURCES,
        ),
        parameters={
            "matrix": matrix,
            "window": window_fields(window, operator.input, operator.output),
            "input_zero_point": operator.input.zero_point,
        },
        inputs=operator.inputs,
        scratch=_panel_size(depth) * (_PANEL + 1) // _PANEL,
        shape=(
            ("depth", depth),
            ("pitch", wide.shape[1]),
            ("outputs", outputs),
            *to_output.shape,
        ),
        overlap=Overlap(lead=window_lead(window, operator.input, operator.output)),
        estimate=_estimate(matrix, instructions),
    )


def _multiply_cost(depth: int, outputs: int, to_output: Finish) -> int:
    """Instructions to fill a panel and multiply it, as zig compiles it."""
    steps = -(-depth // LANES)
    # Fourteen a step, two more where steps are a loop; then sums into vectors, stores, and the
    # loop over the blocks.
    block = 14 * steps + (2 * steps if steps > 6 else 0) + 13 + to_output.instructions
    return -(-outputs // 2) * block + _PANEL * (3 * steps + 8) + 30


def _gather_cost(operator: Conv2D) -> int:
    """Instructions to copy what lies under a window."""
    height, width = operator.window.kernel
    channels = operator.input.shape[3]
    if operator.window.dilation[1] == 1:
        copies = -(-width * channels // LANES)
    else:
        copies = width * -(-channels // LANES)
    return 130 + copies * (6 * height + 12)


def _estimate(matrix: dict[str, Field], instructions: float) -> Estimate:
    constants = [each for each in matrix.values() if isinstance(each, Constant)]
    return Estimate(instructions, sum(int(each.values.nbytes) for each in constants))


def _ends_with_a_block(nest: Nest[Any], outputs: int) -> bool:
    """Whether a narrower layer's last two rows are a block of the widest's, too."""
    return outputs % 2 == 0 or outputs == len(_rows(nest.widest))


def _nested(lower: Callable[..., Lowered]) -> Callable[[Any, Nest[Any], Core], Lowered | None]:
    def nested(operator: Any, nest: Nest[Any], core: Core) -> Lowered | None:
        if not _ends_with_a_block(nest, len(_rows(operator))):
            return None
        return lower(operator, core, nest.widest)

    return nested


MVE_POINTWISE = Kernel(
    Conv2D, _lower_pointwise, fits=_is_pointwise, nested=_nested(_lower_pointwise)
)
MVE_CONV_2D = Kernel(Conv2D, _lower_conv_2d, fits=_is_convolution, nested=_nested(_lower_conv_2d))
MVE_FULLY_CONNECTED = Kernel(
    FullyConnected,
    _lower_fully_connected,
    fits=_is_product,
    nested=_nested(_lower_fully_connected),
)
