"""The plain kernels, which compute every operator on every core."""

from __future__ import annotations

from typing import Any

from edgeprune.codegen.kernels.convolution import (
    CONV_2D,
    DEPTHWISE,
    DEPTHWISE_MULTIPLIED,
    POINTWISE,
)
from edgeprune.codegen.kernels.elementwise import ADD, MUL, SUB
from edgeprune.codegen.kernels.fully_connected import FULLY_CONNECTED
from edgeprune.codegen.kernels.movement import (
    ASSIGN_VARIABLE,
    CONCATENATION,
    PAD,
    READ_VARIABLE,
    STRIDED_SLICE,
    TRANSPOSE,
)
from edgeprune.codegen.kernels.reduction import AVERAGE_POOL_2D, MAX_POOL_2D, MEAN
from edgeprune.codegen.kernels.softmax import SOFTMAX
from edgeprune.codegen.kernels.unary import (
    DEQUANTIZE,
    HARD_SWISH,
    LEAKY_RELU,
    LOGISTIC,
    QUANTIZE,
    RELU,
    TANH,
)
from edgeprune.codegen.lowering import Kernel

__all__ = ["KERNELS"]

#: Every kernel; the first that fits is taken, so the special ones come before the general ones.
KERNELS: tuple[Kernel[Any], ...] = (
    POINTWISE,
    CONV_2D,
    DEPTHWISE,
    DEPTHWISE_MULTIPLIED,
    FULLY_CONNECTED,
    AVERAGE_POOL_2D,
    MAX_POOL_2D,
    MEAN,
    ADD,
    SUB,
    MUL,
    SOFTMAX,
    HARD_SWISH,
    LEAKY_RELU,
    LOGISTIC,
    QUANTIZE,
    RELU,
    TANH,
    DEQUANTIZE,
    CONCATENATION,
    PAD,
    STRIDED_SLICE,
    TRANSPOSE,
    READ_VARIABLE,
    ASSIGN_VARIABLE,
)
