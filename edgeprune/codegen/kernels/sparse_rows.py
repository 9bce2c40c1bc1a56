"""Sparse matrices as bytes, and which layers are such matrices: what the sparse kernels share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.block import blocks, encode_block
from edgeprune.codegen.encodings.delta import DELTA_REACH, encode_delta, entries
from edgeprune.codegen.encodings.palette import PALETTE_REACH, encode_sparse_palette
from edgeprune.codegen.encodings.short_delta import SHORT_DELTA_REACH, encode_short_delta
from edgeprune.codegen.kernels.dsp_packing import output_shape
from edgeprune.codegen.kernels.weighted import weight_values
from edgeprune.codegen.lowering import Constant, Estimate, Field, Lowered, Overlap
from edgeprune.graph import Conv2D

__all__ = [
    "VECTORS",
    "SparseForm",
    "SparseRows",
    "block_rows",
    "delta_rows",
    "is_pointwise",
    "lead",
    "lowered",
    "matrix_rows",
    "palette_rows",
    "short_delta_rows",
]

#: Pixels that the sparse kernels take at a time.
VECTORS = 8


@dataclass(frozen=True, eq=False)
class SparseRows:
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


@dataclass(frozen=True)
class SparseForm:
    """A form of sparse rows.

    Attributes:
        number: in the header of the kernel that reads it.
        encode: a matrix to its bytes; raises ValueError where it has none.
        entry: instructions of an entry, for all vectors of a block.
        row: instructions of a row beside its entries, requantization included, with a fused ReLU.
    """

    number: int
    encode: Callable[[npt.NDArray[Any]], SparseRows]
    entry: float
    row: float


def _count(rows: npt.NDArray[Any], reach: int) -> int:
    return sum(len(entries(row, reach)) for row in rows)


def delta_rows(rows: npt.NDArray[Any]) -> SparseRows:
    """int8 ``[rows, columns]`` as single weights and steps."""
    return SparseRows(encode_delta(rows), _count(rows, DELTA_REACH))


def short_delta_rows(rows: npt.NDArray[Any]) -> SparseRows:
    """The same as :func:`delta_rows`, steps behind the weights; may raise ValueError."""
    return SparseRows(encode_short_delta(rows), _count(rows, SHORT_DELTA_REACH))


def palette_rows(rows: npt.NDArray[Any]) -> SparseRows:
    """int8 ``[rows, columns]`` of at most 16 values a row; may raise ValueError."""
    palette = encode_sparse_palette(rows)
    return SparseRows(palette.stream, _count(rows, PALETTE_REACH), palette.tables)


def block_rows(rows: npt.NDArray[Any]) -> SparseRows:
    """int8 ``[rows, columns]`` as fours of columns; may raise ValueError."""
    return SparseRows(encode_block(rows), sum(len(blocks(row)) for row in rows))


def is_pointwise(operator: Conv2D) -> bool:
    """Whether every output pixel is a matrix times an input pixel."""
    window = operator.window
    return (
        window.kernel == (1, 1)
        and window.stride == (1, 1)
        and window.padding.is_none
        and operator.groups == 1
    )


def matrix_rows(operator: Conv2D) -> npt.NDArray[Any]:
    """int8 weights ``[outputs, depth]``."""
    return weight_values(operator).reshape(operator.weights.shape[0], -1)


def lead(pixels: int, depth: int, outputs: int) -> int:
    """Bytes that the outputs must start before the inputs, blocks of pixels one after another."""
    full = (pixels - 1) // VECTORS
    if full == 0:
        return -depth * pixels
    return VECTORS * (outputs - depth) * (full if outputs > depth else 1)


def lowered(
    operator: Conv2D,
    name: str,
    form: SparseForm,
    encoded: tuple[SparseRows, npt.NDArray[np.int32]],
    *,
    function: str,
    sources: tuple[str, ...],
    column_bytes: int,
    instructions: float,
) -> Lowered:
    """The call of a sparse kernel.

    Args:
        operator: the layer.
        name: of the encoding.
        form: its form.
        encoded: the rows, and the words of the output channels.
        function: of the kernel, without its prefix; its header and its struct have the same name.
        sources: runtime files, the header first.
        column_bytes: of a column of pixels in scratch.
        instructions: of one block of pixels, by estimate.
    """
    rows, words = encoded
    pixels = math.prod(operator.output.shape[:3])
    depth, outputs = operator.input.shape[3], operator.output.shape[3]
    return Lowered(
        function=f"edgeprune_{function}_{VECTORS}",
        struct=f"edgeprune_{function}",
        header=f"{function}.h",
        sources=sources,
        parameters={
            **rows.fields(),
            "channels": Constant("channels", words),
            "pixels": pixels,
        },
        inputs=operator.inputs,
        scratch=column_bytes * (depth + 1) + (VECTORS * outputs if pixels % VECTORS else 0),
        shape=(
            ("form", form.number),
            ("depth", depth),
            ("outputs", outputs),
            *output_shape(operator),
        ),
        overlap=Overlap(lead=lead(pixels, depth, outputs)),
        encoding=name,
        estimate=Estimate(
            instructions=-(-pixels // VECTORS) * instructions,
            flash_bytes=rows.nbytes + words.nbytes,
        ),
    )
