"""How TensorFlow Lite Micro calls the operators that edgeprune reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

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


#: By kind; names as in tensorflow/lite/micro/micro_mutable_op_resolver.h and kernels/*.h.
OPERATORS: Mapping[str, Registration] = MappingProxyType(
    {
        each.kind: each
        for each in (
            Registration("ADD", "AddAdd", "Register_ADD_INT8"),
            Registration("AVERAGE_POOL_2D", "AddAveragePool2D", "Register_AVERAGE_POOL_2D_INT8"),
            Registration("CONV_2D", "AddConv2D", "Register_CONV_2D_INT8"),
            Registration(
                "DEPTHWISE_CONV_2D", "AddDepthwiseConv2D", "Register_DEPTHWISE_CONV_2D_INT8"
            ),
            Registration("EXPAND_DIMS", "AddExpandDims"),
            Registration("FULLY_CONNECTED", "AddFullyConnected", "Register_FULLY_CONNECTED_INT8"),
            Registration("MEAN", "AddMean"),
            Registration("RESHAPE", "AddReshape"),
            Registration("SOFTMAX", "AddSoftmax", "Register_SOFTMAX_INT8"),
            Registration("SQUEEZE", "AddSqueeze"),
        )
    }
)


def registrations(graph: Graph) -> tuple[Registration, ...]:
    """What the graph needs registered: each kind once, in alphabetical order."""
    kinds = sorted({operator.kind for operator in graph.operators})
    return tuple(OPERATORS[kind] for kind in kinds)
