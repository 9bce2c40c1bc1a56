"""FULLY_CONNECTED in plain C."""

from __future__ import annotations

from edgeprune.codegen.kernels.cost import PlainCost
from edgeprune.codegen.kernels.weighted import MATRIX_SOURCES, matrix
from edgeprune.codegen.lowering import Kernel, Lowered, Nest
from edgeprune.cores import Core
from edgeprune.graph import FullyConnected

__all__ = ["FULLY_CONNECTED"]

_COST = PlainCost(per_mac=(3.5, 7.5), per_output=(45.0, 97.0))


def _lower(operator: FullyConnected, core: Core, widest: FullyConnected | None = None) -> Lowered:
    lowered = Lowered(
        function="edgeprune_kernel_fully_connected",
        struct="edgeprune_fully_connected",
        header="kernel_fully_connected.h",
        sources=("kernel_fully_connected.c", "kernel_fully_connected.h", *MATRIX_SOURCES),
        parameters={"matrix": matrix(operator, widest=widest), "rows": operator.rows},
        inputs=operator.inputs,
    )
    return _COST.on(operator, lowered, core)


def _nested(operator: FullyConnected, nest: Nest[FullyConnected], core: Core) -> Lowered:
    return _lower(operator, core, nest.widest)


FULLY_CONNECTED = Kernel(FullyConnected, _lower, nested=_nested)
