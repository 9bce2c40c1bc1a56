from __future__ import annotations

import io
import tarfile
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.errors import ToolchainError
from edgeprune.frontend import FrontendLibrary
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Toolchain, find_toolchain

#: The size that the issue's bounds are for: a 512-point transform, 40 mel bins, 10 coefficients.
MFCC = Frontend(kind="mfcc", window_ms=30, hop_ms=20, mel_bins=40, coefficients=10)
LOG_MEL = Frontend(kind="log-mel", window_ms=30, hop_ms=20, mel_bins=40)

Build = Callable[[Frontend], FrontendLibrary]


@pytest.fixture(scope="session")
def zig() -> Toolchain:
    return find_toolchain("zig")


@pytest.fixture(scope="session")
def host() -> Toolchain:
    try:
        return find_toolchain("host")
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def build(zig: Toolchain, build_cache: Path) -> Build:
    """Front-end to library; each is compiled once a session."""
    return lambda frontend: FrontendLibrary.build(frontend, zig, build_cache)


@pytest.fixture(scope="session")
def speech(shared_data: Path) -> NDArray[np.int16]:
    """Four dozen clips of many words and speakers, [clips, 16000]."""
    clips: list[NDArray[np.int16]] = []
    with tarfile.open(shared_data / "speech_commands_mini_v0.02.tar.gz") as archive:
        found = 0
        for member in archive:
            if not member.name.endswith(".wav") or "_background_noise_" in member.name:
                continue
            found += 1
            if found % 12:
                continue
            content = archive.extractfile(member)
            assert content is not None
            with wave.open(io.BytesIO(content.read())) as file:
                samples = np.frombuffer(file.readframes(16_000), dtype="<i2")
            clips.append(np.pad(samples, (0, 16_000 - len(samples))).astype(np.int16))
            if len(clips) == 48:
                break
    return np.stack(clips)
