"""CONV_2D of one pixel windows with sparse weights: only what is not zero is stored and multiplied.

For cores whose long multiply adds two products at once; see ``runtime/sparse_multiply.h``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.dsp_packing import channel_words, requantizing
from edgeprune.codegen.kernels.sparse_rows import (
    SparseForm,
    SparseRows,
    block_rows,
    delta_rows,
    is_pointwise,
    lowered,
    matrix_rows,
    palette_rows,
)
from edgeprune.codegen.kernels.weighted import channels
from edgeprune.codegen.lowering import Kernel, Lowered, unsupported
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


#: Costs are fitted to counts on a Cortex-M4 and a Cortex-M3 at 50 to 90 % zeros, 16 to 128 columns.
_FORMS = {
    "delta": SparseForm(0, delta_rows, entry=9.4, row=87.0),
    "sparse_palette4": SparseForm(1, palette_rows, entry=11.75, row=93.0),
    "block1x4": SparseForm(2, block_rows, entry=32.0, row=88.0),
}
#: Instructions that a row takes longer without the DSP extension, and without a fused ReLU.
_WITHOUT_DSP = 16.0
_SIGNED = 11.0


def _encoded(operator: Conv2D, form: SparseForm) -> tuple[SparseRows, npt.NDArray[np.int32]] | None:
    """The rows and the channels' words; None where they don't fit the kernel."""
    rows = matrix_rows(operator)
    words = channel_words(operator, rows)
    if words is None or np.any(channels(operator, rows, fold=True).reach >= _REACH):
        return None
    try:
        return form.encode(rows), words.astype(np.int32).reshape(-1)
    except ValueError:
        return None


def _fits(form: SparseForm, operator: Conv2D, core: Core) -> bool:
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
    return lowered(
        operator,
        name,
        form,
        encoded,
        function="sparse_pointwise_conv_2d",
        sources=_SOURCES,
        column_bytes=_COLUMN_BYTES,
        instructions=_block(operator, core, form, encoded[0].entries),
    )


def _block(operator: Conv2D, core: Core, form: SparseForm, count: int) -> float:
    """Instructions of a block of pixels; ``count`` is that of the entries."""
    row = form.row + (0 if core.dsp else _WITHOUT_DSP)
    row += requantizing(operator, sign=_SIGNED, clamp=0.0)
    widening = 23 * operator.input.shape[3] + 100
    return form.entry * count + row * operator.output.shape[3] + widening


def _kernel(name: str, form: SparseForm) -> Kernel[Conv2D]:
    return Kernel(Conv2D, partial(_lower, name), fits=partial(_fits, form))


SPARSE_LONG_KERNELS: tuple[Kernel[Any], ...] = tuple(
    _kernel(name, form) for name, form in _FORMS.items()
)
