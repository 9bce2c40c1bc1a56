"""Every size that a recipe can ask for, the tables behind it, and its identity."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edgeprune.errors import FrontendError
from edgeprune.frontend import fraction_bits, identity, sources
from edgeprune.frontend.tables import Tables, largest_log2_energy
from edgeprune.recipe import Frontend
from tests.frontend import reference, signals
from tests.frontend.conftest import LOG_MEL, MFCC, Build

SWEEP = [
    Frontend(window_ms=4, hop_ms=2, mel_bins=8),  # 64 points
    Frontend(window_ms=8, hop_ms=8, mel_bins=10, kind="mfcc", coefficients=7),  # 128, no overlap
    Frontend(window_ms=16, hop_ms=8, mel_bins=23, kind="mfcc", coefficients=23),  # 256, odd bins
    Frontend(window_ms=16.0625, hop_ms=10, mel_bins=23),  # 257 samples: most of 512 is padding
    Frontend(window_ms=30, hop_ms=10, mel_bins=4, low_hz=0, high_hz=8000),
    Frontend(window_ms=32, hop_ms=20, mel_bins=40, kind="mfcc", coefficients=2, clip_ms=300),
    Frontend(window_ms=64, hop_ms=64, mel_bins=80, low_hz=0, high_hz=8000),  # 1024
    Frontend(window_ms=64, hop_ms=20, mel_bins=80, kind="mfcc", coefficients=80, high_hz=8000),
    Frontend(window_ms=50, hop_ms=25, mel_bins=5, low_hz=3000, high_hz=5000, clip_ms=4000),
    Frontend(sample_rate_hz=8000, window_ms=4, hop_ms=2, mel_bins=4, high_hz=4000),  # 32 samples
    Frontend(sample_rate_hz=8000, window_ms=4.125, hop_ms=3.125, mel_bins=4, high_hz=4000),  # odd
    Frontend(sample_rate_hz=8000, window_ms=25, hop_ms=10, mel_bins=20, high_hz=3800, kind="mfcc"),
]


def _name(frontend: Frontend) -> str:
    rate = frontend.sample_rate_hz // 1000
    return f"{frontend.kind}-{rate}k-{frontend.window}-{frontend.hop}-{frontend.mel_bins}"


@pytest.mark.parametrize("frontend", SWEEP, ids=_name)
def test_sweep_against_the_definition(frontend: Frontend, build: Build) -> None:
    clips = signals.ordinary(frontend)
    features = build(frontend).features(signals.stacked(clips))
    expected = reference.features(frontend, signals.stacked(clips))
    assert features.shape == expected.shape
    errors = np.abs(features * 2.0 ** -fraction_bits(frontend) - expected)
    assert errors.max() <= 0.7
    assert errors.mean() <= 0.02


@pytest.mark.parametrize("frontend", SWEEP, ids=_name)
def test_sweep_leaves_room_in_int16(frontend: Frontend, build: Build) -> None:
    """Not even the loudest PCM saturates, and half of int16 is not wasted on it."""
    features = build(frontend).features(signals.stacked(signals.extreme(frontend)))
    bound = largest_log2_energy(frontend) + 0.01
    if frontend.kind == "mfcc":
        bound *= np.sqrt(frontend.mel_bins)
    assert bound * 2 ** fraction_bits(frontend) < 32767
    assert np.abs(features * 2.0 ** -fraction_bits(frontend)).max() <= bound
    if fraction_bits(frontend) < 8:
        assert bound * 2 ** (fraction_bits(frontend) + 1) > 32767


@pytest.mark.parametrize("frontend", SWEEP, ids=_name)
def test_filters_add_up_to_one(frontend: Frontend) -> None:
    """One weight a bin serves both filters that share it, within the table's rounding."""
    tables = Tables.of(frontend)
    assert sum(tables.segment) == len(tables.rising)
    assert tables.first_bin >= 1
    assert tables.first_bin + len(tables.rising) <= frontend.fft // 2
    filters = reference.filters(frontend)[tables.first_bin :][: len(tables.rising)]
    at = 0
    for number, bins in enumerate(tables.segment):
        for weight in tables.rising[at : at + bins]:
            if number < frontend.mel_bins:
                assert filters[at, number] == pytest.approx(weight / 32768, abs=2**-16 + 1e-9)
            if number > 0:
                assert filters[at, number - 1] == pytest.approx(1 - weight / 32768, abs=2**-15)
            at += 1


