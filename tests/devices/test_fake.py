from __future__ import annotations

import numpy as np
import pytest

from edgeprune.devices import Cost, FakeDevice, Session
from edgeprune.errors import DeviceError, DeviceTimeout, IdentityError

CLIP = np.arange(16000, dtype=np.int16)
FEATURES = np.ones((49, 40), np.int16)
IDENTITY = "0" * 16


def test_records_what_it_was_asked():
    fake = FakeDevice()
    session: Session = fake.open()
    with session:
        session.infer_pcm(CLIP, measure=True)
        session.infer_features(FEATURES, IDENTITY)
        assert session.frontend_pcm(CLIP).shape == (49, 40)
    kinds = ["open", "infer_pcm", "infer_features", "frontend_pcm", "close"]
    assert [call.kind for call in fake.calls] == kinds
    assert np.array_equal(fake.calls[1].data, CLIP) and fake.calls[1].measure
    assert np.array_equal(fake.calls[2].data, FEATURES)
    assert [call.kind for call in fake.inferences] == kinds[1:3]


def test_keeps_copies():
    fake, clip = FakeDevice(), CLIP.copy()
    fake.open().infer_pcm(clip)
    clip[:] = 0
    assert np.array_equal(fake.inferences[0].data, CLIP)


def test_answers_what_it_was_told():
    fake = FakeDevice(scores=lambda data: [int(data.flat[1]), 2, 3, 4], cost=Cost(stack_bytes=9))
    with fake.open() as session:
        assert list(session.infer_pcm(CLIP).scores) == [1, 2, 3, 4]
        assert session.infer_pcm(CLIP).scores.dtype == np.int8
        assert session.infer_pcm(CLIP).cost is None
        assert session.infer_pcm(CLIP, measure=True).cost == Cost(stack_bytes=9)


def test_fails_when_it_was_told_to():
    fake = FakeDevice(failures={1: DeviceTimeout("slow")})
    with fake.open() as session:
        session.infer_pcm(CLIP)
        with pytest.raises(DeviceTimeout, match="slow"):
            session.infer_features(FEATURES, IDENTITY)
        session.infer_pcm(CLIP)


def test_refuses_what_a_device_refuses():
    with FakeDevice().open() as session:
        with pytest.raises(DeviceError, match="a clip is int16"):
            session.infer_pcm(CLIP[1:])
        with pytest.raises(DeviceError, match="features are int16"):
            session.infer_features(FEATURES[1:], IDENTITY)
        with pytest.raises(IdentityError, match=r"f{16}"):
            session.infer_features(FEATURES, "f" * 16)
        with pytest.raises(IdentityError, match=r"f{16}"):
            session.infer_pcm(CLIP, identity="f" * 16)
        session.infer_pcm(CLIP, identity=IDENTITY)
    with pytest.raises(DeviceError, match="closed"):
        session.infer_pcm(CLIP)


def test_scores_of_another_length_are_a_mistake_in_the_test():
    with pytest.raises(ValueError, match="not one score a label"):
        FakeDevice(scores=lambda data: [1]).open().infer_pcm(CLIP)
