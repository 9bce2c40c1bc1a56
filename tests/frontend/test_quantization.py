"""Features to int8: the C, the NumPy reference and the formula agree."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.cores import CORES
from edgeprune.errors import FrontendError
from edgeprune.frontend import InputQuantization, fraction_bits, sources
from edgeprune.toolchain import Job, Toolchain
from tests.frontend import signals
from tests.frontend.conftest import LOG_MEL, MFCC, Build

EVERY = np.arange(-32768, 32768, dtype=np.int16)


def _formula(
    features: NDArray[np.int16],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    bits: int,
    scale: float,
    zero_point: int,
) -> NDArray[np.float64]:
    """The int8 value before it is rounded and clamped."""
    return (features * 2.0**-bits - mean) / std / scale + zero_point


CASES = {
    "log-mel": (np.linspace(14, 24, 40), np.linspace(2.5, 6.5, 40), 8, 0.031, -3),
    "mfcc": (np.linspace(150, -4, 10), np.geomspace(30, 1.2, 10), 6, 0.0284, 11),
    "lowest zero point": (np.array([20.0, 2.0]), np.array([4.0, 3.0]), 8, 0.02, -128),
    "highest zero point": (np.array([20.0, -90.0]), np.array([4.0, 3.0]), 7, 0.05, 127),
    "coarse": (np.array([20.0]), np.array([4.0]), 8, 2.0, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_within_half_a_step(name: str) -> None:
    mean, std, bits, scale, zero_point = CASES[name]
    quantization = InputQuantization.derive(mean, std, bits, scale, zero_point)
    assert quantization.error <= 1 / 16
    features = np.repeat(EVERY[:, None], len(mean), axis=1)
    found = quantization.apply(features).astype(np.float64)
    exact = np.clip(_formula(features, mean, std, bits, scale, zero_point), -128, 127)
    assert np.abs(found - exact).max() <= 0.5 + quantization.error
    assert (found.min(), found.max()) == (exact.min().round(), exact.max().round())


@pytest.mark.parametrize("name", CASES)
def test_no_feature_overflows_int32(name: str) -> None:
    quantization = InputQuantization.derive(*CASES[name])
    for multiplier, offset in zip(quantization.multipliers, quantization.offsets, strict=True):
        for feature in (-32768, 32767):
            assert -(2**31) <= feature * multiplier + offset < 2**31
            assert -(2**31) <= feature * multiplier < 2**31
    assert 0 < quantization.shift < 31


def test_usual_features_cost_next_to_nothing(build: Build) -> None:
    for frontend in (LOG_MEL, MFCC):
        bits = fraction_bits(frontend)
        features = build(frontend).features(signals.stacked(signals.ordinary(frontend)))
        real = features * 2.0**-bits
        mean, std = real.mean(axis=(0, 1)), real.std(axis=(0, 1))
        quantization = InputQuantization.derive(mean, std, bits, 0.03, 0)
        assert quantization.error < 0.06
        exact = np.clip(_formula(features, mean, std, bits, 0.03, 0), -128, 127)
        assert np.abs(quantization.apply(features) - exact).max() <= 0.5 + quantization.error


@pytest.mark.parametrize("name", CASES)
def test_c_computes_the_same(name: str, zig: Toolchain, tmp_path: Path) -> None:
    quantization = InputQuantization.derive(*CASES[name])
    count = len(quantization.multipliers)
    texts = quantization.sources()
    assert set(texts) == {"model_input.c", "quantize.c", "quantize.h"}
    config = f"#define EDGEPRUNE_FRONTEND_FEATURES {count}\n"
    for file, text in {**texts, "frontend_config.h": config}.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    library = tmp_path / "quantize.so"
    units = [Path("model_input.c"), Path("quantize.c")]
    zig.build(Job(units, library, CORES["host"], "shared", tmp_path))
    quantize = ctypes.CDLL(str(library)).edgeprune_input_quantize
    quantize.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    features = np.random.default_rng(5).integers(-32768, 32768, (500, count)).astype(np.int16)
    features[0], features[1] = -32768, 32767
    found = np.empty((500, count), np.int8)
    for row, out in zip(features, found, strict=True):
        quantize(row.ctypes.data, out.ctypes.data)
    np.testing.assert_array_equal(found, quantization.apply(features))


def test_sources_fit_the_front_end() -> None:
    quantization = InputQuantization.derive(*CASES["log-mel"])
    assert '#include "frontend_config.h"' in quantization.sources()["quantize.h"]
    assert "EDGEPRUNE_FRONTEND_FEATURES 40" in sources(LOG_MEL)["frontend_config.h"]
    assert "edgeprune_input_multipliers[40]" in quantization.sources()["model_input.c"]


@pytest.mark.parametrize(
    ("mean", "std", "scale", "zero_point", "message"),
    [
        ([1.0, 2.0], [1.0], 0.03, 0, "shapes"),
        ([], [], 0.03, 0, "shapes"),
        ([1.0, 2.0], [1.0, 0.0], 0.03, 0, "feature 1"),
        ([1.0, 2.0], [-1.0, 1.0], 0.03, 0, "feature 0"),
        ([1.0, float("nan")], [1.0, 1.0], 0.03, 0, "feature 1"),
        ([1.0], [float("inf")], 0.03, 0, "feature 0"),
        ([1.0], [1.0], 0.0, 0, "scale"),
        ([1.0], [1.0], float("nan"), 0, "scale"),
        ([1.0], [1.0], 0.03, 128, "zero point"),
        ([1.0, 1.0], [1.0, 1e-4], 0.03, 0, "feature 0.* smallest"),
        ([1.0], [1e-9], 0.03, 0, "does not fit"),
        ([1e12], [1.0], 0.03, 0, r"mean 1e\+12"),
    ],
)
def test_what_can_not_be_quantized(
    mean: list[float], std: list[float], scale: float, zero_point: int, message: str
) -> None:
    with pytest.raises(FrontendError, match=message):
        InputQuantization.derive(mean, std, 8, scale, zero_point)


def test_apply_refuses_other_features() -> None:
    quantization = InputQuantization.derive(*CASES["mfcc"])
    for bad in (np.zeros((3, 9), np.int16), np.zeros((3, 10), np.int32), np.int16(3)):
        with pytest.raises(FrontendError, match="10"):
            quantization.apply(np.asarray(bad))
