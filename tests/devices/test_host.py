from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgeprune.devices import BatchSession, HostDevice, make_device, run_clips
from edgeprune.errors import DeviceError, IdentityError
from edgeprune.frontend import identity
from edgeprune.recipe import Frontend
from edgeprune.target import Target

FRONTEND = Frontend()


@dataclasses.dataclass
class Manifest:
    identity: str = "f" * 16
    frontend_identity: str | None = dataclasses.field(default_factory=lambda: identity(FRONTEND))
    labels: tuple[str, ...] = ("a", "b")


class Program:
    """Scores are the first two samples."""

    def __init__(self, **manifest):
        self.manifest = Manifest(**manifest)

    def infer_pcm(self, clips):
        assert clips.flags.c_contiguous
        return clips[:, :2].astype(np.int8)


class Library:
    """Features are all the first sample."""

    frontend = FRONTEND
    identity = identity(FRONTEND)

    def features(self, clips):
        return np.stack([np.full((FRONTEND.frames, FRONTEND.features), clip[0]) for clip in clips])


LIBRARY = Library()


@pytest.fixture
def host():
    return HostDevice("host", Program(), LIBRARY)


@pytest.fixture
def clips():
    return np.arange(3 * 16000, dtype=np.int32).reshape(3, -1).astype(np.int16)


def test_tells_wall_time_and_nothing_that_it_can_not_measure(host, clips):
    with host.open() as session:
        result = session.infer_pcm(clips[1], measure=True)
        assert list(result.scores) == list(clips[1, :2].astype(np.int8))
        assert result.cost.wall_s > 0
        assert result.cost.frontend_frame is result.cost.inference is None
        assert result.cost.stack_bytes is None
        assert session.infer_pcm(clips[1]).cost is None


def test_takes_many_clips_at_once(host, clips):
    with host.open() as session:
        assert isinstance(session, BatchSession)
        assert np.array_equal(session.infer_clips(clips), clips[:, :2].astype(np.int8))
        with pytest.raises(DeviceError, match=r"clips are int16 \[clips, 16000\]"):
            session.infer_clips(clips[:, 1:])
    scores = [list(result.scores) for result in run_clips(host, clips)]
    assert scores == clips[:, :2].astype(np.int8).tolist()


def test_gives_the_programs_features(host, clips):
    with host.open() as session:
        features = session.frontend_pcm(clips[1])
    assert features.shape == (FRONTEND.frames, FRONTEND.features)
    assert (features == clips[1, 0]).all()


def test_says_what_it_runs(host):
    info = host.open().info()
    assert (info.device, info.core, info.labels) == ("host", "host", ("a", "b"))
    assert (info.clip_samples, info.frames, info.features) == (16000, 49, 40)
    assert info.frontend_identity == identity(FRONTEND)


@pytest.mark.parametrize("found", ["0" * 16, None])
def test_a_program_of_another_front_end_is_refused(found):
    with pytest.raises(IdentityError, match="the recipe has front-end"):
        HostDevice("host", Program(frontend_identity=found), LIBRARY).open()


def test_features_are_refused(host):
    features = np.zeros((FRONTEND.frames, FRONTEND.features), np.int16)
    with host.open() as session:
        with pytest.raises(IdentityError):
            session.infer_pcm(np.zeros(16000, np.int16), identity="0" * 16)
        with pytest.raises(IdentityError):
            session.infer_features(features, "0" * 16)
        with pytest.raises(DeviceError, match="takes PCM, not features"):
            session.infer_features(features, identity(FRONTEND))


def test_the_factory_makes_it_for_a_host_target():
    target = Target(name="here", core="host", device="host")
    program = Program()
    assert make_device(target, program=program, frontend=LIBRARY) == HostDevice(
        "here", program, LIBRARY
    )
    with pytest.raises(DeviceError, match="needs a host program"):
        make_device(target)
