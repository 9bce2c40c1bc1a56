"""Rows of at most 16 different weights: tables, and places in them of 4 bits.

Sparse rows are the form PALETTE of ``runtime/sparse_multiply.h``; pairs of dense rows are what
``runtime/palette_unpack.h`` reads, blocks of runs what ``runtime/expand.h`` does. Those say what
the bytes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.delta import entries
from edgeprune.codegen.encodings.stream import array

__all__ = [
    "PALETTE_REACH",
    "TABLE",
    "Palette",
    "decode_palette",
    "decode_palette_blocks",
    "decode_sparse_palette",
    "encode_palette",
    "encode_palette_blocks",
    "encode_sparse_palette",
]

#: Columns that an entry may lie behind the one before it.
PALETTE_REACH = 15

#: Weights of a table.
TABLE = 16
#: The most tables: their number is a byte.
_MOST_TABLES = 256
#: Entries of a group.
_GROUP = 4
#: What ends the last sparse row.
_END = bytes(1)


@dataclass(frozen=True, eq=False)
class Palette:
    """The bytes of a matrix.

    Attributes:
        stream: int8, table numbers and places.
        tables: int8 ``[tables, 16]``; what a table lacks is filled up with zeros.
    """

    stream: npt.NDArray[np.int8]
    tables: npt.NDArray[np.int8]

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return int(self.stream.nbytes + self.tables.nbytes)


def _tables(sets: list[frozenset[int]]) -> tuple[npt.NDArray[np.int8], list[int]]:
    """Tables that hold sets of weights, and each set's table.

    From the largest set down, each goes into the first table that holds it or has the room.

    Raises:
        ValueError: a set has more than :data:`TABLE` weights, or there are too many tables.
    """
    tables: list[set[int]] = []
    numbers: dict[frozenset[int], int] = {}
    for weights in sorted(set(sets), key=lambda each: (-len(each), sorted(each))):
        if len(weights) > TABLE:
            raise ValueError(f"{len(weights)} different weights in a row; {TABLE} is the most")
        fits = (n for n, table in enumerate(tables) if len(table | weights) <= TABLE)
        numbers[weights] = next(fits, len(tables))
        if numbers[weights] == len(tables):
            tables.append(set())
        tables[numbers[weights]] |= weights
    if len(tables) > _MOST_TABLES:
        raise ValueError(f"{len(tables)} tables; {_MOST_TABLES} is the most")
    filled = [sorted(table) + [0] * (TABLE - len(table)) for table in tables]
    return np.array(filled, dtype=np.int8), [numbers[weights] for weights in sets]


def _places(table: npt.NDArray[np.int8]) -> dict[int, int]:
    """Weight to its place."""
    return {int(weight): place for place, weight in enumerate(table)}


def encode_palette(rows: npt.NDArray[Any]) -> Palette:
    """A dense matrix, two rows a run of bytes.

    Args:
        rows: int8 ``[rows, columns]``, an even number of rows.

    Raises:
        ValueError: a row has more than 16 different weights, or the number of rows is odd.
    """
    if len(rows) % 2:
        raise ValueError(f"{len(rows)} rows are no pairs")
    tables, numbers = _tables([frozenset(map(int, row)) for row in rows])
    encoded = []
    for first in range(0, len(rows), 2):
        pair = numbers[first : first + 2]
        upper, lower = (
            [places[int(weight)] for weight in row]
            for places, row in zip(
                (_places(tables[number]) for number in pair), rows[first : first + 2], strict=True
            )
        )
        encoded.append(bytes(pair))
        encoded.append(bytes(a << 4 | b for a, b in zip(upper, lower, strict=True)))
    return Palette(array(encoded), tables)


def decode_palette(palette: Palette, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """The matrix of :func:`encode_palette`.

    Raises:
        ValueError: the bytes are no matrix of that shape.
    """
    try:
        runs = palette.stream.view(np.uint8).reshape(shape[0] // 2, 2 + shape[1])
        numbers, places = runs[:, :2], runs[:, 2:]
        upper = palette.tables[numbers[:, :1], places >> 4]
        lower = palette.tables[numbers[:, 1:], places & 15]
    except (IndexError, ValueError) as error:
        raise ValueError(f"no matrix of {shape[0]} rows and {shape[1]} columns") from error
    return np.stack([upper, lower], axis=1).reshape(shape)


def encode_palette_blocks(blocks: npt.NDArray[Any], run: int) -> Palette:
    """Dense rows in blocks, of which runs of each row take turns.

    Args:
        blocks: int8 ``[blocks, rows, depth]``.
        run: weights of a row at a time.

    Raises:
        ValueError: a row has more than 16 different weights.
    """
    rows = blocks.reshape(-1, blocks.shape[2])
    tables, numbers = _tables([frozenset(map(int, row)) for row in rows])
    placed = np.stack([_placed(tables[n], row) for n, row in zip(numbers, rows, strict=True)])
    encoded = []
    for block, of_block in zip(
        placed.reshape(blocks.shape), np.reshape(numbers, blocks.shape[:2]), strict=True
    ):
        encoded.append(bytes(map(int, of_block)))
        for start in range(0, blocks.shape[2], run):
            part = block[:, start : start + run]
            even = np.pad(part, [(0, 0), (0, part.shape[1] % 2)])
            encoded.append((even[:, 0::2] | even[:, 1::2] << 4).astype(np.uint8).tobytes())
    return Palette(array(encoded), tables)


def _placed(table: npt.NDArray[np.int8], row: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    places = _places(table)
    return np.array([places[int(weight)] for weight in row], dtype=np.int64)


def decode_palette_blocks(
    palette: Palette, shape: tuple[int, int, int], run: int
) -> npt.NDArray[np.int8]:
    """The blocks of :func:`encode_palette_blocks`.

    Raises:
        ValueError: the bytes are no blocks of that shape.
    """
    count, rows, depth = shape
    lengths = [min(run, depth - start) for start in range(0, depth, run)]
    cuts = np.cumsum([rows, *(rows * -(-length // 2) for length in lengths)])
    try:
        each = palette.stream.view(np.uint8).reshape(count, int(cuts[-1]))
        numbers, *parts = np.split(each, cuts[:-1], axis=1)
        placed = [
            np.stack([part & 15, part >> 4], axis=-1).reshape(count, rows, -1)[:, :, :length]
            for part, length in zip(parts, lengths, strict=True)
        ]
        weights = palette.tables[numbers[:, :, None], np.concatenate(placed, axis=2)]
    except (IndexError, ValueError) as error:
        raise ValueError(f"no blocks of {rows} rows and {depth} columns") from error
    return np.asarray(weights, dtype=np.int8)


def encode_sparse_palette(rows: npt.NDArray[Any]) -> Palette:
    """A sparse matrix, a byte an entry.

    Args:
        rows: int8 ``[rows, columns]``.

    Raises:
        ValueError: a row has more than 16 different weights, those of its entries counted.
    """
    by_row = [entries(row, PALETTE_REACH) for row in rows]
    tables, numbers = _tables([frozenset(weight for _, weight in row) for row in by_row])
    encoded = []
    for row, number in zip(by_row, numbers, strict=True):
        places = _places(tables[number])
        encoded.append(bytes([-len(row) % _GROUP, number]))
        encoded.append(bytes(step << 4 | places[weight] for step, weight in row))
    return Palette(array([*encoded, _END]), tables)


def decode_sparse_palette(palette: Palette, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """The matrix of :func:`encode_sparse_palette`.

    Raises:
        ValueError: the bytes are no matrix of that shape.
    """
    rows = np.zeros(shape, dtype=np.int8)
    content = palette.stream.tobytes()
    position = 0
    try:
        for row in rows:
            table = palette.tables[content[position + 1]]
            position += 2
            column = -1
            while content[position] > 15:
                column += content[position] >> 4
                row[column] = table[content[position] & 15]
                position += 1
    except IndexError as error:
        raise ValueError(f"no matrix of {shape[0]} rows and {shape[1]} columns") from error
    if content[position:] != _END:
        raise ValueError(f"bytes behind the last of {shape[0]} rows")
    return rows
