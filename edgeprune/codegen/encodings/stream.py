"""Streams of bytes: what all forms of compressed weights are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LONGEST_ROW", "DecodeRow", "array", "decode_rows", "row_length", "signed"]

#: The most entries of a row: their number is a byte.
LONGEST_ROW = 255

#: Reads one row's bytes, and writes its weights into zeros.
DecodeRow = Callable[[Iterator[int], npt.NDArray[np.int8]], None]


def array(encoded: Iterable[bytes]) -> npt.NDArray[np.int8]:
    """Bytes as the array of a C constant."""
    return np.frombuffer(b"".join(encoded), dtype=np.int8)


def row_length(entries: int) -> int:
    """The first byte of a row.

    Raises:
        ValueError: it has more than :data:`LONGEST_ROW` entries.
    """
    if entries > LONGEST_ROW:
        raise ValueError(f"{entries} entries in a row; {LONGEST_ROW} is the most")
    return entries


def signed(byte: int) -> int:
    """A byte as an int8."""
    return byte - 256 if byte > 127 else byte


def decode_rows(content: bytes, shape: tuple[int, int], decode: DecodeRow) -> npt.NDArray[Any]:
    """A matrix from its bytes.

    Args:
        content: the bytes of all rows.
        shape: rows and columns.
        decode: of one row.

    Returns:
        int8 of that shape.

    Raises:
        ValueError: the bytes are no matrix of that shape.
    """
    rows = np.zeros(shape, dtype=np.int8)
    stream = iter(content)
    try:
        for row in rows:
            decode(stream, row)
    except (StopIteration, IndexError) as error:
        raise ValueError(f"no matrix of {shape[0]} rows and {shape[1]} columns") from error
    if next(stream, None) is not None:
        raise ValueError(f"bytes behind the last of {shape[0]} rows")
    return rows
