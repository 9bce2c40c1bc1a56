"""A .tflite file as a typed, frozen graph; nothing else in edgeprune parses flatbuffers."""

from __future__ import annotations

from edgeprune.graph.model import Graph
from edgeprune.graph.operators import (
    Activation,
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Mean,
    Operator,
    Padding,
    Reshape,
    Softmax,
    Windowed,
)
from edgeprune.graph.reader import SUPPORTED_OPERATORS, read_graph
from edgeprune.graph.tensor import Quantization, Tensor

__all__ = [
    "SUPPORTED_OPERATORS",
    "Activation",
    "Add",
    "AveragePool2D",
    "Conv2D",
    "DepthwiseConv2D",
    "FullyConnected",
    "Graph",
    "Mean",
    "Operator",
    "Padding",
    "Quantization",
    "Reshape",
    "Softmax",
    "Tensor",
    "Windowed",
    "read_graph",
]
