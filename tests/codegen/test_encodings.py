"""Compressed weights: bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprune.codegen.encodings.bitmap import (
    decode_bitmap,
    decode_bitmap_series,
    encode_bitmap,
    encode_bitmap_series,
)
from edgeprune.codegen.encodings.block import BLOCK, decode_block, encode_block
from edgeprune.codegen.encodings.delta import DELTA_REACH, decode_delta, encode_delta, entries
from edgeprune.codegen.encodings.palette import (
    Palette,
    decode_palette,
    decode_palette_blocks,
    decode_sparse_palette,
    encode_palette,
    encode_palette_blocks,
    encode_sparse_palette,
)
from edgeprune.codegen.encodings.short_delta import (
    SHORT_DELTA_REACH,
    decode_short_delta,
    encode_short_delta,
)

_SETTINGS = settings(deadline=None, derandomize=True, max_examples=80)


@st.composite
def _rows(
    draw: st.DrawFn, *, pairs: bool = False, multiple: int = 1, values: int = 256
) -> np.ndarray:
    """int8 rows: dense, sparse, with whole rows of zeros, few or many columns."""
    count = draw(st.integers(1, 6)) * (2 if pairs else 1)
    columns = draw(st.integers(1, 90)) * multiple
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    if values == 256:
        rows = rng.integers(-128, 128, (count, columns))
    else:
        rows = np.stack(
            [rng.choice(rng.integers(-128, 128, values), columns) for _ in range(count)]
        )
    density = draw(st.sampled_from([0.0, 0.02, 0.1, 0.5, 0.9, 1.0]))
    rows = np.where(rng.random(rows.shape) < density, rows, 0)
    rows[rng.random(count) < 0.2] = 0
    return rows.astype(np.int8)


@_SETTINGS
@given(rows=_rows())
def test_delta(rows: np.ndarray) -> None:
    encoded = encode_delta(rows)
    np.testing.assert_array_equal(decode_delta(encoded, rows.shape), rows)
    groups = sum(-(-len(entries(row, DELTA_REACH)) // 4) for row in rows)
    weights = sum(len(entries(row, DELTA_REACH)) for row in rows)
    full = sum(len(entries(row, DELTA_REACH)) % 4 == 0 for row in rows)
    assert len(encoded) == weights + 2 * groups + 2 * full + len(rows) + 2


@_SETTINGS
@given(rows=_rows())
def test_short_delta(rows: np.ndarray) -> None:
    encoded = encode_short_delta(rows)
    np.testing.assert_array_equal(decode_short_delta(encoded, rows.shape), rows)
    weights = [len(entries(row, SHORT_DELTA_REACH)) for row in rows]
    assert len(encoded) == sum(1 + each + 2 * -(-each // 4) for each in weights)


@_SETTINGS
@given(rows=_rows(multiple=BLOCK))
def test_block(rows: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_block(encode_block(rows), rows.shape), rows)


@_SETTINGS
@given(rows=_rows(pairs=True, multiple=4))
def test_bitmap(rows: np.ndarray) -> None:
    encoded = encode_bitmap(rows)
    np.testing.assert_array_equal(decode_bitmap(encoded, rows.shape), rows)
    assert len(encoded) == rows.size // 8 + np.count_nonzero(rows)


@_SETTINGS
@given(rows=_rows())
def test_bitmap_series(rows: np.ndarray) -> None:
    weights = rows.reshape(-1)
    encoded = encode_bitmap_series(weights)
    np.testing.assert_array_equal(decode_bitmap_series(encoded, weights.size), weights)
    assert len(encoded) == -(-weights.size // 8) + np.count_nonzero(weights)


@_SETTINGS
@given(rows=_rows(pairs=True, values=15), run=st.sampled_from([1, 4, 16, 1000]))
def test_palette_blocks(rows: np.ndarray, run: int) -> None:
    for blocks in (rows.reshape(-1, 1, rows.shape[1]), rows.reshape(-1, 2, rows.shape[1])):
        palette = encode_palette_blocks(blocks, run)
        np.testing.assert_array_equal(decode_palette_blocks(palette, blocks.shape, run), blocks)
        if run == 16:
            last = rows.shape[1] % 16
            of_row = rows.shape[1] // 16 * 8 + -(-last // 2)
            assert palette.stream.size == len(rows) * (1 + of_row)


@_SETTINGS
@given(rows=_rows(pairs=True, values=15))
def test_palette(rows: np.ndarray) -> None:
    palette = encode_palette(rows)
    np.testing.assert_array_equal(decode_palette(palette, rows.shape), rows)
    assert palette.stream.size == len(rows) + rows.size // 2
    assert palette.tables.shape[0] <= len(rows)


@_SETTINGS
@given(rows=_rows(values=15))
def test_sparse_palette(rows: np.ndarray) -> None:
    palette = encode_sparse_palette(rows)
    np.testing.assert_array_equal(decode_sparse_palette(palette, rows.shape), rows)


def test_equal_rows_share_a_table() -> None:
    """The rows of 4-bit training: multiples of one step, each row with some of them."""
    rng = np.random.default_rng(0)
    steps = np.round(np.arange(-7, 8) * 127 / 7).astype(np.int8)
    rows = rng.choice(steps, (64, 64))
    assert encode_palette(rows).tables.shape == (1, 16)
    assert encode_sparse_palette(rows).tables.shape == (1, 16)
    rows[10:12] = rng.choice(np.arange(16, dtype=np.int8), (2, 64))
    assert encode_palette(rows).tables.shape == (2, 16)


def test_what_has_no_encoding() -> None:
    many = np.arange(-8, 9, dtype=np.int8).reshape(1, -1)
    with pytest.raises(ValueError, match="17 different weights in a row; 16 is the most"):
        encode_palette(np.repeat(many, 2, axis=0))
    with pytest.raises(ValueError, match="17 different weights"):
        encode_sparse_palette(np.concatenate([many[:, many[0] != 0], [[9]]], axis=1))
    with pytest.raises(ValueError, match="1 rows are no pairs"):
        encode_palette(many)
    with pytest.raises(ValueError, match="columns are not blocks of 4"):
        encode_block(many)
    with pytest.raises(ValueError, match="are no pairs of groups"):
        encode_bitmap(many)
    with pytest.raises(ValueError, match="256 entries in a row; 255 is the most"):
        encode_block(np.ones((1, 1024), dtype=np.int8))
    with pytest.raises(ValueError, match="256 entries in a row; 252 is the most"):
        encode_short_delta(np.ones((1, 256), dtype=np.int8))
    with pytest.raises(ValueError, match="17 different weights"):
        encode_palette_blocks(many.reshape(1, 1, -1), 16)
    rng = np.random.default_rng(0)
    different = np.stack([rng.permutation(256)[:16] for _ in range(258)]) - 128
    with pytest.raises(ValueError, match="tables; 256 is the most"):
        encode_palette(different.astype(np.int8))


@pytest.mark.parametrize("cut", [1, 3])
def test_damaged_bytes(cut: int) -> None:
    rng = np.random.default_rng(1)
    rows = np.where(rng.random((6, 40)) < 0.4, rng.choice([-90, 0, 7, 33], (6, 40)), 0)
    rows = rows.astype(np.int8)
    palette, sparse = encode_palette(rows), encode_sparse_palette(rows)
    blocks = encode_palette_blocks(rows.reshape(3, 2, 40), 16)
    shorter = [
        lambda: decode_short_delta(encode_short_delta(rows)[:-cut], rows.shape),
        lambda: decode_bitmap_series(encode_bitmap_series(rows.reshape(-1))[:-cut], rows.size),
        lambda: decode_palette_blocks(Palette(blocks.stream[:-cut], blocks.tables), (3, 2, 40), 16),
        lambda: decode_delta(encode_delta(rows)[:-cut], rows.shape),
        lambda: decode_block(encode_block(rows)[:-cut], rows.shape),
        lambda: decode_bitmap(encode_bitmap(rows)[:-cut], rows.shape),
        lambda: decode_palette(Palette(palette.stream[:-cut], palette.tables), rows.shape),
        lambda: decode_sparse_palette(Palette(sparse.stream[:-cut], sparse.tables), rows.shape),
    ]
    longer = np.ones(cut, dtype=np.int8)
    shorter += [
        lambda: decode_delta(np.append(encode_delta(rows), longer), rows.shape),
        lambda: decode_short_delta(np.append(encode_short_delta(rows), longer), rows.shape),
        lambda: decode_block(np.append(encode_block(rows), longer), rows.shape),
        lambda: decode_bitmap(np.append(encode_bitmap(rows), longer), rows.shape),
    ]
    for decode in shorter:
        with pytest.raises(
            ValueError,
            match=r"no matrix of [16] rows|bytes behind the last of 6 rows|no blocks of 2 rows",
        ):
            decode()
