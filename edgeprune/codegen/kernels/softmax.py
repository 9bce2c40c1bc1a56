"""SOFTMAX in plain C."""

from __future__ import annotations

import numpy as np

from edgeprune.codegen.kernels.transcendental import Exponentials, softmax_exponentials
from edgeprune.codegen.lowering import Constant, Field, Kernel, Lowered, Overlap, unsupported
from edgeprune.cores import Core
from edgeprune.graph import Softmax

__all__ = ["SOFTMAX"]

#: The sum of more exponentials leaves the format that TensorFlow Lite keeps it in.
_LONGEST = 511
#: What computing exp() adds to the code, on a Cortex-M4; a table takes 4 bytes a value.
_SERIES_BYTES = 320
#: The most values that are worth computing: each takes 100 instructions more than a look-up on a
#: Cortex-M4, 800 on a Cortex-M0+.
_MOST_COMPUTED = 128
_SOURCES = (
    "kernel_softmax.c",
    "kernel_softmax.h",
    "kernel_inline.h",
    "kernel_requantize.h",
)


def _lower(operator: Softmax, _core: Core) -> Lowered:
    depth = operator.input.shape[-1]
    if depth > _LONGEST:
        raise unsupported(operator, f"it has {depth} values; {_LONGEST} is the most")
    try:
        exponentials = softmax_exponentials(operator.input.scale, operator.beta)
    except ValueError as error:
        raise unsupported(operator, str(error)) from error
    kind, parameters = _exponentials(exponentials, operator.input.elements)
    return Lowered(
        function=f"edgeprune_kernel_softmax_{kind}",
        struct=f"edgeprune_softmax_{kind}",
        header="kernel_softmax.h",
        sources=_SOURCES,
        parameters={
            "softmax": {
                "rows": operator.input.elements // depth,
                "depth": depth,
                "reach": exponentials.reach,
            },
            **parameters,
        },
        inputs=operator.inputs,
        overlap=Overlap(),
    )


def _exponentials(exponentials: Exponentials, values: int) -> tuple[str, dict[str, Field]]:
    """A table where it is smaller than the code that computes its values, or much used."""
    if 4 * exponentials.reach > _SERIES_BYTES and values <= _MOST_COMPUTED:
        by = exponentials.by
        return "series", {"multiplier": by.multiplier, "left": by.shift}
    table = np.array(exponentials.table(), dtype=np.int32)
    return "table", {"exponentials": Constant("exponentials", table)}


SOFTMAX = Kernel(Softmax, _lower)
