"""The kernels, and which one computes a layer on a core."""

from __future__ import annotations

from typing import Any

from edgeprune.codegen.kernels.convolution import (
    CONV_2D,
    DEPTHWISE,
    DEPTHWISE_MULTIPLIED,
    POINTWISE,
)
from edgeprune.codegen.kernels.elementwise import ADD, SOFTMAX
from edgeprune.codegen.kernels.fully_connected import FULLY_CONNECTED
from edgeprune.codegen.kernels.reduction import AVERAGE_POOL_2D, MEAN
from edgeprune.codegen.lowering import Kernel, Lowered, unsupported
from edgeprune.cores import Core
from edgeprune.graph import Operator

__all__ = ["KERNELS", "select"]

#: Every kernel; the first that fits is taken, so the special ones come before the general ones.
KERNELS: tuple[Kernel[Any], ...] = (
    POINTWISE,
    CONV_2D,
    DEPTHWISE,
    DEPTHWISE_MULTIPLIED,
    FULLY_CONNECTED,
    AVERAGE_POOL_2D,
    MEAN,
    ADD,
    SOFTMAX,
)


def select(operator: Operator, core: Core) -> Lowered:
    """Choose the kernel that computes an operator on a core, and lower the operator to it.

    Raises:
        UnsupportedError: no kernel can, or none can exactly.
    """
    for kernel in KERNELS:
        lowered = kernel.offer(operator, core)
        if lowered is not None:
            return lowered
    raise unsupported(operator, f"no kernel computes it on {core.name}")
