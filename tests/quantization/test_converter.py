"""Conversion: full int8, the same bytes every time, close to float."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeprune.errors import TrainingError, UnsupportedError
from edgeprune.graph import Conv2D, DepthwiseConv2D, Graph, read_graph
from edgeprune.models.backend import keras
from edgeprune.models.registry import Shape, build
from edgeprune.models.trainer import shaped
from edgeprune.quantization.converter import calibration_rows, quantize
from edgeprune.recipe import DsCnn, MatchboxNet

SHAPE = Shape(frames=15, features=6, labels=4)
NETWORKS = {
    "matchbox": MatchboxNet(kind="matchbox", width=8, blocks=2, kernel=3),
    "ds-cnn": DsCnn(kind="ds-cnn", width=8, blocks=2, stem_kernel=(5, 3)),
}
RNG = np.random.default_rng(0)
CALIBRATION = RNG.normal(size=(64, 15, 6)).astype(np.float32)


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Any:
    """Batch normalizations have something to fold, and every label wins now and then."""
    built = build(NETWORKS[request.param], SHAPE, seed=1)
    rng = np.random.default_rng(1)
    for weight in built.weights:
        if "norm" in weight.path:
            weight.assign(rng.uniform(0.4, 1.6, weight.shape))
    logits = built(shaped(built, CALIBRATION)).numpy()
    classifier = built.get_layer("classifier")
    classifier.kernel.assign(classifier.kernel / logits.std(axis=0))
    classifier.bias.assign(-logits.mean(axis=0) / logits.std(axis=0))
    return built


@pytest.fixture(scope="module")
def content(network: Any) -> bytes:
    """The network in int8."""
    return quantize(network, CALIBRATION)


@pytest.fixture(scope="module")
def graph(content: bytes) -> Graph:
    """The same, read."""
    return read_graph(content)


def test_only_the_operators_that_are_compiled_occur(network: Any, graph: Graph) -> None:
    kinds = [operator.kind for operator in graph.operators]
    convolutions = sum("CONV" in kind for kind in kinds)
    assert convolutions == 1 + 2 * 2
    rest = [kind for kind in kinds if "CONV" not in kind]
    additions = ["ADD"] * 2 if "matchbox" in network.name else []
    assert rest == [*additions, "MEAN", "FULLY_CONNECTED", "SOFTMAX"]


def test_everything_is_int8_from_input_to_output(network: Any, graph: Graph) -> None:
    assert {tensor.dtype for tensor in graph.tensors} <= {"int8", "int32"}
    assert graph.input.dtype == graph.output.dtype == "int8"
    assert graph.input.shape == (1, *network.input_shape[1:])
    assert graph.output.shape == (1, SHAPE.labels)
    assert (graph.output.scale, graph.output.zero_point) == (1 / 256, -128)


def test_weights_are_quantized_per_channel_and_symmetric(graph: Graph) -> None:
    for operator in graph.operators:
        if isinstance(operator, Conv2D | DepthwiseConv2D):
            quantization = operator.weights.quantization
            assert quantization is not None
            assert len(quantization.scales) == operator.output.shape[-1]
            assert not any(quantization.zero_points)


def test_macs_are_those_of_the_keras_network(network: Any, graph: Graph) -> None:
    from edgeprune.models.cost import cost

    assert graph.macs == cost(network).macs


def test_the_same_network_and_clips_give_the_same_bytes(network: Any, content: bytes) -> None:
    assert quantize(network, CALIBRATION) == content


def test_int8_scores_are_close_to_float(network: Any, content: bytes, graph: Graph) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    inputs = np.random.default_rng(7).normal(size=(40, 15, 6)).astype(np.float32)
    logits = network(shaped(network, inputs)).numpy().astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    interpreter = litert.Interpreter(
        model_content=content,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    scale, zero = graph.input.scale, graph.input.zero_point
    given = np.clip(np.rint(inputs / scale) + zero, -128, 127).astype(np.int8)
    scores = []
    for row in given:
        interpreter.set_tensor(source, row.reshape(graph.input.shape))
        interpreter.invoke()
        scores.append((interpreter.get_tensor(target)[0].astype(float) + 128) / 256)
    assert np.abs(np.array(scores) - expected).mean() < 0.05
    assert np.corrcoef(np.ravel(scores), expected.ravel())[0, 1] > 0.95


def test_more_calibration_clips_are_not_ignored(network: Any, content: bytes) -> None:
    assert quantize(network, CALIBRATION * 3) != content


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (np.empty((0, 15, 6), np.float32), "no clips to read"),
        (np.full((2, 15, 6), np.nan, np.float32), "not finite"),
    ],
)
def test_calibration_that_can_not_work_is_an_error(
    network: Any, clips: np.ndarray, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        quantize(network, clips)


def test_an_operator_that_is_not_compiled_is_named() -> None:
    inputs = keras.Input((15, 1, 6))
    x = keras.layers.UpSampling2D((3, 1))(inputs)
    x = keras.layers.Dense(4)(keras.layers.Flatten()(x))
    with pytest.raises(UnsupportedError, match="TILE"):
        quantize(keras.Model(inputs, x), CALIBRATION)


def test_calibration_clips_are_drawn_by_seed() -> None:
    rows = calibration_rows(1_000, 256, seed=1)
    assert len(set(rows.tolist())) == 256
    assert (np.diff(rows) > 0).all()
    assert rows.max() > 900
    assert np.array_equal(rows, calibration_rows(1_000, 256, seed=1))
    assert not np.array_equal(rows, calibration_rows(1_000, 256, seed=2))
    assert calibration_rows(3, 256, seed=1).tolist() == [0, 1, 2]
