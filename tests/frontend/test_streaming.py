"""A stream in pieces of any size gives what the whole clip gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.errors import FrontendError
from edgeprune.recipe import Frontend
from tests.frontend.conftest import LOG_MEL, Build

ODD = Frontend(sample_rate_hz=8000, window_ms=4.125, hop_ms=3.125, mel_bins=4, high_hz=4000)
ALL_NEW = Frontend(window_ms=8, hop_ms=8, mel_bins=10)


def _clip(frontend: Frontend, seed: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    return rng.integers(-9000, 9000, frontend.clip_samples).astype(np.int16)


@pytest.mark.parametrize("frontend", [LOG_MEL, ODD, ALL_NEW], ids=["usual", "odd", "no overlap"])
@pytest.mark.parametrize("chunk", [1, 7, 160, 321, 5000, 16_000])
def test_chunks_do_not_matter(frontend: Frontend, chunk: int, build: Build) -> None:
    library = build(frontend)
    clip = _clip(frontend, 1)
    stream = library.stream()
    pieces = [stream.push(clip[at : at + chunk]) for at in range(0, len(clip), chunk)]
    np.testing.assert_array_equal(np.concatenate(pieces), library.features(clip[None])[0])


def test_random_chunks(build: Build) -> None:
    library = build(LOG_MEL)
    clip = _clip(LOG_MEL, 2)
    rng = np.random.default_rng(3)
    for _ in range(20):
        stream = library.stream()
        cuts = np.sort(rng.integers(0, len(clip), rng.integers(0, 60)))
        pieces = [stream.push(piece) for piece in np.split(clip, cuts)]
        np.testing.assert_array_equal(np.concatenate(pieces), library.features(clip[None])[0])


def test_frames_come_as_soon_as_they_can(build: Build) -> None:
    stream = build(LOG_MEL).stream()
    clip = _clip(LOG_MEL, 4)
    assert len(stream.push(clip[:479])) == 0
    assert len(stream.push(clip[479:480])) == 1
    assert len(stream.push(clip[480:799])) == 0
    assert len(stream.push(clip[799:800])) == 1
    assert len(stream.push(clip[:0])) == 0


def test_reset_forgets(build: Build) -> None:
    library = build(ODD)
    first, second = _clip(ODD, 5), _clip(ODD, 6)
    stream = library.stream()
    stream.push(first[:-3])
    stream.reset()
    np.testing.assert_array_equal(stream.push(second), library.features(second[None])[0])


def test_streams_do_not_touch_each_other(build: Build) -> None:
    library = build(LOG_MEL)
    clips = [_clip(LOG_MEL, 7), _clip(LOG_MEL, 8)]
    streams = [library.stream(), library.stream()]
    found: list[list[NDArray[np.int16]]] = [[], []]
    for at in range(0, 16_000, 500):
        for stream, clip, frames in zip(streams, clips, found, strict=True):
            frames.append(stream.push(clip[at : at + 500]))
    for clip, frames in zip(clips, found, strict=True):
        np.testing.assert_array_equal(np.concatenate(frames), library.features(clip[None])[0])


def test_a_stream_goes_on_past_the_clip(build: Build) -> None:
    """Frames depend on their own window only: no statistic of what came before."""
    library = build(LOG_MEL)
    clip = _clip(LOG_MEL, 9)
    stream = library.stream()
    stream.push(np.tile(clip[::-1], 2)[: 320 * 80])
    later = stream.push(clip)[1:]
    np.testing.assert_array_equal(later, library.features(clip[None])[0])


@pytest.mark.parametrize(
    "bad",
    [np.zeros((2, 100), np.int16), np.zeros(100, np.float32), [1, 2, 3]],
    ids=["matrix", "float", "list"],
)
def test_bad_samples(bad: NDArray[np.int16], build: Build) -> None:
    with pytest.raises(FrontendError):
        build(LOG_MEL).stream().push(bad)
