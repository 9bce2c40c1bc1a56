"""Bits that must not change unnoticed: features that models were trained on depend on them."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

from edgeprune.frontend import sources
from edgeprune.recipe import Frontend
from tests.frontend.conftest import LOG_MEL, MFCC, Build

#: Algorithm number to SHA-256 (first digits) of the features of one clip.
GOLDEN: dict[int, dict[str, str]] = {
    1: {
        "log-mel": "8e422d70e7c457fe",
        "mfcc": "e1e0132077028e57",
        "1024": "9df971dd627f9def",
        "64": "2bb75d7439344b97",
    },
}
FRONTENDS = {
    "log-mel": LOG_MEL,
    "mfcc": MFCC,
    "1024": Frontend(window_ms=64, hop_ms=32, mel_bins=80, low_hz=0, high_hz=8000),
    "64": Frontend(sample_rate_hz=8000, window_ms=4, hop_ms=2, mel_bins=5, high_hz=4000),
}


def _clip(samples: int) -> np.ndarray:
    """Noise that swells to full scale, from integer arithmetic only."""
    state, values = 12345, []
    for index in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(((state >> 16) - 32768) * index // samples)
    return np.array(values, np.int16)


@pytest.mark.parametrize("name", FRONTENDS)
def test_features_change_only_with_the_algorithm_number(name: str, build: Build) -> None:
    frontend = FRONTENDS[name]
    header = sources(frontend)["frontend.h"]
    number = re.search(r"EDGEPRUNE_FRONTEND_ALGORITHM (\d+)", header)
    assert number is not None
    features = build(frontend).features(_clip(frontend.clip_samples)[None])
    digest = hashlib.sha256(features.astype("<i2").tobytes()).hexdigest()[:16]
    assert digest == GOLDEN[int(number[1])][name], (
        "other bits: raise EDGEPRUNE_FRONTEND_ALGORITHM and add a row to GOLDEN"
    )
