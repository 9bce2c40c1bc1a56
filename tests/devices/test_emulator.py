from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from edgeprune.cores import CORES
from edgeprune.devices import open_device
from edgeprune.devices.mailbox import Command
from edgeprune.errors import DeviceError, DeviceFault, IdentityError, ImageError

CORTEX_M = [name for name, core in CORES.items() if core.unicorn]
every_core = pytest.mark.parametrize("device", CORTEX_M, indirect=True)

FRONTEND, MODEL = "0123456789abcdef", "fedcba9876543210"


@every_core
def test_scores_and_features_are_the_references(session, clips, reference):
    for clip in clips:
        features = reference.features(clip)
        assert np.array_equal(session.frontend_pcm(clip), features)
        assert np.array_equal(session.infer_pcm(clip).scores, reference.scores(features))


def test_the_reference_tells_clips_apart(clips, reference):
    scores = {tuple(reference.scores(reference.features(clip))) for clip in clips}
    assert len(scores) > 8


@every_core
def test_measuring_changes_no_score_and_repeats(session, clips, reference):
    first = session.infer_pcm(clips[0], measure=True)
    session.infer_pcm(clips[1])
    again = session.infer_pcm(clips[0], measure=True)
    assert np.array_equal(first.scores, reference.scores(reference.features(clips[0])))
    assert first.cost == again.cost
    assert first.cost.frontend_frame.instructions > 500
    assert first.cost.inference.instructions > 1000
    assert first.cost.inference.cycles_estimate > 0
    assert 40 < first.cost.stack_bytes < 400
    assert session.infer_pcm(clips[0]).cost is None


def test_another_session_counts_the_same(device, session, clips):
    with device.open() as other:
        for _ in range(3):
            other.infer_pcm(clips[3])
        there = other.infer_pcm(clips[0], measure=True)
    here = session.infer_pcm(clips[0], measure=True)
    assert there.cost == here.cost


def test_the_stack_is_that_of_the_clip_alone(session, clips):
    before = session.infer_pcm(clips[0], measure=True).cost.stack_bytes
    bottom, top = session._stack
    # As if an earlier clip had gone deeper.
    session._board.write(bottom, bytes(64))
    assert session._stack_bytes() == top - bottom
    assert session.infer_pcm(clips[0], measure=True).cost.stack_bytes == before


def test_the_stack_is_as_deep_as_its_lowest_write(session):
    _, top = session._stack
    session._paint_stack()
    session._board.write(top - 404, b"used")
    assert session._stack_bytes() == 404


def test_start_up_paints_the_stack(session):
    assert 0 < session._stack_bytes() < 400


def test_the_firmware_counts_the_frames_of_a_clip(session, clips):
    session._push_clip(clips[0])
    assert session._mailbox.frames == 5
    session._push(clips[0])
    assert session._mailbox.frames == 12  # 800 samples
    session._request(Command.RESET)
    assert session._mailbox.frames == 0
    session._push(clips[0][:95])
    assert session._mailbox.frames == 0
    session._push(clips[0][95:96])
    assert session._mailbox.frames == 1


@every_core
def test_start_up_switches_the_fpu_on(session, device):
    coprocessors = int.from_bytes(session._board.read(0xE000ED88, 4), "little")
    assert coprocessors == (0x00F00000 if CORES[device.core].fpu else 0)


def test_features_give_the_scores_of_their_clip(session, clips, reference):
    for clip in clips[:3]:
        features = reference.features(clip)
        plain = session.infer_features(features, FRONTEND)
        assert np.array_equal(plain.scores, reference.scores(features))
        measured = session.infer_features(features, FRONTEND, measure=True)
        assert np.array_equal(measured.scores, plain.scores)
        from_pcm = session.infer_pcm(clip, measure=True)
        assert measured.cost.frontend_frame is None
        assert measured.cost.inference == from_pcm.cost.inference


def test_features_of_another_front_end_are_refused(session, clips, reference):
    features = reference.features(clips[0])
    other = "0123456789abcde0"
    with pytest.raises(IdentityError, match=f"{other}.*{FRONTEND}"):
        session.infer_features(features, other)
    with pytest.raises(IdentityError, match="'short' is not an identity"):
        session.infer_features(features, "short")
    # The refusal leaves the session usable, and the identity in the mailbox is the image's again.
    assert np.array_equal(
        session.infer_features(features, FRONTEND).scores, reference.scores(features)
    )


def test_an_image_of_another_program_is_refused(device):
    for field, what in (("identity", "model"), ("frontend_identity", "front-end")):
        manifest = dataclasses.replace(device.manifest, **{field: "f" * 16})
        with pytest.raises(IdentityError, match=f"the program has {what} ffffffffffffffff"):
            dataclasses.replace(device, manifest=manifest).open()
    manifest = dataclasses.replace(device.manifest, labels=("yes", "no"))
    with pytest.raises(DeviceError, match="3 scores, the program has 2 labels"):
        dataclasses.replace(device, manifest=manifest).open()


@pytest.mark.parametrize(
    "clip",
    [
        np.zeros(399, np.int16),
        np.zeros(401, np.int16),
        np.zeros(400, np.float32),
        np.zeros((1, 400), np.int16),
    ],
)
def test_clips_of_another_kind_are_refused(session, clip):
    for ask in (session.infer_pcm, session.frontend_pcm, session.profile, session.trace):
        with pytest.raises(DeviceError, match=r"a clip is int16 \[400\]"):
            ask(clip)