def test_filters_without_a_bin_are_refused() -> None:
    for broken in (
        Frontend(window_ms=4, hop_ms=2, mel_bins=80),
        Frontend(window_ms=30, mel_bins=80, high_hz=2000),
        Frontend(window_ms=30, mel_bins=10, low_hz=1001, high_hz=1020),
        Frontend(window_ms=30, mel_bins=10, low_hz=1000, high_hz=1020),
    ):
        with pytest.raises(FrontendError) as caught:
            sources(broken)
        for part in ("mel_bins", "low_hz", "high_hz", "window_ms", "sample_rate_hz"):
            assert part in str(caught.value)
        assert caught.value.hint is not None
        assert "fewer mel_bins" in caught.value.hint


def test_identity_follows_every_parameter_that_is_read() -> None:
    changed: dict[str, object] = {
        "kind": "log-mel",
        "sample_rate_hz": 8000,
        "clip_ms": 1020,
        "window_ms": 32.0,
        "hop_ms": 10.0,
        "mel_bins": 39,
        "low_hz": 30.0,
        "high_hz": 3900.0,
        "coefficients": 11,
    }
    base = MFCC.model_copy(update={"high_hz": 4000.0})
    assert set(changed) == set(Frontend.model_fields)
    found = {identity(base)}
    found |= {identity(base.model_copy(update={key: value})) for key, value in changed.items()}
    assert len(found) == 1 + len(changed)
    assert all(re.fullmatch(r"[0-9a-f]{16}", digits) for digits in found)


def test_identity_ignores_what_is_not_read() -> None:
    assert identity(LOG_MEL) == identity(LOG_MEL.model_copy(update={"coefficients": 20}))


def test_identity_follows_algorithm_and_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(LOG_MEL)
    with monkeypatch.context() as patch:
        patch.setattr("edgeprune.frontend.generate._algorithm", lambda: 1000)
        assert identity(LOG_MEL) != before
    other = Tables.of(LOG_MEL.model_copy(update={"low_hz": 21.0}))
    monkeypatch.setattr("edgeprune.frontend.generate._tables", lambda _: other)
    assert identity(LOG_MEL) != before


def test_configuration_header() -> None:
    for frontend in (LOG_MEL, MFCC):
        header = sources(frontend)["frontend_config.h"]
        found = dict(re.findall(r"#define EDGEPRUNE_FRONTEND_(\w+) (.+)", header))
        digits = identity(frontend)
        expected = {
            "SAMPLE_RATE": "16000",
            "WINDOW": "480",
            "HOP": "320",
            "FFT": "512",
            "MEL_BINS": "40",
            "FEATURES": str(frontend.features),
            "FRAMES": "49",
            "CLIP_SAMPLES": "16000",
            "FRACTION_BITS": str(fraction_bits(frontend)),
            "MFCC": "1" if frontend.kind == "mfcc" else "0",
            "IDENTITY": f'"{digits}"',
            "IDENTITY_WORDS": f"{{0x{digits[:8]}u, 0x{digits[8:]}u}}",
        }
        assert expected.items() <= found.items()


def test_sources_are_the_same_each_time() -> None:
    names = {"frontend.c", "frontend.h", "frontend_config.h", "frontend_tables.c"}
    assert sources(MFCC) == sources(MFCC.model_copy())
    assert set(sources(MFCC)) == names | {"frontend_arithmetic.h", "frontend_tables.h"}
