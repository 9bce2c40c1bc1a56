"""CONV_2D of one pixel windows with sparse weights, for cores without a long multiply.

See ``runtime/sparse_short_multiply.h``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.dsp_packing import requantizing
from edgeprune.codegen.kernels.scalar_cost import scalar_core
from edgeprune.codegen.kernels.short_packing import short_channel_words
from edgeprune.codegen.kernels.sparse_rows import (
    VECTORS,
    SparseForm,
    SparseRows,
    block_rows,
    is_pointwise,
    lowered,
    matrix_rows,
    palette_rows,
    short_delta_rows,
)
from edgeprune.codegen.lowering import Kernel, Lowered, unsupported
from edgeprune.cores import Core
from edgeprune.graph import Conv2D

__all__ = ["SPARSE_SHORT_KERNELS"]

#: Bytes of a column of pixels in scratch.
_COLUMN_BYTES = 4 * VECTORS

_SOURCES = (
    "sparse_short_pointwise_conv_2d.h",
    "sparse_short_multiply.h",
    "short_requantize.h",
    "kernel_inline.h",
)


#: Costs are fitted to counts on a Cortex-M0+ at 50 to 90 % zeros, 16 to 128 columns; half of the
#: outputs meet the ReLU.
_FORMS = {
    "delta": SparseForm(0, short_delta_rows, entry=25.9, row=203.0),
    "sparse_palette4": SparseForm(1, palette_rows, entry=29.9, row=197.0),
    "block1x4": SparseForm(2, block_rows, entry=90.8, row=196.0),
}
#: Instructions that a row takes longer without a fused ReLU.
_SIGNED = 72.0
#: Instructions of a column to put in words.
_COLUMN = 33.0


def _encoded(operator: Conv2D, form: SparseForm) -> tuple[SparseRows, npt.NDArray[np.int32]] | None:
    """The rows and the channels' words; None where they don't fit the kernel."""
    rows = matrix_rows(operator)
    words = short_channel_words(operator, rows)
    if words is None:
        return None
    try:
        return form.encode(rows), words.reshape(-1)
    except ValueError:
        return None


def _fits(form: SparseForm, operator: Conv2D, core: Core) -> bool:
    scalar = scalar_core(core)
    return (
        scalar is not None
        and not scalar.long_multiply
        and is_pointwise(operator)
        and not np.all(matrix_rows(operator))
        and _encoded(operator, form) is not None
    )


def _lower(name: str, operator: Conv2D, _core: Core) -> Lowered:
    form = _FORMS[name]
    encoded = _encoded(operator, form)
    if encoded is None:
        raise unsupported(operator, f"its weights don't fit the encoding {name}")
    return lowered(
        operator,
        name,
        form,
        encoded,
        function="sparse_short_pointwise_conv_2d",
        sources=_SOURCES,
        column_bytes=_COLUMN_BYTES,
        instructions=_block(operator, form, encoded[0].entries),
    )


def _block(operator: Conv2D, form: SparseForm, count: int) -> float:
    """Instructions of a block of pixels; ``count`` is that of the entries."""
    row = form.row + requantizing(operator, sign=_SIGNED, clamp=0.0)
    return form.entry * count + row * operator.output.shape[3] + _COLUMN * operator.input.shape[3]


def _kernel(name: str, form: SparseForm) -> Kernel[Conv2D]:
    return Kernel(Conv2D, partial(_lower, name), fits=partial(_fits, form))


SPARSE_SHORT_KERNELS: tuple[Kernel[Any], ...] = tuple(
    _kernel(name, form) for name, form in _FORMS.items()
)
