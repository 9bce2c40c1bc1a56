"""Networks to compare: as they are, made sparse or of few values, and built with less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen import Options
from edgeprune.graph import Conv2D, Graph, Operator, Tensor

__all__ = ["VARIANTS", "BenchVariant", "is_pointwise", "palette16", "sparse"]

_Weights = npt.NDArray[Any]
_Transform = Callable[[Conv2D, _Weights], _Weights]


_DEFAULT = Options()


@dataclass(frozen=True)
class BenchVariant:
    """What is built.

    Attributes:
        name: in records and tables.
        meaning: one line for people.
        options: of the generator.
        transform: what is done to the weights of pointwise layers first.
        cores: the cores that it is built for; empty for all.
    """

    name: str
    meaning: str
    options: Options = _DEFAULT
    transform: _Transform | None = None
    cores: tuple[str, ...] = ()

    def graph(self, graph: Graph) -> Graph:
        """The network to build."""
        return graph if self.transform is None else _with_weights(graph, self.transform)


def is_pointwise(operator: Operator) -> bool:
    """Whether a layer is a convolution of 1 x 1."""
    return isinstance(operator, Conv2D) and operator.window.kernel == (1, 1)


def sparse(share: float) -> _Transform:
    """Zero that share of a layer's weights: those of the smallest real magnitude."""

    def transform(operator: Conv2D, weights: _Weights) -> _Weights:
        quantization = operator.weights.quantization
        scales = np.array(quantization.scales if quantization else [1.0])
        magnitude = np.abs(weights.astype(np.float64)) * scales.reshape(-1, 1, 1, 1)
        order = np.argsort(magnitude.reshape(-1), kind="stable")
        kept = weights.copy().reshape(-1)
        kept[order[: round(share * kept.size)]] = 0
        return kept.reshape(weights.shape)

    return transform


def palette16(operator: Conv2D, weights: _Weights) -> _Weights:
    """Round every channel to 15 evenly spaced values, as quantization to 4 bits does."""
    step = 127 / 7
    rounded = np.clip(np.round(weights / step), -7, 7)
    return np.round(rounded * step).astype(np.int8)


def _with_weights(graph: Graph, transform: _Transform) -> Graph:
    """The graph with other weights in its pointwise layers; nothing else changes."""
    changed: dict[int, Tensor] = {}
    operators: list[Operator] = []
    for operator in graph.operators:
        if isinstance(operator, Conv2D) and is_pointwise(operator):
            data = transform(operator, np.asarray(operator.weights.data))
            weights = replace(operator.weights, data=data)
            changed[weights.index] = weights
            operators.append(replace(operator, weights=weights))
        else:
            operators.append(operator)
    tensors = tuple(changed.get(tensor.index, tensor) for tensor in graph.tensors)
    return replace(graph, tensors=tensors, operators=tuple(operators))


_DENSE_ONLY = Options(encodings=())
_SPARSE80 = sparse(0.8)


def _both(first: _Transform, then: _Transform) -> _Transform:
    return lambda operator, weights: then(operator, first(operator, weights))


#: In the order of the table.
VARIANTS: tuple[BenchVariant, ...] = (
    BenchVariant("dense", "the model as it is, the default of every build"),
    BenchVariant(
        "dense, plain kernels", "without kernels made for the core", Options(specialized=False)
    ),
    BenchVariant("dense, not in place", "every tensor has its own memory", Options(in_place=False)),
    BenchVariant("sparse50", "half of the pointwise weights zero", transform=sparse(0.5)),
    BenchVariant("sparse80", "80 % of the pointwise weights zero", transform=_SPARSE80),
    BenchVariant(
        "sparse80, stored dense", "the same network, zeros stored", _DENSE_ONLY, _SPARSE80
    ),
    BenchVariant("sparse90", "90 % of the pointwise weights zero", transform=sparse(0.9)),
    BenchVariant("palette16", "at most 16 values a channel, pointwise", transform=palette16),
    BenchVariant(
        "palette16 + sparse80",
        "at most 16 values a channel and 80 % zeros",
        transform=_both(palette16, _SPARSE80),
    ),
    BenchVariant("dense, --optimize speed", "fewest instructions", Options(objective="speed")),
    BenchVariant("dense, --optimize size", "fewest bytes of flash", Options(objective="size")),
)
