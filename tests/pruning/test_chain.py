"""Masks survive: from a pruned network through int8 to the generated C."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeprune.codegen import Layer, generate
from edgeprune.cores import CORES
from edgeprune.datasets.dataset import Dataset
from edgeprune.graph import Conv2D, FullyConnected, Graph, read_graph
from edgeprune.models.artifact import TrainedModel
from edgeprune.pruning.pruner import PrunedModel
from edgeprune.quantization.converter import quantize
from tests.models import tiny
from tests.pruning import small

pytestmark = pytest.mark.usefixtures("eager")

#: What each structure takes out of a layer.
SHARES: dict[str, dict[str, Any]] = {
    "none": {},
    "channel": {"sparsity": 0.5},
    "unstructured": {"sparsity": 0.75},
    "block": {"sparsity": 0.75},
    "n:m": {"pattern": "1:4"},
}


def chain(start: TrainedModel, few: Dataset, structure: str) -> tuple[PrunedModel, Graph, Layer]:
    """A pruned network, its .tflite file as a graph, and the C of its pointwise layer."""
    model = small.pruned(start, few, structure=structure, epochs=2, **SHARES[structure])
    inputs = model.model.normalization.apply(tiny.features(few.train.pcm))
    graph = read_graph(quantize(model.model.network, inputs))
    program = generate(graph, labels=tiny.LABELS, core=CORES["cortex-m4"])
    return model, graph, program.manifest.layers[1]


def int8_kernel(graph: Graph, number: int) -> np.ndarray:
    """The weights of a convolution, in Keras' layout."""
    convolution = [each for each in graph.operators if isinstance(each, Conv2D)][number]
    data = convolution.weights.data
    assert data is not None
    return np.moveaxis(data, 0, -1)


@pytest.fixture(scope="module")
def dense_bytes(start: TrainedModel, few: Dataset) -> int:
    """Bytes of the dense pointwise layer's constants."""
    _, graph, layer = chain(start, few, "none")
    assert np.count_nonzero(int8_kernel(graph, 1)) > 60
    assert layer.encoding == "dense"
    return layer.constant_bytes


@pytest.mark.parametrize("structure", ["unstructured", "block", "n:m"])
def test_zeros_are_exactly_zero_in_the_file_and_not_stored_in_the_c(
    start: TrainedModel, few: Dataset, dense_bytes: int, structure: str
) -> None:
    model, graph, layer = chain(start, few, structure)
    for number, name in enumerate(("stem", "pointwise")):
        assert not int8_kernel(graph, number)[small.kernel(model, name) == 0].any()
    pointwise = int8_kernel(graph, 1).reshape(2, 4, small.WIDTH)
    # Small weights may round to zero too, but few do.
    assert 12 <= np.count_nonzero(pointwise) <= 16
    in_fours = np.count_nonzero(pointwise, axis=1)
    if structure == "block":
        assert (in_fours > 0).sum() == 4
    if structure == "n:m":
        assert in_fours.max() == 1
    assert layer.encoding != "dense"
    assert layer.constant_bytes < dense_bytes


def test_channels_are_gone_from_the_file_and_from_the_c(
    start: TrainedModel, few: Dataset, dense_bytes: int
) -> None:
    model, graph, layer = chain(start, few, "channel")
    assert int8_kernel(graph, 0).shape[-1] == small.WIDTH // 2
    assert int8_kernel(graph, 1).shape == (1, 1, small.WIDTH // 2, small.WIDTH // 2)
    (classifier,) = (each for each in graph.operators if isinstance(each, FullyConnected))
    assert classifier.weights.shape == (4, small.WIDTH // 2)
    assert graph.macs == model.model.cost.macs
    assert layer.output.shape[-1] == small.WIDTH // 2
    assert layer.constant_bytes < dense_bytes / 2
