"""ADD, SUB and MUL in plain C, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeprune.codegen.fixed_point import INT32_MAX, activation_range, rescale
from edgeprune.codegen.kernels.movement import WALK_SOURCES, Axis, merge, row_strides, walk_fields
from edgeprune.codegen.kernels.sums import LinearSum, exact_sum, linear_sum
from edgeprune.codegen.kernels.weighted import output_range
from edgeprune.codegen.lowering import Field, Kernel, Lowered, Overlap, unsupported
from edgeprune.cores import Core
from edgeprune.graph import Add, Binary, Mul, Sub, Tensor

__all__ = ["ADD", "MUL", "SUB"]

#: The most that the absolute value of a product of two int8 values minus their zero points can be.
_MOST_PRODUCT = 255 * 255


def _lower_sum(operator: Add | Sub, _core: Core) -> Lowered:
    linear = linear_sum(operator)
    line = _exact(operator) if linear is None else _linear(operator, linear)
    return _broadcast(operator, line)


def _linear(operator: Add | Sub, by: LinearSum) -> Lowered:
    output = operator.output
    low, high = activation_range(operator.activation, output.scale, output.zero_point)
    return Lowered(
        function="edgeprune_kernel_add",
        struct="edgeprune_add",
        header="kernel_add.h",
        sources=("kernel_add.h", "kernel_inline.h", *WALK_SOURCES),
        parameters={
            "left_factor": by.left,
            "right_factor": by.right,
            "offset": by.offset,
            "rounding": by.rounding,
        },
        inputs=(operator.left, operator.right),
        shape=(
            ("shift", by.shift),
            ("ties_away", int(by.ties_away)),
            ("low", low),
            ("high", high),
        ),
    )


def _exact(operator: Add | Sub) -> Lowered:
    by = exact_sum(operator)
    return Lowered(
        function="edgeprune_kernel_add_exact",
        struct="edgeprune_add_exact",
        header="kernel_add_exact.h",
        sources=("kernel_add_exact.h", "kernel_inline.h", "kernel_requantize.h", *WALK_SOURCES),
        parameters={
            "left_offset": -operator.left.zero_point,
            "right_offset": -operator.right.zero_point,
            "left_multiplier": by.left.multiplier,
            "right_multiplier": by.right.multiplier,
            "multiplier": by.output.multiplier,
            "range": output_range(operator.activation, operator.output),
        },
        inputs=(operator.left, operator.right),
        shape=(
            ("left_shift", by.left.shift),
            ("right_shift", by.right.shift),
            ("shift", by.output.shift),
            ("sign", by.sign),
        ),
    )


def _lower_mul(operator: Mul, _core: Core) -> Lowered:
    real = operator.left.scale * operator.right.scale / operator.output.scale
    by = rescale(real)
    if _MOST_PRODUCT << by.left > INT32_MAX:
        raise unsupported(
            operator,
            f"its scales multiply by {real:g}, which overflows 32 bits",
            hint="convert the model again with calibration data that is typical",
        )
    line = Lowered(
        function="edgeprune_kernel_mul",
        struct="edgeprune_mul",
        header="kernel_mul.h",
        sources=("kernel_mul.h", "kernel_inline.h", "kernel_requantize.h", *WALK_SOURCES),
        parameters={
            "left_offset": -operator.left.zero_point,
            "right_offset": -operator.right.zero_point,
            "multiplier": by.multiplier,
            "range": output_range(operator.activation, operator.output),
        },
        inputs=(operator.left, operator.right),
        shape=(("shift", by.shift),),
    )
    return _broadcast(operator, line)


def _broadcast(operator: Binary, line: Lowered) -> Lowered:
    """A kernel of one line as one of all lines, along axes where an operand may repeat itself."""
    shape = operator.output.shape
    axes = merge(
        [
            Axis(size, left, right)
            for size, left, right in zip(
                shape, _strides(operator.left, shape), _strides(operator.right, shape), strict=True
            )
        ]
    )
    *outer, inner = axes
    parameters: dict[str, Field] = {**line.parameters, "count": inner.size}
    overlap = _overlap(operator)
    if not outer and (inner.first, inner.second) == (1, 1):
        return replace(line, parameters=parameters, overlap=overlap)
    return replace(
        line,
        function=f"{line.function}_broadcast",
        struct=f"{line.struct}_broadcast",
        parameters={
            "line": parameters,
            "walk": walk_fields(operator, outer),
            "left_step": inner.first,
            "right_step": inner.second,
        },
        overlap=overlap,
    )


def _strides(tensor: Tensor, shape: Sequence[int]) -> list[int]:
    """Steps along the output's dimensions; 0 where the tensor repeats its values."""
    missing = len(shape) - len(tensor.shape)
    own = zip(tensor.shape, row_strides(tensor.shape), strict=True)
    return [0] * missing + [0 if size == 1 else stride for size, stride in own]


def _overlap(operator: Binary) -> Overlap | None:
    """In place of the first operand that is as large as the output and not the other one too."""
    for position, tensor in enumerate((operator.left, operator.right)):
        if not tensor.is_constant and tensor.elements == operator.output.elements:
            return Overlap(input=position)
    return None


ADD = Kernel(Add, _lower_sum)
MUL = Kernel(Mul, _lower_mul)
SUB = Kernel(Sub, _lower_sum)
