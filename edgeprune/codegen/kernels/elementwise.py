"""ADD and SOFTMAX in plain C."""

from __future__ import annotations

import numpy as np

from edgeprune.codegen.fixed_point import exp_table, rescale
from edgeprune.codegen.kernels.weighted import output_range
from edgeprune.codegen.lowering import Constant, Field, Kernel, Lowered, unsupported
from edgeprune.cores import Core
from edgeprune.graph import Add, Softmax, Tensor

__all__ = ["ADD", "SOFTMAX"]

#: Bits that ADD shifts its operands left by before it rescales them.
_EXTRA_BITS = 20
#: The sum of more exponentials leaves the format that TensorFlow Lite keeps it in.
_LONGEST_SOFTMAX = 511


def _lower_add(operator: Add, _core: Core) -> Lowered:
    twice_larger = 2.0 * max(operator.left.scale, operator.right.scale)
    real = twice_larger / ((1 << _EXTRA_BITS) * operator.output.scale)
    by = rescale(real)
    if real >= 1.0 or by.shift > 0:
        raise unsupported(
            operator,
            f"its output's scale {operator.output.scale:g} is too small for its inputs'",
            hint="convert the model again with calibration data that is typical",
        )
    return Lowered(
        function="edgeprune_kernel_add",
        struct="edgeprune_add",
        header="kernel_add.h",
        sources=("kernel_add.c", "kernel_add.h", "kernel_requantize.h"),
        parameters={
            "left": _operand(operator.left, twice_larger),
            "right": _operand(operator.right, twice_larger),
            "count": operator.output.elements,
            "multiplier": by.multiplier,
            "shift": by.shift,
            "range": output_range(operator.activation, operator.output),
        },
        inputs=(operator.left, operator.right),
    )


def _operand(tensor: Tensor, twice_larger: float) -> dict[str, Field]:
    by = rescale(tensor.scale / twice_larger)
    return {"offset": -tensor.zero_point, "multiplier": by.multiplier, "shift": by.shift}


def _lower_softmax(operator: Softmax, _core: Core) -> Lowered:
    depth = operator.input.shape[-1]
    if depth > _LONGEST_SOFTMAX:
        raise unsupported(operator, f"it has {depth} values; {_LONGEST_SOFTMAX} is the most")
    try:
        table = exp_table(operator.input.scale, operator.beta)
    except ValueError as error:
        raise unsupported(operator, str(error)) from error
    return Lowered(
        function="edgeprune_kernel_softmax",
        struct="edgeprune_softmax",
        header="kernel_softmax.h",
        sources=("kernel_softmax.c", "kernel_softmax.h", "kernel_requantize.h"),
        parameters={
            "exponentials": Constant("exponentials", np.array(table, dtype=np.int32)),
            "reach": len(table),
            "rows": operator.input.elements // depth,
            "depth": depth,
        },
        inputs=operator.inputs,
    )


ADD = Kernel(Add, _lower_add)
SOFTMAX = Kernel(Softmax, _lower_softmax)
