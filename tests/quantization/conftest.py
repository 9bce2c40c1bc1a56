"""Networks to fold and to fake-quantize, and a tiny one that is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeprune.models.registry import Shape, build
from edgeprune.recipe import DsCnn, MatchboxNet
from tests.models.conftest import tones, trained
from tests.quantization import networks

__all__ = ["network", "tones", "trained"]

_SHAPE = Shape(frames=networks.FRAMES, features=networks.FEATURES, labels=4)


def _built(name: str) -> Any:
    match name:
        case "matchbox":
            return build(MatchboxNet(kind="matchbox", width=8, blocks=2, kernel=3), _SHAPE, seed=1)
        case "ds-cnn":
            return build(
                DsCnn(kind="ds-cnn", width=8, blocks=2, stem_kernel=(5, 3)), _SHAPE, seed=1
            )
    return networks.of_all_layers()


@pytest.fixture(scope="session", params=["matchbox", "ds-cnn", "all layers"])
def network(request: pytest.FixtureRequest) -> Any:
    """Normalizations have something to fold, and every bias adds something."""
    built = _built(request.param)
    rng = np.random.default_rng(1)
    for weight in built.weights:
        if any(part in weight.path for part in ("gamma", "beta", "moving", "bias")):
            weight.assign(rng.uniform(0.4, 1.6, weight.shape))
    return built
