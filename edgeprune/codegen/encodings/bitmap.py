"""Weights as bits that say which of them are not zero, and those that are not.

Pairs of rows are what ``runtime/palette_unpack.h`` reads, plain series of weights what
``runtime/expand.h`` does. Those say what the bytes are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.stream import array

__all__ = ["decode_bitmap", "decode_bitmap_series", "encode_bitmap", "encode_bitmap_series"]

#: Weights that share a byte of bits.
_GROUP = 8
#: Columns of a pair of rows that share a byte of bits.
_COLUMNS = 4


def _groups(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``[pairs of rows * groups of columns, 8]``: by column, the first row's weight first."""
    count, columns = rows.shape
    if count % 2 or columns % _COLUMNS:
        raise ValueError(f"{count} rows of {columns} columns are no pairs of groups")
    return rows.reshape(count // 2, 2, columns).transpose(0, 2, 1).reshape(-1, _GROUP)


def encode_bitmap(rows: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """The bytes of a matrix.

    Args:
        rows: int8 ``[rows, columns]``, an even number of rows, columns a multiple of 4.

    Raises:
        ValueError: another shape.
    """
    return _encode(_groups(rows))


def encode_bitmap_series(weights: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """The bytes of weights one after another.

    Args:
        weights: int8 ``[weights]``.
    """
    groups = np.zeros((-(-weights.size // _GROUP), _GROUP), dtype=np.int8)
    groups.reshape(-1)[: weights.size] = weights
    return _encode(groups)


def _encode(groups: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    masks = np.packbits(groups != 0, axis=1, bitorder="little")
    return array(
        bytes(mask) + group[group != 0].astype(np.int8).tobytes()
        for mask, group in zip(masks, groups, strict=True)
    )


def decode_bitmap(encoded: npt.NDArray[np.int8], shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """The matrix of :func:`encode_bitmap`.

    Raises:
        ValueError: the bytes are no matrix of that shape.
    """
    count, columns = shape
    groups = _decode(encoded, _groups(np.zeros(shape, dtype=np.int8)).copy(), shape)
    return groups.reshape(count // 2, columns, 2).transpose(0, 2, 1).reshape(shape)


def decode_bitmap_series(encoded: npt.NDArray[np.int8], count: int) -> npt.NDArray[np.int8]:
    """The ``count`` weights of :func:`encode_bitmap_series`.

    Raises:
        ValueError: the bytes are not so many weights.
    """
    groups = np.zeros((-(-count // _GROUP), _GROUP), dtype=np.int8)
    return _decode(encoded, groups, (1, count)).reshape(-1)[:count]


def _decode(
    encoded: npt.NDArray[np.int8], groups: npt.NDArray[Any], shape: tuple[int, int]
) -> npt.NDArray[Any]:
    """Fill groups of zeros; ``shape`` is for messages."""
    content = encoded.tobytes()
    position = 0
    for group in groups:
        mask = np.unpackbits(
            np.frombuffer(content[position : position + 1], dtype=np.uint8), bitorder="little"
        ).astype(bool)
        weights = np.frombuffer(content[position + 1 :], dtype=np.int8)[: mask.sum()]
        if len(mask) == 0 or len(weights) < mask.sum():
            raise ValueError(f"no matrix of {shape[0]} rows and {shape[1]} columns")
        group[mask] = weights
        position += 1 + len(weights)
    if position != len(content):
        raise ValueError(f"bytes behind the last of {shape[0]} rows")
    return groups
