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

from edgeprune.codegen.encodings.block import blocks, encode_block
from edgeprune.codegen.encodings.delta import DELTA_REACH, encode_delta, entries
from edgeprune.codegen.encodings.palette import PALETTE_REACH, encode_sparse_palette
from edgeprune.codegen.kernels.dsp_packing import channel_words, output_shape
from edgeprune.codegen.kernels.weighted import channels, weight_values
from edgeprune.codegen.lowering import (
    Constant,
    Estimate,
    Field,
    Kernel,
    Lowered,
    Overlap,
    unsupported,
)
from edgeprune.cores import Core
from edgeprune.graph import Conv2D

__all__ = ["SPARSE_KERNELS"]

#: Pixels at a time, and bytes of a column of them in scratch.
_VECTORS = 8
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


@dataclass(frozen=True, eq=False)
class _Rows:
    """The bytes of a sparse matrix, and how many entries they hold."""

    stream: npt.NDArray[np.int8]
    entries: int
    tables: npt.NDArray[np.int8] | None = None

    def fields(self) -> dict[str, Field]:
        """What the kernel is told about them."""
        tables: Field = 0 if self.tables is None else Constant("tables", self.tables)
        return {"rows": Constant("rows", self.stream), "tables": tables}

    @property
    def nbytes(self) -> int:
        return int(self.stream.nbytes + (0 if self.tables is None else self.tables.nbytes))


def _delta(rows: npt.NDArray[Any]) -> _Rows:
    return _Rows(encode_delta(rows), sum(len(entries(row, DELTA_REACH)) for row in rows))


def _palette(rows: npt.NDArray[Any]) -> _Rows:
    palette = encode_sparse_palette(rows)
    return _Rows(
        palette.stream, sum(len(entries(row, PALETTE_REACH)) for row in rows), palette.tables
    )


def _block(rows: npt.NDArray[Any]) -> _Rows:
    return _Rows(encode_block(rows), sum(len(blocks(row)) for row in rows))


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
    encode: Callable[[npt.NDArray[Any]], _Rows]
    entry: float
    row: float


#: Costs are fitted to counts on a Cortex-M4 and a Cortex-M3 at 50 to 90 % zeros, 16 to 128 columns.
_FORMS = {
    "delta": _Form(0, _delta, entry=9.4, row=87.0),
    "sparse_palette4": _Form(1, _palette, entry=11.75, row=93.0),
    "block1x4": _Form(2, _block, entry=32.0, row=88.0),
}
#: Instructions that a row takes longer without the DSP extension, and without a fused ReLU.
_WITHOUT_DSP = 16.0
_SIGNED = 11.0


def _is_pointwise(operator: Conv2D) -> bool:
    window = operator.window
    return (
        window.kernel == (1, 1)
        and window.stride == (1, 1)
        and window.padding.is_none
        and operator.groups == 1
    )


def _rows(operator: Conv2D) -> npt.NDArray[Any]:
    return weight_values(operator).reshape(operator.weights.shape[0], -1)


def _encoded(operator: Conv2D, form: _Form) -> tuple[_Rows, npt.NDArray[np.int32]] | None:
    """The rows and the channels' words; None where they don't fit the kernel."""
    rows = _rows(operator)
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
        and _is_pointwise(operator)
        and not np.all(_rows(operator))
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
        scratch=_COLUMN_BYTES * (depth + 1) + (_VECTORS * outputs if pixels % _VECTORS else 0),
        shape=(
            ("form", form.number),
            ("depth", depth),
            ("outputs", outputs),
            *output_shape(operator),
        ),
        overlap=Overlap(lead=_lead(pixels, depth, outputs)),
        encoding=name,
        estimate=Estimate(
            instructions=_instructions(
                operator, core, form, rows.entries, dict(output_shape(operator))
            ),
            flash_bytes=rows.nbytes + words.nbytes,
        ),
    )


def _lead(pixels: int, depth: int, outputs: int) -> int:
    """Bytes that the outputs must start before the inputs, block by block."""
    full = (pixels - 1) // _VECTORS
    if full == 0:
        return -depth * pixels
    return _VECTORS * (outputs - depth) * (full if outputs > depth else 1)


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
    return -(-pixels // _VECTORS) * block


def _kernel(name: str, form: _Form) -> Kernel[Conv2D]:
    return Kernel(Conv2D, partial(_lower, name), fits=partial(_fits, form))


SPARSE_KERNELS: tuple[Kernel[Any], ...] = tuple(
    _kernel(name, form) for name, form in _FORMS.items()
)
