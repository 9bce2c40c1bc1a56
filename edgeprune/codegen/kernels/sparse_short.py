"""CONV_2D of one pixel windows with sparse weights, for cores without a long multiply.

See ``runtime/sparse_short_multiply.h``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.dsp_packing import output_shape
from edgeprune.codegen.kernels.scalar_cost import scalar_core
from edgeprune.codegen.kernels.short_packing import short_channel_words
from edgeprune.codegen.kernels.sparse_rows import (
    VECTORS,
    SparseRows,
    block_rows,
    is_pointwise,
    lead,
    matrix_rows,
    palette_rows,
    short_delta_rows,
)
from edgeprune.codegen.lowering import Constant, Estimate, Kernel, Lowered, Overlap, unsupported
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


@dataclass(frozen=True)
class _Form:
    """A form of sparse rows.

    Attributes:
        number: in ``sparse_short_multiply.h``.
        encode: a matrix to its bytes; raises ValueError where it has none.
        entry: instructions of an entry, for all vectors of a block.
        row: instructions of a row beside its entries, requantization included, with a fused ReLU
            that half of the outputs meet.
    """

    number: int
    encode: Callable[[npt.NDArray[Any]], SparseRows]
    entry: float
    row: float


#: Costs are fitted to counts on a Cortex-M0+ at 50 to 90 % zeros, 16 to 128 columns.
_FORMS = {
    "delta": _Form(0, short_delta_rows, entry=25.9, row=203.0),
    "sparse_palette4": _Form(1, palette_rows, entry=29.9, row=197.0),
    "block1x4": _Form(2, block_rows, entry=90.8, row=196.0),
}
#: Instructions that a row takes longer without a fused ReLU.
_SIGNED = 72.0
#: Instructions of a column to put in words.
_COLUMN = 33.0


def _encoded(operator: Conv2D, form: _Form) -> tuple[SparseRows, npt.NDArray[np.int32]] | None:
    """The rows and the channels' words; None where they don't fit the kernel."""
    rows = matrix_rows(operator)
    words = short_channel_words(operator, rows)
    if words is None:
        return None
    try:
        return form.encode(rows), words.reshape(-1)
    except ValueError:
        return None


def _fits(form: _Form, operator: Conv2D, core: Core) -> bool:
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
    rows, words = encoded
    pixels = math.prod(operator.output.shape[:3])
    depth, outputs = operator.input.shape[3], operator.output.shape[3]
    return Lowered(
        function="edgeprune_sparse_short_pointwise_conv_2d_8",
        struct="edgeprune_sparse_short_pointwise_conv_2d",
        header="sparse_short_pointwise_conv_2d.h",
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
            instructions=_instructions(operator, form, rows.entries),
            flash_bytes=rows.nbytes + words.nbytes,
        ),
    )


def _instructions(operator: Conv2D, form: _Form, count: int) -> float:
    """Of one inference; ``count`` is that of the entries."""
    numbers = dict(output_shape(operator))
    row = form.row + (_SIGNED if numbers["low"] < numbers["zero_point"] else 0)
    pixels = math.prod(operator.output.shape[:3])
    block = form.entry * count + row * operator.output.shape[3]
    block += _COLUMN * operator.input.shape[3]
    return -(-pixels // VECTORS) * block


def _kernel(name: str, form: _Form) -> Kernel[Conv2D]:
    return Kernel(Conv2D, partial(_lower, name), fits=partial(_fits, form))


SPARSE_SHORT_KERNELS: tuple[Kernel[Any], ...] = tuple(
    _kernel(name, form) for name, form in _FORMS.items()
)
