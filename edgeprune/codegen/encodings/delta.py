"""Sparse rows as weights and the steps between them: 12 bits an entry.

The form DELTA of ``runtime/sparse_multiply.h``, which says what the bytes are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.stream import array, signed

__all__ = ["DELTA_REACH", "Entry", "decode_delta", "encode_delta", "entries"]

#: Columns that an entry may lie behind the one before it.
DELTA_REACH = 15

_GROUP = 4
#: Where the steps of a group's entries lie in its two bytes, as one little-endian number.
_STEP_SHIFTS = (4, 12, 0, 8)
#: What stands for an entry that the first group of a row lacks.
_LACKING = 32
#: Steps that end the last row.
_END = bytes(2)

#: A step from the column of the entry before, at first from column -1, and a weight.
Entry = tuple[int, int]


def entries(row: npt.NDArray[Any], reach: int) -> list[Entry]:
    """What a row is stored as: every nonzero weight, and zeros where the way is too long.

    Args:
        row: int8 ``[columns]``.
        reach: the longest step.

    Returns:
        At least one entry.
    """
    found: list[Entry] = []
    position = -1
    for column in np.flatnonzero(row):
        step = int(column) - position
        while step > reach:
            found.append((reach, 0))
            step -= reach
        found.append((step, int(row[column])))
        position = int(column)
    return found or [(1, 0)]


def encode_delta(rows: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """The bytes of a matrix.

    Args:
        rows: int8 ``[rows, columns]``.
    """
    return array([*(_encode(entries(row, DELTA_REACH)) for row in rows), _END])


def _encode(row: list[Entry]) -> bytes:
    first = len(row) % _GROUP
    encoded = _group(row[:first], bytes([_LACKING * (_GROUP - first)]))
    for start in range(first, len(row), _GROUP):
        encoded += _group(row[start : start + _GROUP])
    return encoded


def _group(group: list[Entry], between: bytes = b"") -> bytes:
    shifts = _STEP_SHIFTS[_GROUP - len(group) :]
    steps = sum(step << shift for (step, _), shift in zip(group, shifts, strict=True))
    weights = bytes(weight & 0xFF for _, weight in group)
    return steps.to_bytes(2, "little") + between + weights


def decode_delta(encoded: npt.NDArray[np.int8], shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """The matrix of :func:`encode_delta`.

    Raises:
        ValueError: the bytes are no matrix of that shape.
    """
    rows = np.zeros(shape, dtype=np.int8)
    content = encoded.tobytes()
    position = 0
    try:
        for row in rows:
            position = _decode(content, position, row)
    except IndexError as error:
        raise ValueError(f"no matrix of {shape[0]} rows and {shape[1]} columns") from error
    if content[position:] != _END:
        raise ValueError(f"bytes behind the last of {shape[0]} rows")
    return rows


def _decode(content: bytes, position: int, row: npt.NDArray[np.int8]) -> int:
    """Read the row that starts at a position; returns where it ends."""
    column = -1
    steps = content[position] | content[position + 1] << 8
    lacking = content[position + 2] // _LACKING
    position += 3
    while True:
        for shift in _STEP_SHIFTS[lacking:]:
            column += steps >> shift & 15
            row[column] = signed(content[position])
            position += 1
        steps = content[position] | content[position + 1] << 8
        if not steps & 0xF0:
            return position
        position += 2
        lacking = 0
