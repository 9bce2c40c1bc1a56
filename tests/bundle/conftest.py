"""A network, clips and a front-end so small that a bundle is made in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import Program, generate
from edgeprune.frontend import InputQuantization, fraction_bits, identity
from edgeprune.graph import read_graph
from edgeprune.models.normalization import Normalization
from edgeprune.store import Artifact
from edgeprune.toolchain import Toolchain, find_toolchain
from tests.graph.networks import Network
from tests.models import tiny

SCALE, ZERO_POINT = 0.04, -3


@pytest.fixture(scope="session")
def zig() -> Toolchain:
    return find_toolchain("zig")


@pytest.fixture(scope="session")
def model() -> bytes:
    """A .tflite file that takes the tiny front-end's features and has a score a label."""
    spec = tiny.FRONTEND
    shape = (1, spec.frames, 1, spec.features)
    network = Network(np.random.default_rng(4), shape, scale=SCALE, zero_point=ZERO_POINT)
    tensor = network.conv_2d(0, 6, kernel=(3, 1), activation="relu", zero_point=-128)
    tensor = network.reshape(network.mean(tensor, [1, 2]), (1, 6))
    network.softmax(network.fully_connected(tensor, len(tiny.LABELS)))
    return network.content()


@pytest.fixture(scope="session")
def quantization() -> InputQuantization:
    count = tiny.FRONTEND.features
    bits = fraction_bits(tiny.FRONTEND)
    return InputQuantization.derive(
        np.full(count, 12.0), np.full(count, 4.0), bits, SCALE, ZERO_POINT
    )


@pytest.fixture(scope="session")
def program(model: bytes) -> Program:
    return generate(
        read_graph(model), labels=tiny.LABELS, frontend_identity=identity(tiny.FRONTEND)
    )


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory, model: bytes) -> dict[str, Artifact]:
    """Clips, features and the quantized model, as their stages leave them."""
    root = tmp_path_factory.mktemp("artifacts")
    tiny.dataset(train=8, held_out=8).save(root / "clips")
    count = tiny.FRONTEND.features
    (root / "features").mkdir()
    Normalization(np.full(count, 12.0), np.full(count, 4.0), fraction_bits(tiny.FRONTEND)).save(
        root / "features" / "normalization.json"
    )
    (root / "quantized").mkdir()
    (root / "quantized" / "model.tflite").write_bytes(model)
    return {
        name: Artifact(name, f"key of {name}", Path(root / name))
        for name in ("clips", "features", "quantized")
    }
