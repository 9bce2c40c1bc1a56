"""Damaged files end in an error of ours, soon and in little memory.

``EDGEPRUNE_FUZZ_EXAMPLES`` sets how many files are tried; the default is small enough for CI.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.errors import EdgepruneError
from edgeprune.graph import SUPPORTED_OPERATORS, read_graph
from edgeprune.graph.schema import extract
from tests.graph.mutations import Mutation, Seed, make_seed, mutated, seeds

resource = pytest.importorskip("resource")

_EXAMPLES = int(os.environ.get("EDGEPRUNE_FUZZ_EXAMPLES", "1500"))
_SECONDS = 2.0
_BYTES = 64 << 20
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024

_NUMBERS = st.integers(0, (1 << 30) - 1)
_MUTATIONS = st.lists(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS), min_size=1, max_size=5)
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

_SEEDS = seeds()


@pytest.fixture(scope="module", autouse=True)
def _memory() -> Iterator[None]:
    """The process must not have grown: its peak is that of the worst file."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * _RSS_UNIT < _BYTES


def _read(content: bytes) -> bool:
    """Whether the file was valid; any error but ours, or one without a place, is a failure."""
    started = time.process_time()
    try:
        read_graph(content, name="damaged.tflite")
    except EdgepruneError as error:
        assert "damaged.tflite" in str(error)
        return False
    finally:
        assert time.process_time() - started < _SECONDS
    return True


@_SETTINGS
@given(seed=_NUMBERS, mutations=_MUTATIONS)
def test_small_files_of_every_operator(seed: int, mutations: list[Mutation]) -> None:
    _read(mutated(_SEEDS, seed, mutations))


@pytest.fixture(scope="module")
def published(shared_models: Path) -> list[Seed]:
    return [make_seed(each.name, each.read_bytes()) for each in shared_models.glob("*.tflite")]


@settings(_SETTINGS, max_examples=_EXAMPLES // 5)
@given(seed=_NUMBERS, mutations=_MUTATIONS)
def test_published_files(published: list[Seed], seed: int, mutations: list[Mutation]) -> None:
    _read(mutated(published, seed, mutations))


@pytest.mark.parametrize("seed", _SEEDS, ids=lambda seed: seed.name)
def test_every_field_set_to_what_hurts(seed: Seed) -> None:
    """One field at a time, each with a few numbers: most must be noticed."""
    assert _read(seed.content)
    refused = tried = 0
    for position, width in seed.fields:
        for value in (0, (1 << 8 * width) - 1, 1 << 8 * width - 1):
            damaged = bytearray(seed.content)
            damaged[position : position + width] = value.to_bytes(width, "little")
            if damaged != seed.content:
                tried += 1
                refused += not _read(bytes(damaged))
    assert refused > 0.6 * tried


@pytest.mark.parametrize("seed", _SEEDS, ids=lambda seed: seed.name)
def test_truncated_anywhere(seed: Seed) -> None:
    kept = [_read(seed.content[:length]) for length in range(0, len(seed.content), 7)]
    assert not any(kept[: len(kept) // 2])


def test_the_seeds_have_every_operator() -> None:
    found = {
        operator.kind
        for seed in _SEEDS
        for subgraph in extract(seed.content).subgraphs
        for operator in subgraph.operators
    }
    assert found == set(SUPPORTED_OPERATORS)
