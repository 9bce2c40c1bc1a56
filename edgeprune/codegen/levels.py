"""Networks that lie in each other, as the levels of one program: which layers share weights.

Slimmable networks (Yu et al. 2019, arXiv:1812.08928): each level has the first channels of every
layer of the widest, with scales and biases of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.weighted import weight_values
from edgeprune.codegen.layout import Step
from edgeprune.codegen.lowering import Constant, Lowered, Nest
from edgeprune.codegen.selection import Options, Selection, select, select_nested
from edgeprune.cores import Core
from edgeprune.errors import ModelError
from edgeprune.graph import (
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Graph,
    Operator,
    Reshape,
    Tensor,
)

__all__ = ["Symbol", "borrowed", "check_levels", "select_levels"]

#: The number of a layer and the name of one of its constants.
Symbol = tuple[int, str]

_HINT = "export the levels of one network, the widest first"


def check_levels(graphs: Sequence[Graph]) -> None:
    """Make sure that networks can be levels of one program.

    Raises:
        ModelError: none, other layers, another input or output, or variables.
    """
    if not graphs:
        raise ModelError("a program needs a network", hint=_HINT)
    widest = graphs[0]
    for level, graph in enumerate(graphs[1:], start=1):
        where = f"level {level}"
        kinds = [operator.kind for operator in graph.operators]
        if kinds != [operator.kind for operator in widest.operators]:
            raise ModelError("has other layers than the widest network", where=where, hint=_HINT)
        for name, end, other in (
            ("input", graph.input, widest.input),
            ("output", graph.output, widest.output),
        ):
            if _endpoint(end) != _endpoint(other):
                raise ModelError(
                    f"its {name} differs from the widest network's in shape, type or scale",
                    where=where,
                    hint=_HINT,
                )
    if len(graphs) > 1 and any(graph.variables for graph in graphs):
        raise ModelError(
            "a network that keeps variables between inferences can't have levels",
            where=f"variable {widest.variables[0].name}" if widest.variables else None,
            hint="build each level as an image of its own",
        )


def _endpoint(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.quantization


def select_levels(
    graphs: Sequence[Graph], core: Core, options: Options
) -> list[dict[Operator, Selection]]:
    """The kernels of every level, weights shared where the levels' own would take more bytes.

    Args:
        graphs: the widest first; :func:`check_levels` has passed them.
        core: that the kernels are chosen for.
        options: what the generator may do.

    Raises:
        UnsupportedError: a layer that no kernel computes exactly.
    """
    chosen: list[dict[Operator, Selection]] = [{} for _ in graphs]
    for members in zip(*(graph.operators for graph in graphs), strict=True):
        if isinstance(members[0], Reshape):
            continue
        nest = _nest(members)
        lenders: list[Constant] = []
        for level, operator in enumerate(members):
            selection = _select(operator, nest, core, options, lenders)
            chosen[level][operator] = selection
            lenders += selection.chosen.constants
    return chosen


def _select(
    operator: Operator,
    nest: Nest[Any] | None,
    core: Core,
    options: Options,
    lenders: Sequence[Constant],
) -> Selection:
    if nest is None:
        return select(operator, core, options)
    nested = select_nested(operator, nest, core, options)
    if operator is nest.widest:
        return nested
    alone = select(operator, core, options)
    cheaper = _own_bytes(alone.chosen, lenders) < _own_bytes(nested.chosen, lenders)
    return alone if cheaper else nested


def _own_bytes(lowered: Lowered, lenders: Sequence[Constant]) -> int:
    """Bytes of the constants that no other layer has."""
    return sum(
        int(each.values.nbytes)
        for each in lowered.constants
        if not any(_begins(lender.values, each.values) for lender in lenders)
    )


def _nest(members: Sequence[Operator]) -> Nest[Any] | None:
    """The layer of all levels, if its weights lie in each other and there are several."""
    if len(members) == 1:
        return None
    blocks = [_block(operator) for operator in members]
    widest = blocks[0]
    if widest is None:
        return None
    for block in blocks[1:]:
        if block is None or any(a > b for a, b in zip(block.shape, widest.shape, strict=True)):
            return None
        if not np.array_equal(block, widest[tuple(slice(0, size) for size in block.shape)]):
            return None
    return Nest(tuple(members))


def _block(operator: Operator) -> npt.NDArray[Any] | None:
    """The weights as ``[outputs, depth]``, a depthwise convolution's as ``[taps, channels]``."""
    if isinstance(operator, Conv2D | FullyConnected):
        return weight_values(operator).reshape(operator.weights.shape[0], -1)
    if isinstance(operator, DepthwiseConv2D):
        return weight_values(operator).reshape(-1, operator.weights.shape[-1])
    return None


def borrowed(levels: Iterable[Mapping[int, Step]]) -> dict[Symbol, Symbol]:
    """Which constants are how those of a wider level begin, so that they are in flash once.

    Args:
        levels: number of each layer to its step, the widest level first.

    Returns:
        Each such constant, and the one of a wider level that holds it.
    """
    lenders: list[tuple[Symbol, npt.NDArray[Any]]] = []
    loans: dict[Symbol, Symbol] = {}
    for steps in levels:
        own: list[tuple[Symbol, npt.NDArray[Any]]] = []
        for index, step in steps.items():
            for constant in step.constants:
                symbol = (index, constant.name)
                lender = next(
                    (key for key, values in lenders if _begins(values, constant.values)), None
                )
                if lender is None:
                    own.append((symbol, constant.values))
                else:
                    loans[symbol] = lender
        lenders += own
    return loans


def _begins(values: npt.NDArray[Any], start: npt.NDArray[Any]) -> bool:
    return values.dtype == start.dtype and np.array_equal(
        values.reshape(-1)[: start.size], start.reshape(-1)
    )
