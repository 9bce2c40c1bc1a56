"""One builder for each operator that edgeprune compiles: raw attributes to a checked operator.

CALL_ONCE and the operators of variables are read by :mod:`edgeprune.graph.variables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tflite import BuiltinOperator

from edgeprune.graph.kinds.elementwise import (
    binary,
    dequantize,
    hard_swish,
    leaky_relu,
    logistic,
    mean,
    quantize,
    relu,
    softmax,
    tanh,
)
from edgeprune.graph.kinds.movement import (
    concatenation,
    pad,
    padv2,
    reshape,
    squeeze,
    transpose,
)
from edgeprune.graph.kinds.site import MOST_PARTS, Kind, Site
from edgeprune.graph.kinds.slicing import slice_, split, split_v, strided_slice
from edgeprune.graph.kinds.weights import fully_connected
from edgeprune.graph.kinds.windows import (
    average_pool_2d,
    conv_2d,
    depthwise_conv_2d,
    max_pool_2d,
)
from edgeprune.graph.operators import Add, Mul, Sub

__all__ = ["KINDS", "Kind", "Site"]

#: Builtin code to how it is read. The newest versions are those whose int8 meaning is known; what
#: they add for other types, or by other attributes, is refused where it is used.
KINDS: Mapping[int, Kind] = MappingProxyType(
    {
        BuiltinOperator.CONV_2D: Kind(conv_2d, (2, 3), newest=8),
        BuiltinOperator.DEPTHWISE_CONV_2D: Kind(depthwise_conv_2d, (2, 3), newest=7),
        BuiltinOperator.FULLY_CONNECTED: Kind(fully_connected, (2, 3), newest=14),
        BuiltinOperator.AVERAGE_POOL_2D: Kind(average_pool_2d, (1, 1), newest=3),
        BuiltinOperator.MAX_POOL_2D: Kind(max_pool_2d, (1, 1), newest=3),
        BuiltinOperator.MEAN: Kind(mean, (2, 2), newest=3),
        BuiltinOperator.ADD: Kind(binary(Add), (2, 2), newest=5),
        BuiltinOperator.SUB: Kind(binary(Sub), (2, 2), newest=5),
        BuiltinOperator.MUL: Kind(binary(Mul), (2, 2), newest=7),
        BuiltinOperator.PAD: Kind(pad, (2, 2), newest=6),
        BuiltinOperator.PADV2: Kind(padv2, (3, 3), newest=6),
        BuiltinOperator.CONCATENATION: Kind(concatenation, (1, MOST_PARTS), newest=7),
        BuiltinOperator.SPLIT: Kind(split, (2, 2), newest=5, outputs=(1, MOST_PARTS)),
        BuiltinOperator.SPLIT_V: Kind(split_v, (3, 3), newest=3, outputs=(1, MOST_PARTS)),
        BuiltinOperator.STRIDED_SLICE: Kind(strided_slice, (4, 4), newest=8),
        BuiltinOperator.SLICE: Kind(slice_, (3, 3), newest=8),
        BuiltinOperator.RESHAPE: Kind(reshape, (1, 2), newest=1),
        BuiltinOperator.SQUEEZE: Kind(squeeze, (1, 1), newest=2),
        BuiltinOperator.EXPAND_DIMS: Kind(squeeze, (2, 2), newest=1),
        BuiltinOperator.TRANSPOSE: Kind(transpose, (2, 2), newest=8),
        BuiltinOperator.SOFTMAX: Kind(softmax, (1, 1), newest=3),
        BuiltinOperator.LOGISTIC: Kind(logistic, (1, 1), newest=3),
        BuiltinOperator.TANH: Kind(tanh, (1, 1), newest=3),
        BuiltinOperator.RELU: Kind(relu("relu"), (1, 1), newest=3),
        BuiltinOperator.RELU6: Kind(relu("relu6"), (1, 1), newest=3),
        BuiltinOperator.RELU_N1_TO_1: Kind(relu("relu_n1_to_1"), (1, 1), newest=1),
        BuiltinOperator.LEAKY_RELU: Kind(leaky_relu, (1, 1), newest=2),
        BuiltinOperator.HARD_SWISH: Kind(hard_swish, (1, 1), newest=1),
        BuiltinOperator.QUANTIZE: Kind(quantize, (1, 1), newest=6),
        BuiltinOperator.DEQUANTIZE: Kind(dequantize, (1, 1), newest=9),
    }
)