def test_features_of_another_shape_are_refused(session):
    with pytest.raises(DeviceError, match=r"features are int16 \[5, 8\]"):
        session.infer_features(np.zeros((8, 5), np.int16), FRONTEND)


def test_clips_in_any_memory_layout_are_taken(session, clips, reference):
    strided = np.repeat(clips[0], 2)[::2]
    swapped = clips[0].astype(">i2").view(strided.dtype.newbyteorder(">"))
    expected = reference.scores(reference.features(clips[0]))
    assert np.array_equal(session.infer_pcm(strided).scores, expected)
    assert np.array_equal(session.infer_pcm(swapped.astype(np.int16)).scores, expected)


def test_info_is_that_of_the_image(session):
    info = session.info()
    assert (info.clip_samples, info.frames, info.features, info.fraction_bits) == (400, 5, 8, 8)
    assert info.labels == ("_silence_", "yes", "no")
    assert (info.frontend_identity, info.model_identity) == (FRONTEND, MODEL)
    assert info.core == "cortex-m4"


def test_every_layers_output_is_traced(session, clips, reference):
    for clip in clips[:3]:
        features = reference.features(clip)
        assert session.trace(clip) == [
            reference.hidden(features).tobytes(),
            reference.scores(features).tobytes(),
        ]


def test_a_layer_without_a_function_can_not_be_traced(device, clips):
    layers = list(device.manifest.layers)
    layers[1] = dataclasses.replace(layers[1], symbol="edgeprune_layer_01_gone")
    manifest = dataclasses.replace(device.manifest, layers=tuple(layers))
    with dataclasses.replace(device, manifest=manifest).open() as session:
        with pytest.raises(DeviceError, match=r"layer 1 \(MEAN, scores\) has no function"):
            session.trace(clips[0])
        cost = session.profile(clips[0]).inference.layers
        assert cost[0].instructions and cost[1].instructions is None


def test_frames_beyond_the_window_push_out_the_oldest(session, clips, reference):
    frames = np.concatenate([reference.features(clip) for clip in clips[:3]])
    session._request(Command.RESET)
    for index, frame in enumerate(frames):
        session._request(Command.FEATURES, frame.tobytes())
        if index < 4:
            with pytest.raises(DeviceError, match=r"not enough frames yet \(INFER\)"):
                session._infer()
        else:
            window = frames[index - 4 : index + 1]
            assert np.array_equal(session._infer(), reference.scores(window))


def test_the_firmware_refuses_what_it_does_not_know(session):
    with pytest.raises(DeviceError, match="does not know the command"):
        session._request(_Unknown())
    for payload in (b"\0" * 3, b"\0" * 15, b"\0" * 17):
        with pytest.raises(DeviceError, match=r"length of the payload \(FEATURES\)"):
            session._request(Command.FEATURES, payload)
    with pytest.raises(DeviceError, match=r"length of the payload \(PCM\)"):
        session._request(Command.PCM, b"\0" * 3)
    with pytest.raises(DeviceError, match="does not fit the mailbox"):
        session._request(Command.PCM, b"\0" * 1000)
    session._request(Command.RESET)
    with pytest.raises(DeviceError, match=r"not enough frames yet \(READ_FRAME\)"):
        session._request(Command.READ_FRAME)


class _Unknown(int):
    name = "UNKNOWN"

    def __new__(cls):
        return super().__new__(cls, 77)


def test_a_crash_ends_the_session(session, clips):
    session._board.write(session._mailbox._address, b"\0" * 4)
    session._board._uc.reg_write(session._board._arm.UC_ARM_REG_SP, 0x10)
    with pytest.raises(DeviceFault):
        for _ in range(3):
            session.infer_pcm(clips[0])
    with pytest.raises(DeviceError, match="closed, or ended with a crash"):
        session.infer_pcm(clips[0])


def test_a_closed_session_refuses(device, clips):
    session = device.open()
    session.close()
    session.close()
    with pytest.raises(DeviceError, match="closed"):
        session.infer_pcm(clips[0])


def test_an_image_for_another_address_is_refused(device):
    memory = device.memory.model_copy(update={"flash_origin": 0})
    with pytest.raises(ImageError, match="outside of the flash of test-cortex-m4"):
        dataclasses.replace(device, memory=memory).open()


def test_the_m0plus_refuses_an_image_of_the_m4(device):
    with pytest.raises(DeviceFault, match="undefined instruction") as caught:
        dataclasses.replace(device, core="cortex-m0plus").open()
    assert caught.value.symbol == "Reset_Handler"


def test_devices_can_be_pickled(device, clips):
    with pickle.loads(pickle.dumps(device)).open() as session:  # noqa: S301
        assert session.infer_pcm(clips[0]).scores.shape == (3,)


def test_the_factory_opens_the_targets_device(images, clips):
    target, image = images("cortex-m4")
    with open_device(target, image=image) as session:
        assert session.info().device == target.name
    with pytest.raises(DeviceError, match="needs an image"):
        open_device(target)
