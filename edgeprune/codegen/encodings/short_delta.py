"""Sparse rows as weights and the steps between them, steps behind the weights: 12 bits an entry.

The form DELTA of ``runtime/sparse_short_multiply.h``, which says what the bytes are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.delta import Entry, entries
from edgeprune.codegen.encodings.stream import array, decode_rows, signed

__all__ = ["SHORT_DELTA_REACH", "decode_short_delta", "encode_short_delta"]

#: Columns that an entry may lie behind the one before it.
SHORT_DELTA_REACH = 16

_GROUP = 4
#: The most groups of a row: their number has 6 bits.
_MOST_GROUPS = 63
#: What stands for an entry that the first group of a row lacks.
_LACKING = 64


def encode_short_delta(rows: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """The bytes of a matrix.

    Args:
        rows: int8 ``[rows, columns]``.

    Raises:
        ValueError: a row has more than 252 entries.
    """
    return array(_encode(entries(row, SHORT_DELTA_REACH)) for row in rows)


def _encode(row: list[Entry]) -> bytes:
    groups = -(-len(row) // _GROUP)
    if groups > _MOST_GROUPS:
        raise ValueError(f"{len(row)} entries in a row; {_GROUP * _MOST_GROUPS} is the most")
    lacking = _GROUP * groups - len(row)
    encoded = bytearray([_LACKING * lacking + groups])
    for end in range(_GROUP - lacking, len(row) + 1, _GROUP):
        group = row[max(0, end - _GROUP) : end]
        steps = [0] * (_GROUP - len(group)) + [step - 1 for step, _ in group]
        encoded += bytes(weight & 0xFF for _, weight in group)
        encoded += bytes([steps[0] << 4 | steps[1], steps[2] << 4 | steps[3]])
    return bytes(encoded)


def decode_short_delta(
    encoded: npt.NDArray[np.int8], shape: tuple[int, int]
) -> npt.NDArray[np.int8]:
    """The matrix of :func:`encode_short_delta`.

    Raises:
        ValueError: the bytes are no matrix of that shape.
    """
    return decode_rows(encoded.tobytes(), shape, _decode)


def _decode(stream: Iterator[int], row: npt.NDArray[np.int8]) -> None:
    lacking, groups = divmod(next(stream), _LACKING)
    column = -1
    for _ in range(groups):
        weights = [signed(next(stream)) for _ in range(_GROUP - lacking)]
        steps = [nibble for _ in range(2) for nibble in divmod(next(stream), 16)]
        for step, weight in zip(steps[lacking:], weights, strict=True):
            column += step + 1
            row[column] = weight
        lacking = 0
