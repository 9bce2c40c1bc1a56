"""CONV_2D of one pixel windows with sparse weights: only what is not zero is stored and multiplied.

For cores whose long multiply adds two products at once; see ``runtime/sparse_multiply.h``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.dsp_packing import channel_words, output_shape
from edgeprune.codegen.kernels.sparse_rows import (
    VECTORS,
    SparseRows,
    block_rows,
    delta_rows,
    is_pointwise,
    lead,
    matrix_rows,
    palette_rows,
)
from edgeprune.codegen.kernels.weighted import channels
from edgeprune.codegen.lowering import (
    Constant,
    Estimate,
    Kernel,
    Lowered,
    Overlap,
    unsupported,
)
from edgeprune.cores import Core
from edgeprune.graph import Conv2D

__all__ = ["SPARSE_LONG_KERNELS"]

#: Bytes of a column of pixels in scratch.
_COLUMN_BYTES = 16
#: The most that an accumulator may reach for two to share 64 bits.
_REACH = 1 << 22

_SOURCES = (
    "sparse_pointwise_conv_2d.h",
    "sparse_multiply.h",
    "dsp_requantize.h",
    "dsp_instructions.h",
    "kernel_inline.h",
)


@dataclass(frozen=True)
class _Form:
    """A form of sparse rows.

    Attributes:
        number: in ``sparse_multiply.h``.
        encode: a matrix to its bytes; raises ValueError where it has none.
        entry: instructions of an entry, for all vectors of a block.
        row: instructions of a row beside its entries, requantization included, on a core with the
            DSP extension and with a fused ReLU.
    """

    number: int
    encode: Callable[[npt.NDArray[Any]], SparseRows]
    entry: float
    row: float


#: Costs are fitted to counts on a Cortex-M4 and a Cortex-M3 at 50 to 90 % zeros, 16 to 128 columns.
_FORMS = {
    "delta": _Form(0, delta_rows, entry=9.4, row=87.0),
    "sparse_palette4": _Form(1, palette_rows, entry=11.75, row=93.0),
    "block1x4": _Form(2, block_rows, entry=32.0, row=88.0),
}
#: Instructions that a row takes longer without the DSP extension, and without a fused ReLU.
_WITHOUT_DSP = 16.0
_SIGNED = 11.0


def _encoded(operator: Conv2D, form: _Form) -> tuple[SparseRows, npt.NDArray[np.int32]] | None:
    """The rows and the channels' words; None where they don't fit the kernel."""
    rows = matrix_rows(operator)
    words = channel_words(operator, rows)
    if words is None or np.any(channels(operator, rows, fold=True).reach >= _REACH):
        return None
    try:
        return form.encode(rows), words.astype(np.int32).reshape(-1)
    except ValueError:
        return None


def _fits(form: _Form, operator: Conv2D, core: Core) -> bool:
    return (
        core.name != "cortex-m0plus"
        and not core.mve
        and is_pointwise(operator)
        and not np.all(matrix_rows(operator))
        and _encoded(operator, form) is not None
    )


def _lower(name: str, operator: Conv2D, core: Core) -> Lowered:
    form = _FORMS[name]
    encoded = _encoded(operator, form)
    if encoded is None:
        raise unsupported(operator, f"its weights don't fit the encoding {name}")
    rows, words = encoded
    pixels = math.prod(operator.output.shape[:3])
    depth, outputs = operator.input.shape[3], operator.output.shape[3]
    return Lowered(
        function="edgeprune_sparse_pointwise_conv_2d_8",
        struct="edgeprune_sparse_pointwise_conv_2d",
        header="sparse_pointwise_conv_2d.h",
        sources=_SOURCES,
        parameters={
            **rows.fields(),
            "channels": Constant("channels", words),
            "pixels": pixels,
        },
        inputs=operator.inputs,
        scratch=_COLUMN_BYTES * (depth + 1) + (VECTORS * outputs if pixels % VECTORS else 0),
        shape=(
            ("form", form.number),
            ("depth", depth),
            ("outputs", outputs),
            *output_shape(operator),
        ),
        overlap=Overlap(lead=lead(pixels, depth, outputs)),
        encoding=name,
        estimate=Estimate(
            instructions=_instructions(
                operator, core, form, rows.entries, dict(output_shape(operator))
            ),
            flash_bytes=rows.nbytes + words.nbytes,
        ),
    )


def _instructions(
    operator: Conv2D, core: Core, form: _Form, count: int, numbers: dict[str, int]
) -> float:
    """Of one inference; ``count`` is that of the entries."""
    pixels = math.prod(operator.output.shape[:3])
    row = form.row + (0 if core.dsp else _WITHOUT_DSP)
    if numbers["low"] < numbers["zero_point"]:
        row += _SIGNED
    widening = 23 * operator.input.shape[3] + 100
    block = form.entry * count + row * operator.output.shape[3] + widening
    return -(-pixels // VECTORS) * block


def _kernel(name: str, form: _Form) -> Kernel[Conv2D]:
    return Kernel(Conv2D, partial(_lower, name), fits=partial(_fits, form))


SPARSE_LONG_KERNELS: tuple[Kernel[Any], ...] = tuple(
    _kernel(name, form) for name, form in _FORMS.items()
)
