"""Hostile files, made by hand: each ends in an error of ours, soon and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import flatbuffers
import numpy as np
import pytest

from edgeprune.codegen import generate
from edgeprune.errors import EdgepruneError, MalformedModelError, ModelError, UnsupportedError
from edgeprune.graph import read_graph
from tests.graph.mutations import Seed, mutated, seeds
from tests.graph.networks import Network
from tests.graph.tflite_files import build_table, build_tables, build_vector

_SECONDS = 4.0
_MEGABYTES = 64


@contextmanager
def _little() -> Iterator[None]:
    """What happens inside takes little time and memory."""
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
        assert time.process_time() - started < _SECONDS
        assert tracemalloc.get_traced_memory()[1] < _MEGABYTES << 20
    finally:
        tracemalloc.stop()


def _network(shape: tuple[int, ...] = (1, 1, 1, 4)) -> Network:
    return Network(np.random.default_rng(0), shape, scale=0.1)


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_what_can_be_read_can_be_compiled_or_is_refused(seed: Seed) -> None:
    rng = np.random.default_rng(len(seed.content))
    for mutation in rng.integers(0, 1 << 30, (250, 3)).tolist():
        try:
            graph = read_graph(mutated([seed], 0, [tuple(mutation)]))
        except EdgepruneError:
            continue
        started = time.process_time()
        try:
            generate(graph, labels=())
        except ModelError:
            continue
        finally:
            assert time.process_time() - started < _SECONDS


def test_a_small_file_does_not_become_gigabytes_of_weights() -> None:
    network = _network((1, 1, 1, 1000))
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
    with _little(), pytest.raises(UnsupportedError, match="bytes of weights"):
        read_graph(content)


# Tables and vectors of a flatbuffer may be used many times, so that a file can claim much more
# than it holds.


def _aliased(tensors: int = 1, operators: int = 1, subgraphs: int = 1, **parts: int) -> bytes:
    """A file that uses the same tensor, operator and subgraph so many times.

    Args:
        tensors: of a subgraph.
        operators: of a subgraph.
        subgraphs: of the file.
        parts: lengths of what the tensor and the operator hold: ``shape``, ``scales``, ``name``,
            ``inputs``; and the operator's ``opcode``.
    """
    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("x" * parts.get("name", 1))
    shape = build_vector(builder, np.ones(parts.get("shape", 1)), np.int32)
    scales = build_vector(builder, np.ones(parts.get("scales", 1)), np.float32)
    quantization = build_table(builder, "QuantizationParameters", Scale=scales)
    tensor = build_table(
        builder, "Tensor", Shape=shape, Name=name, Type=9, Quantization=quantization
    )
    inputs = build_vector(builder, np.zeros(parts.get("inputs", 1)), np.int32)
    operator = build_table(
        builder, "Operator", OpcodeIndex=parts.get("opcode", 0), Inputs=inputs, Outputs=inputs
    )
    ends = build_vector(builder, [0], np.int32)
    subgraph = build_table(
        builder,
        "SubGraph",
        Tensors=build_tables(builder, [tensor] * tensors),
        Operators=build_tables(builder, [operator] * operators),
        Inputs=ends,
        Outputs=ends,
    )
    code = build_table(builder, "OperatorCode", BuiltinCode=2, Version=1)
    model = build_table(
        builder,
        "Model",
        Version=3,
        OperatorCodes=build_tables(builder, [code]),
        Subgraphs=build_tables(builder, [subgraph] * subgraphs),
        Buffers=build_tables(builder, [build_table(builder, "Buffer")]),
    )
    builder.Finish(model, file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    "parts",
    [
        {"tensors": 60_000},
        {"tensors": 10_000, "shape": 100_000},
        {"tensors": 10_000, "scales": 100_000},
        {"tensors": 10_000, "name": 1_000_000},
        {"operators": 1_000, "inputs": 100_000},
        {"operators": 60_000},
        {"subgraphs": 60_000},
        {"subgraphs": 100, "operators": 1_000, "tensors": 10_000},
        {"subgraphs": 1_000, "inputs": 10_000},
        {"shape": 900_000},
        {"inputs": 900_000},
    ],
    ids=str,
)
def test_aliased_tables(parts: dict[str, int]) -> None:
    content = _aliased(**parts)
    with _little(), pytest.raises(ModelError):
        read_graph(content)


def _long_split(network: Network) -> None:
    """More outputs than values, all of them the same tensor."""
    part = network.split(0, 3, 2)[0]
    network.operators[-1].outputs = [part] * 500_000


def _wide_concatenation(network: Network) -> None:
    network.concatenation([0, 0], 3)
    network.operators[0].inputs = [0] * 5_000


def _dimensions(network: Network) -> None:
    network.tensors[network.relu(0)].shape = (1,) * 100_000


def _negative_everything(network: Network) -> None:
    network.tensors[network.relu(0)].shape = (-1, -1, -1, -4)


def _negative_index(network: Network) -> None:
    network.relu(0)
    network.operators[0].outputs = [-1]


def _unknown_operator(network: Network) -> None:
    network.operator("DELEGATE", [0], network.activation((1,)))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_long_split, MalformedModelError),
        (_wide_concatenation, MalformedModelError),
        (_dimensions, UnsupportedError),
        (_negative_everything, MalformedModelError),
        (_negative_index, MalformedModelError),
        (_unknown_operator, UnsupportedError),
    ],
)
def test_absurd_networks(change: Callable[[Network], None], error: type[ModelError]) -> None:
    network = _network()
    change(network)
    content = network.content()
    with _little(), pytest.raises(error):
        read_graph(content)


def test_a_cycle_through_a_variable_is_no_cycle() -> None:
    network = _network()
    network.stream(network.reshape(0, (1, 1, 4)), 2)
    assert read_graph(network.content()).variables


def test_two_operators_that_wait_for_each_other() -> None:
    network = _network()
    first = network.relu(0)
    second = network.add(first, 0)
    network.operators[0].inputs = [second]
    with pytest.raises(MalformedModelError, match="before any operator has written it"):
        read_graph(network.content())


def test_an_operator_code_that_is_not_there() -> None:
    with pytest.raises(MalformedModelError, match="has the code 1; the file has 1"):
        read_graph(_aliased(opcode=1))


def _chain_of_sums(layers: int) -> bytes:
    network = _network()
    tensor = 0
    for _ in range(layers):
        tensor = network.add(tensor, tensor)
        network.tensors[tensor].scales = [0.2]
    return network.content()


def test_a_thousand_layers_are_planned_in_seconds() -> None:
    started = time.process_time()
    program = generate(read_graph(_chain_of_sums(1000)), labels=())
    assert time.process_time() - started < 10
    assert program.manifest.arena_bytes <= 16


def test_more_layers_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="1025 operators; 1024 is the most"):
        read_graph(_chain_of_sums(1025))


def test_a_split_counts_for_each_output() -> None:
    network = _network((1, 1, 1, 600))
    first = network.split(0, 3, 600)
    network.concatenation(first, 3)
    network.split(network.outputs[0], 3, 600)
    with pytest.raises(UnsupportedError, match="more than 1024 operators"):
        read_graph(network.content())
