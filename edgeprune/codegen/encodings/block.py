"""Sparse rows of blocks: four neighbouring columns and the step to them, 5 bytes.

The form BLOCK of ``runtime/sparse_multiply.h``, which says what the bytes are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.stream import array, decode_rows, row_length, signed

__all__ = ["BLOCK", "blocks", "decode_block", "encode_block"]

#: Columns of a block; a block starts at a multiple of them.
BLOCK = 4


def encode_block(rows: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """The bytes of a matrix.

    Args:
        rows: int8 ``[rows, columns]``, columns a multiple of :data:`BLOCK` and at most 1024.

    Raises:
        ValueError: another number of columns, or more blocks than a byte counts.
    """
    if rows.shape[1] % BLOCK or rows.shape[1] > 256 * BLOCK:
        raise ValueError(f"{rows.shape[1]} columns are not blocks of {BLOCK}")
    return array(map(_encode, rows))


def blocks(row: npt.NDArray[Any]) -> list[int]:
    """The blocks that a row is stored as: those that are not all zeros, and at least one.

    Args:
        row: int8 ``[columns]``.
    """
    return list(map(int, np.flatnonzero(row.reshape(-1, BLOCK).any(axis=1)))) or [0]


def _encode(row: npt.NDArray[Any]) -> bytes:
    kept = blocks(row)
    encoded = bytearray([row_length(len(kept))])
    position = 0
    for block in kept:
        encoded.append(block - position)
        encoded += bytes(int(weight) & 0xFF for weight in row[BLOCK * block :][:BLOCK])
        position = block + 1
    return bytes(encoded)


def decode_block(encoded: npt.NDArray[np.int8], shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """The matrix of :func:`encode_block`.

    Raises:
        ValueError: the bytes are no matrix of that shape.
    """
    return decode_rows(encoded.tobytes(), shape, _decode)


def _decode(stream: Iterator[int], row: npt.NDArray[np.int8]) -> None:
    column = 0
    for _ in range(next(stream)):
        column += BLOCK * next(stream)
        for _ in range(BLOCK):
            row[column] = signed(next(stream))
            column += 1
