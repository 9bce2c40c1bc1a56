"""Images of the tiny program of tests/firmware, one for each core."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.cores import CORES
from edgeprune.devices import EmulatorDevice
from edgeprune.firmware import Image, build_image
from edgeprune.target import Target
from edgeprune.toolchain import find_toolchain

FAKE_PROGRAM = Path(__file__).parent.parent / "firmware" / "fake_program"
CORTEX_M = [name for name, core in CORES.items() if core.unicorn]

WINDOW, HOP, FEATURES, FRAMES, SAMPLES = 96, 64, 8, 5, 400


def make_target(core: str) -> Target:
    table = {
        "name": f"test-{core}",
        "core": core,
        "clock_mhz": 64.0,
        "device": "emulator",
        "memory": {"flash_kib": 64, "ram_kib": 16, "flash_origin": 0x08000000},
    }
    return Target.model_validate_json(json.dumps(table))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Target, Image]]:
    """The image of a core, built once."""
    built: dict[str, tuple[Target, Image]] = {}

    def image(core: str) -> tuple[Target, Image]:
        if core not in built:
            target = make_target(core)
            folder = tmp_path_factory.mktemp(core)
            built[core] = (
                target,
                build_image(FAKE_PROGRAM, target, find_toolchain("zig"), folder),
            )
        return built[core]

    return image


@pytest.fixture
def device(images, request) -> EmulatorDevice:
    """The M4, or the core that the test is parametrized with."""
    target, image = images(getattr(request, "param", "cortex-m4"))
    return EmulatorDevice(target.name, image.elf, target.core, target.memory, image.manifest)


@pytest.fixture
def session(device):
    with device.open() as opened:
        yield opened


@pytest.fixture
def clips() -> NDArray[np.int16]:
    """Noise that drifts, full scale now and then: int16 [12, 400]."""
    rng = np.random.default_rng(7)
    walk = np.cumsum(rng.normal(0, 4000, (12, SAMPLES)), axis=1)
    return np.clip(walk, -32768, 32767).astype(np.int16)


def reference_features(clip: NDArray[np.int16]) -> NDArray[np.int16]:
    """What the tiny front-end computes: the mean of each eighth of a window, towards zero."""
    part = WINDOW // FEATURES
    rows = []
    for index in range(FRAMES):
        window = clip[index * HOP : index * HOP + WINDOW].astype(np.int64)
        sums = window.reshape(FEATURES, part).sum(axis=1)
        rows.append(np.trunc(sums / part))
    return np.array(rows).astype(np.int16)


def reference_hidden(features: NDArray[np.int16]) -> NDArray[np.int8]:
    """The first layer of the tiny model."""
    weights = np.array(
        [
            [1, -2, 3, -4], [5, 6, -7, 8], [-9, 10, 11, -12], [13, -14, 15, 16],
            [1, 2, 3, 4], [-5, -6, -7, -8], [9, 10, 11, 12], [-13, 14, -15, 16],
            [0, 1, 0, -1], [2, 0, -2, 0], [3, 3, -3, -3], [7, -7, 7, -7],
        ]
    )  # fmt: skip
    inputs = (features.astype(np.int64) >> 8).reshape(-1)
    sums = np.tile(weights, FRAMES * FEATURES // 4) @ inputs
    return np.clip(sums * 1234567 >> 28, -128, 127).astype(np.int8)


def reference_scores(features: NDArray[np.int16]) -> NDArray[np.int8]:
    """The tiny model."""
    hidden = reference_hidden(features).astype(np.int64)
    sums = [hidden[label::3].sum() for label in range(3)]
    divided = [np.trunc(total / divisor) for total, divisor in zip(sums, (3, 5, 7), strict=True)]
    return np.clip(divided, -128, 127).astype(np.int8)


@pytest.fixture
def reference():
    """The tiny program in Python: features, hidden, scores."""

    class Reference:
        features = staticmethod(reference_features)
        hidden = staticmethod(reference_hidden)
        scores = staticmethod(reference_scores)

    return Reference
