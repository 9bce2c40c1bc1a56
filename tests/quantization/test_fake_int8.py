"""What is trained is what is deployed: the int8 file computes what the Keras network does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeprune.codegen.selection import Options, select
from edgeprune.cores import CORES
from edgeprune.graph import Conv2D, DepthwiseConv2D, FullyConnected, Graph, read_graph
from edgeprune.models.backend import keras, tf
from edgeprune.models.registry import Shape, build
from edgeprune.models.trainer import shaped
from edgeprune.quantization.converter import quantize_aware
from edgeprune.quantization.folding import WEIGHTED, fold
from edgeprune.quantization.network import fake_quantized_network, ranges_of, snapped_network
from edgeprune.quantization.ranges import measure_ranges, plan_ranges
from edgeprune.quantization.weights import INT4_GRID
from edgeprune.recipe import MatchboxNet
from tests.codegen.reference import Reference
from tests.quantization.networks import some_inputs

CALIBRATION, CLIPS = some_inputs(64), some_inputs(60, seed=9)


def pointwise(network: Any) -> tuple[str, ...]:
    kinds = [layer for layer in network.layers if type(layer) is keras.layers.Conv2D]
    return tuple(layer.name for layer in kinds if layer.kernel_size == (1, 1))


def in_fake_int8(
    network: Any, int4_layers: tuple[str, ...], clips: np.ndarray = CALIBRATION
) -> tuple[Any, Any]:
    """The folded network with its weights snapped, and the fake-quantized one."""
    folded = fold(network)
    plan = plan_ranges(folded)
    ranges = measure_ranges(folded, plan, clips)
    fake = fake_quantized_network(folded, plan, ranges, int4_layers)
    return snapped_network(folded, fake, int4_layers), fake


def quantized_input(graph: Graph, clip: np.ndarray) -> np.ndarray:
    steps = np.rint(clip / graph.input.scale) + graph.input.zero_point
    return np.clip(steps, -128, 127).astype(np.int8).reshape(graph.input.shape)


def litert_scores(content: bytes, clips: np.ndarray) -> np.ndarray:
    """int8 scores [clips, labels] of LiteRT's reference kernels, as integers."""
    graph, reference = read_graph(content), Reference(content)
    rows = []
    for clip in clips:
        reference.invoke(quantized_input(graph, clip))
        rows.append(reference.tensor(graph.output.index)[0].astype(int))
    return np.array(rows)


def keras_scores(fake: Any, clips: np.ndarray) -> np.ndarray:
    """What a fake-quantized network gives, in the steps of the int8 scores."""
    scores = tf.nn.softmax(fake(shaped(fake, clips))).numpy()
    return np.clip(np.rint(scores * 256) - 128, -128, 127).astype(int)


@pytest.fixture(scope="module", params=["int8", "int4"])
def case(request: pytest.FixtureRequest, network: Any) -> tuple[Any, Any, bytes]:
    """The folded network with its weights snapped, the fake-quantized one, and its int8 file."""
    int4_layers = pointwise(network) if request.param == "int4" else ()
    folded, fake = in_fake_int8(network, int4_layers)
    return folded, fake, quantize_aware(fake)


def test_every_scale_is_that_of_the_trained_range(case: tuple[Any, Any, bytes]) -> None:
    folded, fake, content = case
    ranges = ranges_of(fake, plan_ranges(folded))
    graph = read_graph(content)
    skipped = ("RESHAPE", "SOFTMAX")
    tensors = [graph.input, *(each.output for each in graph.operators if each.kind not in skipped)]
    expected = []
    for low, high in ranges.values():
        scale = (high - low) / 255
        expected.append((scale, round(-128 - low / scale)))
    found = sorted((each.scale, each.zero_point) for each in tensors)
    assert [zero for _, zero in found] == [zero for _, zero in sorted(expected)]
    np.testing.assert_allclose([s for s, _ in found], [s for s, _ in sorted(expected)], rtol=1e-5)


def test_every_weight_is_the_trained_one(case: tuple[Any, Any, bytes]) -> None:
    folded, _, content = case
    trained = []
    for layer in folded.layers:
        if isinstance(layer, WEIGHTED):
            kernel = layer.kernel.numpy()
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                kernel = kernel.reshape(*kernel.shape[:2], -1)
            trained.append(np.moveaxis(kernel, -1, 0).ravel())
    found = []
    for each in read_graph(content).operators:
        if isinstance(each, Conv2D | DepthwiseConv2D | FullyConnected):
            data, quantization = each.weights.data, each.weights.quantization
            assert data is not None
            assert quantization is not None
            if isinstance(each, DepthwiseConv2D):
                data = np.moveaxis(data, -1, 0)
            scales = np.array(quantization.scales).reshape(-1, *[1] * (data.ndim - 1))
            found.append((data * scales).ravel())
    assert len(found) == len(trained)
    # Branches come in another order in the file.
    for weights in trained:
        assert any(
            each.shape == weights.shape and np.allclose(each, weights, rtol=1e-5) for each in found
        )


def test_scores_are_those_of_keras(case: tuple[Any, Any, bytes]) -> None:
    """Apart from values that lie halfway between two steps, layer by layer."""
    _, fake, content = case
    differences = np.abs(keras_scores(fake, CLIPS) - litert_scores(content, CLIPS))
    assert (differences <= 2).mean() > 0.95
    assert differences.max() <= 5


def test_4_bit_weights_are_of_one_grid(network: Any) -> None:
    int4_layers = pointwise(network)
    _, fake = in_fake_int8(network, int4_layers)
    operators = read_graph(quantize_aware(fake)).operators
    convolutions = [each for each in operators if isinstance(each, Conv2D)]
    small = [each for each in convolutions if each.weights.shape[1:3] == (1, 1)]
    assert len(small) == len(int4_layers) > 0
    for each in convolutions:
        data = each.weights.data
        assert data is not None
        in_grid = set(data.ravel().tolist()) <= set(INT4_GRID)
        assert in_grid == (each in small)


def test_the_compiler_stores_4_bit_weights_as_palettes() -> None:
    shape = Shape(frames=16, features=8, labels=4)
    network = build(MatchboxNet(kind="matchbox", width=32, blocks=1), shape, seed=1)
    clips = np.random.default_rng(2).normal(size=(32, 16, 8)).astype(np.float32)
    chosen = {}
    for bits in ("int8", "int4"):
        layers = pointwise(network) if bits == "int4" else ()
        _, fake = in_fake_int8(network, layers, clips)
        (each,) = (
            each
            for each in read_graph(quantize_aware(fake)).operators
            if isinstance(each, Conv2D) and each.weights.shape[1:3] == (1, 1)
        )
        chosen[bits] = select(each, CORES["cortex-m4"], Options()).chosen.encoding
    assert chosen == {"int8": "dense", "int4": "palette4"}
