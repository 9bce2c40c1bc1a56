"""Features and network inputs are those of the host, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.bundle import open_bundle
from edgeprune.agent.edgeprune_agent.errors import BundleError, FrontendError
from edgeprune.agent.edgeprune_agent.frontend import FrontEnd, Settings
from tests.agent.tone_bundle import FRONTEND, Parts, add


@pytest.fixture(scope="module")
def frontend(bundle: Path) -> FrontEnd:
    return FrontEnd(open_bundle(bundle, ()))


def test_clips_become_the_hosts_inputs(frontend: FrontEnd, parts: Parts) -> None:
    rng = np.random.default_rng(3)
    scales = np.array([[0], [30], [3000], [32767]])
    clips = (rng.uniform(-1, 1, (4, FRONTEND.clip_samples)) * scales).astype(np.int16)
    inputs = frontend.inputs(clips)
    assert inputs.dtype == np.int8
    assert np.array_equal(inputs, parts.program.quantize_pcm(clips))
    assert np.array_equal(inputs, parts.inputs(clips).reshape(4, -1))
    assert len(np.unique(inputs)) > 50


def test_every_feature_is_quantized_as_the_c_does_it(frontend: FrontEnd, parts: Parts) -> None:
    rng = np.random.default_rng(4)
    features = rng.integers(-(2**15), 2**15, (500, FRONTEND.features)).astype(np.int16)
    features[0], features[1] = -(2**15), 2**15 - 1
    assert np.array_equal(frontend.settings.quantize(features), parts.quantization.apply(features))


def test_a_stream_gives_the_clips_frames_whatever_the_pieces(frontend: FrontEnd) -> None:
    rng = np.random.default_rng(5)
    clip = rng.normal(0, 3000, FRONTEND.clip_samples).astype(np.int16)
    whole = frontend.inputs(clip[None]).reshape(FRONTEND.frames, FRONTEND.features)
    for pieces in (1, 7, 40):
        stream = frontend.stream()
        cuts = np.sort(rng.integers(0, len(clip), pieces - 1))
        frames = [stream.push(piece) for piece in np.split(clip, cuts)]
        assert np.array_equal(np.concatenate(frames), whole)


def test_streams_do_not_share_their_state(frontend: FrontEnd) -> None:
    first, second = frontend.stream(), frontend.stream()
    samples = np.full(FRONTEND.window, 1000, np.int16)
    first.push(samples[:-1])
    assert len(second.push(samples[:1])) == 0
    assert len(first.push(samples[-1:])) == 1


@pytest.mark.parametrize(
    "clips", [np.zeros((1, 10), np.int16), np.zeros((1, 6400)), np.zeros(6400, np.int16)]
)
def test_other_clips_are_refused(frontend: FrontEnd, clips: np.ndarray) -> None:
    with pytest.raises(FrontendError, match=r"int16 \[clips, 6400\] is needed"):
        frontend.inputs(clips)


def _settings(change: Callable[[dict[str, Any]], object], folder: Path) -> Path:
    values = json.loads((folder / "frontend.json").read_text())
    change(values)
    return add(folder, {"frontend.json": json.dumps(values)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("hop"), "is not complete"),
        (lambda v: v.update(input=None), "is not complete"),
        (lambda v: v.update(frames=v["frames"] + 1), "contradict"),
        (lambda v: v["input"]["offsets"].pop(), "contradict"),
        (lambda v: v["input"].update(shift=40), "contradict"),
        (lambda v: v["input"]["multipliers"].__setitem__(0, 2**30), "contradict"),
        (lambda v: v["input"]["offsets"].__setitem__(0, 2**40), "is not complete"),
    ],
)
def test_settings_that_can_t_be_are_refused(
    fresh: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        Settings.read(open_bundle(_settings(change, fresh), ()))


def test_a_library_of_another_front_end_is_refused(fresh: Path) -> None:
    _settings(lambda v: v.update(identity="0" * 16), fresh)
    with pytest.raises(FrontendError, match=r"is of the front-end .*; 0000000000000000 is needed"):
        FrontEnd(open_bundle(fresh, ()))


def test_a_library_for_another_machine_is_refused(fresh: Path) -> None:
    add(fresh, {"lib/libedgeprune_frontend.so": b"\x7fELF of another kind"})
    with pytest.raises(FrontendError, match="can't be loaded") as caught:
        FrontEnd(open_bundle(fresh, ()))
    assert "another architecture" in caught.value.hint
