"""Damaged and hostile files end in an error of ours, soon and in little memory."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from edgeprune.codegen import generate
from edgeprune.errors import MalformedModelError, UnsupportedError
from edgeprune.graph import read_graph
from tests.graph.networks import Network

_SECONDS = 2.0
_MEGABYTES = 64


@pytest.fixture(scope="module")
def valid() -> bytes:
    network = Network(np.random.default_rng(3), (1, 9, 8, 4), scale=0.1)
    tensor = network.conv_2d(0, 6, kernel=(3, 3), stride=(2, 2), activation="relu6")
    tensor = network.add(tensor, network.depthwise_conv_2d(tensor))
    tensor = network.mean(network.average_pool_2d(tensor), [1, 2], keep=False)
    network.softmax(network.fully_connected(tensor, 5))
    return network.content()


def _attempt(content: bytes) -> bool:
    """Read and compile; whether it was valid. Any other error than ours fails the test."""
    started = time.perf_counter()
    try:
        generate(read_graph(content), labels=())
    except (MalformedModelError, UnsupportedError):
        return False
    finally:
        assert time.perf_counter() - started < _SECONDS
    return True


def test_truncated_anywhere(valid: bytes) -> None:
    assert _attempt(valid)
    kept = [_attempt(valid[:length]) for length in range(0, len(valid), 7)]
    assert not any(kept[: len(kept) // 2])


@pytest.mark.parametrize("flips", [1, 4, 30])
def test_flipped_bytes(valid: bytes, flips: int) -> None:
    rng = np.random.default_rng(flips)
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(300):
            damaged = bytearray(valid)
            for position in rng.integers(0, len(valid), flips):
                damaged[position] = int(rng.integers(0, 256))
            refused += not _attempt(bytes(damaged))
        assert tracemalloc.get_traced_memory()[1] < _MEGABYTES << 20
    finally:
        tracemalloc.stop()
    assert refused > 30  # the damage was seen


@pytest.mark.parametrize("value", [0, 0x7F, 0x80, 0xFF])
def test_every_word_overwritten(valid: bytes, value: int) -> None:
    for position in range(0, len(valid) - 4, 8):
        damaged = bytearray(valid)
        damaged[position : position + 4] = bytes([value] * 4)
        _attempt(bytes(damaged))


def test_a_small_file_does_not_become_gigabytes_of_weights() -> None:
    network = Network(np.random.default_rng(0), (1, 1, 1, 1000), scale=0.1)
    tensor = network.fully_connected(network.reshape(0, (1, 1000)), 1000)
    weights = network.operators[-1].inputs[1]
    large = network.tensors[weights]
    large.buffer = 1 + sum(each.data is not None for each in network.tensors[:weights])
    for _ in range(40):
        tensor = network.fully_connected(tensor, 1000, bias=False)
        again = network.tensors[network.operators[-1].inputs[1]]
        again.data, again.buffer = None, large.buffer
        network.tensors[tensor].scales = [0.1]
    content = network.content()
    assert len(content) < 3 << 20
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedError, match="bytes of weights"):
            read_graph(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < _MEGABYTES << 20


def _chain_of_sums(layers: int) -> bytes:
    network = Network(np.random.default_rng(0), (1, 1, 1, 4), scale=0.1)
    tensor = 0
    for _ in range(layers):
        tensor = network.add(tensor, tensor)
        network.tensors[tensor].scales = [0.2]
    return network.content()


def test_a_thousand_layers_are_planned_in_seconds() -> None:
    started = time.perf_counter()
    program = generate(read_graph(_chain_of_sums(1000)), labels=())
    assert time.perf_counter() - started < 5 * _SECONDS
    assert program.manifest.arena_bytes == 8


def test_more_layers_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="1025 operators; 1024 is the most"):
        read_graph(_chain_of_sums(1025))
