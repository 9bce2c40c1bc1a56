"""What pruned networks cost on a core: counts of the dense one, scaled layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeprune.codegen.selection import Options, select
from edgeprune.cores import Core
from edgeprune.graph import Graph, Operator, Reshape

__all__ = ["Costs", "Resource", "estimated_costs"]

#: What is to be saved: instructions of an inference, or bytes of the layers' constants in flash.
Resource = Literal["instructions", "flash"]


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of the dense network, and what is left of them when a unit is pruned.

    Choices of several units are multiplied: exact for weights, where each operator belongs to one
    unit; for channels too, as far as a layer costs its inputs times its outputs.

    Attributes:
        dense: resource → float64 [operators].
        left: resource → float64 [units, choices, operators], factors of ``dense``; choice 0 is
            the whole unit and has ones.
    """

    dense: Mapping[Resource, NDArray[np.float64]]
    left: Mapping[Resource, NDArray[np.float64]]

    def saved(self, resource: Resource, choices: Sequence[int]) -> float:
        """What is saved when each unit has its choice; negative when it costs more."""
        left = self.left[resource]
        factors = np.prod([left[unit, choice] for unit, choice in enumerate(choices)], axis=0)
        return float(self.dense[resource] @ (1 - factors))

    def saved_alone(self, resource: Resource) -> NDArray[np.float64]:
        """What each choice of each unit saves by itself, float64 [units, choices]."""
        saved: NDArray[np.float64] = (1 - self.left[resource]) @ self.dense[resource]
        return saved


@dataclass(frozen=True)
class _Estimate:
    """Of one operator; instructions are None where no kernel gives a formula."""

    instructions: float | None
    flash: int
    elements: int


def estimated_costs(
    dense: Graph,
    pruned: Sequence[Sequence[Graph]],
    core: Core,
    options: Options,
    counted: Mapping[int, int],
) -> Costs:
    """What pruned networks would cost on a core.

    The kernels' formulas say by which factor a layer's instructions change (by as much as its
    output where there is no formula), a count of the dense network what that is a factor of. The
    bytes are those of the arrays that the generator would write.

    Args:
        dense: the network that nothing was taken out of.
        pruned: unit by unit, sparsity by sparsity; the same operators in the same order.
        core: the target's.
        options: those that the target is built with.
        counted: number of a tensor of ``dense`` → instructions of the layer that writes it; the
            formulas alone where it is missing.
    """
    before = _estimates(dense, core, options)
    writes = [operator.output.index for operator in _computing(dense)]
    instructions = [
        float(counted.get(tensor, each.instructions or 0.0))
        for tensor, each in zip(writes, before, strict=True)
    ]
    factors = np.array(
        [
            [
                [(1.0, 1.0)] * len(before),
                *(_factors(before, _estimates(graph, core, options)) for graph in row),
            ]
            for row in pruned
        ]
    )
    return Costs(
        dense={
            "instructions": np.array(instructions),
            "flash": np.array([float(each.flash) for each in before]),
        },
        left={"instructions": factors[..., 0], "flash": factors[..., 1]},
    )


def _computing(graph: Graph) -> list[Operator]:
    return [operator for operator in graph.operators if not isinstance(operator, Reshape)]


def _estimates(graph: Graph, core: Core, options: Options) -> list[_Estimate]:
    found = []
    for operator in _computing(graph):
        chosen = select(operator, core, options).chosen
        found.append(
            _Estimate(
                instructions=chosen.estimate.instructions if chosen.estimate else None,
                flash=sum(int(each.values.nbytes) for each in chosen.constants),
                elements=operator.output.elements,
            )
        )
    return found


def _factors(before: Sequence[_Estimate], after: Sequence[_Estimate]) -> list[tuple[float, float]]:
    """Operator by operator, of instructions and of bytes."""
    found = []
    for old, new in zip(before, after, strict=True):
        if old.instructions and new.instructions is not None:
            slower = new.instructions / old.instructions
        else:
            slower = new.elements / old.elements
        found.append((slower, new.flash / old.flash if old.flash else 1.0))
    return found
