"""Int8 files of nested networks: the same bytes of weights, and what each level computes."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.codegen import generate_levels
from edgeprune.cores import CORES
from edgeprune.graph import Conv2D, DepthwiseConv2D, FullyConnected, Graph, read_graph
from edgeprune.models.backend import keras
from edgeprune.pruning.nested_network import NestedNetwork, nest
from edgeprune.quantization.levels import quantize_levels
from tests.codegen.reference import Reference
from tests.pruning.test_nested_network import _masks as masks
from tests.pruning.test_surgery import ds_cnn, randomized

_WEIGHTED = (Conv2D, DepthwiseConv2D, FullyConnected)


@pytest.fixture(scope="module")
def nested() -> NestedNetwork:
    """Normalizations differ from level to level."""
    network = randomized(ds_cnn())
    made = nest(network, masks(network))
    rng = np.random.default_rng(4)
    for level in made.levels[1:]:
        for layer in level.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.moving_variance.assign(rng.uniform(0.2, 3, layer.moving_mean.shape))
                layer.beta.assign(rng.uniform(-0.5, 0.5, layer.moving_mean.shape))
    return made


@pytest.fixture(scope="module")
def calibration(nested: NestedNetwork) -> np.ndarray:
    shape = (24, *nested.levels[0].input_shape[1:])
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def files(nested: NestedNetwork, calibration: np.ndarray) -> tuple[bytes, ...]:
    return quantize_levels([nested.plain(level) for level in range(3)], calibration)


def _weights(graph: Graph) -> list[np.ndarray]:
    return [
        each.weights.data
        for each in graph.operators
        if isinstance(each, _WEIGHTED) and each.weights.data is not None
    ]


def test_int8_weights_are_blocks_of_the_widest(files: tuple[bytes, ...]) -> None:
    wide = _weights(read_graph(files[0]))
    for content in files[1:]:
        narrow = _weights(read_graph(content))
        assert len(narrow) == len(wide)
        for values, whole in zip(narrow, wide, strict=True):
            block = tuple(slice(0, size) for size in values.shape)
            np.testing.assert_array_equal(values, whole[block])
        # A converter of its own would scale each channel to its own largest weight.
        largest = [np.abs(values).reshape(len(values), -1).max(axis=1) for values in narrow]
        assert any(np.any(each < 127) for each in largest)


def test_input_and_output_are_those_of_the_widest(files: tuple[bytes, ...]) -> None:
    graphs = [read_graph(content) for content in files]
    assert len({graph.input.quantization for graph in graphs}) == 1
    assert len({graph.output.quantization for graph in graphs}) == 1


def test_each_level_computes_in_int8_what_it_does_in_float(
    nested: NestedNetwork, calibration: np.ndarray, files: tuple[bytes, ...]
) -> None:
    for level, content in enumerate(files):
        graph, reference = read_graph(content), Reference(content)
        wanted = keras.ops.softmax(nested.levels[level](calibration)).numpy()
        found = []
        for row in calibration:
            scaled = np.round(row / graph.input.scale) + graph.input.zero_point
            values = np.clip(scaled, -128, 127).astype(np.int8)
            reference.invoke(values.reshape(graph.input.shape))
            found.append(reference.tensor(graph.output.index).reshape(-1))
        scores = (np.array(found, np.float32) + 128) / 256
        assert np.abs(scores - wanted).mean() < 0.03
        assert np.mean(scores.argmax(axis=1) == wanted.argmax(axis=1)) > 0.8


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_a_program_has_the_weights_once(files: tuple[bytes, ...], core: str) -> None:
    program = generate_levels(
        [read_graph(content) for content in files], labels=(), core=CORES[core]
    )
    for level in program.manifest.levels[1:]:
        for layer in level.layers:
            assert layer.constant_bytes <= 9 * layer.output.shape[-1], layer
