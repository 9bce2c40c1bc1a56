"""How TensorFlow Lite Micro calls the operators that edgeprune reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgeprune.errors import UnsupportedError
from edgeprune.graph import Graph

__all__ = ["OPERATORS", "Registration", "registrations"]


@dataclass(frozen=True)
class Registration:
    """How one kind of operator gets into a ``tflite::MicroMutableOpResolver``.

    Attributes:
        kind: the name in the schema.
        method: of the resolver.
        int8: the function that returns the int8-only registration, in ``tflite``; None where
            TensorFlow Lite Micro has no such variant.
    """

    kind: str
    method: str
    int8: str | None = None


_INT8_ONLY = (
    "ADD",
    "AVERAGE_POOL_2D",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "MAX_POOL_2D",
    "MUL",
    "PAD",
    "SOFTMAX",
    "TRANSPOSE",
)

_METHODS = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MUL": "AddMul",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "QUANTIZE": "AddQuantize",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "SLICE": "AddSlice",
    "SOFTMAX": "AddSoftmax",
    "SPLIT": "AddSplit",
    "SPLIT_V": "AddSplitV",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
}

#: By kind; names as in tensorflow/lite/micro/micro_mutable_op_resolver.h and kernels/*.h.
OPERATORS: Mapping[str, Registration] = MappingProxyType(
    {
        kind: Registration(kind, method, f"Register_{kind}_INT8" if kind in _INT8_ONLY else None)
        for kind, method in _METHODS.items()
    }
)


def registrations(graph: Graph) -> tuple[Registration, ...]:
    """What the graph needs registered: each kind once, in alphabetical order.

    Raises:
        UnsupportedError: TensorFlow Lite Micro has no such operator, or the network keeps state,
            which the generated sources do not set up.
    """
    kinds = sorted({operator.kind for operator in graph.operators})
    unknown = [f"{kind} operators" for kind in kinds if kind not in OPERATORS]
    if graph.variables or unknown:
        what = "state between inferences" if graph.variables else unknown[0]
        raise UnsupportedError(
            f"the sources for TensorFlow Lite Micro can't have {what}",
            hint="build with edgeprune's own C, the default",
        )
    return tuple(OPERATORS[kind] for kind in kinds)
