"""What plain kernels cost, from counts on a Cortex-M4 and a Cortex-M0+."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeprune.codegen.lowering import Estimate, Lowered
from edgeprune.cores import Core
from edgeprune.graph import Operator

__all__ = ["PlainCost"]


@dataclass(frozen=True)
class PlainCost:
    """Instructions by multiply-accumulate and by output value, on either kind of core.

    Attributes:
        per_mac: on cores with Thumb-2, and on those without.
        per_output: the same, of what comes once an output value.
    """

    per_mac: tuple[float, float]
    per_output: tuple[float, float]

    def on(self, operator: Operator, lowered: Lowered, core: Core) -> Lowered:
        """The layer with what it costs on a core."""
        kind = 1 if core.name == "cortex-m0plus" else 0
        estimate = Estimate(
            instructions=self.per_mac[kind] * operator.macs
            + self.per_output[kind] * operator.output.elements,
            flash_bytes=sum(int(each.values.nbytes) for each in lowered.constants),
        )
        return replace(lowered, estimate=estimate)
