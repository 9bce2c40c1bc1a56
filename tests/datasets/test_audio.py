"""Decoding, and what is refused; fitting a recording to a clip."""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeprune.datasets.audio import decode, fit, level_db, resample, scale_to_level, to_pcm
from edgeprune.errors import DatasetError, MissingExtraError

PLACE = "archive.tar.gz: yes/a.wav"


def test_int16_comes_back_bit_for_bit(files: Any) -> None:
    pcm = files.tone(1)
    for kind in ("WAV", "FLAC"):
        recording = decode(files.encode(pcm, 22_050, kind), PLACE)
        assert recording.samples.dtype == np.int16
        assert np.array_equal(recording.samples[:, 0], pcm)
        assert (recording.rate_hz, recording.channels) == (22_050, 1)
        assert recording.seconds == pytest.approx(len(pcm) / 22_050)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
def test_other_sample_formats_are_floats_at_full_scale_one(files: Any, subtype: str) -> None:
    pcm = np.stack([files.tone(1), -files.tone(2)], axis=1)
    recording = decode(files.encode(pcm / 32768.0, subtype=subtype), PLACE)
    assert recording.channels == 2
    tolerance = 0.01 if subtype == "PCM_U8" else 1e-6
    np.testing.assert_allclose(recording.samples, pcm / 32768.0, atol=tolerance)


def _bad_files(files: Any) -> dict[str, tuple[bytes, str]]:
    wav, flac = files.encode(files.tone(1)), files.encode(files.tone(1), kind="FLAC")
    floats = files.tone(1) / 32768.0
    nan, inf = floats.copy(), floats.copy()
    nan[7], inf[-1] = np.nan, -np.inf
    return {
        "empty": (b"", "0 bytes"),
        "text": (b"not audio at all" * 50, "neither WAV nor FLAC"),
        "random": (np.random.default_rng(0).bytes(30_000), "neither WAV nor FLAC"),
        "mp3": (b"\xff\xfb\x90\x00" * 500, "neither WAV nor FLAC"),
        "aiff": (files.encode(files.tone(1), kind="AIFF"), "neither WAV nor FLAC"),
        "riff only": (b"RIFF", "can't be read"),
        "header cut": (wav[:30], "can't be read"),
        "header alone": (wav[:44], "promises 32000 bytes of samples, it holds 0"),
        "half": (wav[: 44 + 16_000], "promises 32000 bytes of samples, it holds 16000"),
        "one byte short": (wav[:-1], "promises 32000 bytes of samples, it holds 31999"),
        "flac half": (flac[: len(flac) // 2], "can't be read|promises"),
        "no samples": (files.encode(files.tone(1)[:0]), "no samples"),
        "nan": (files.encode(nan, subtype="FLOAT"), "not finite"),
        "inf": (files.encode(inf, subtype="DOUBLE"), "not finite"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "empty",
        "text",
        "random",
        "mp3",
        "aiff",
        "riff only",
        "header cut",
        "header alone",
        "half",
        "one byte short",
        "flac half",
        "no samples",
        "nan",
        "inf",
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(files: Any, case: str) -> None:
    content, said = _bad_files(files)[case]
    with pytest.raises(DatasetError, match=said) as caught:
        decode(content, PLACE)
    assert caught.value.where == PLACE


def test_a_streamed_wav_without_a_length_is_read(files: Any) -> None:
    wav = files.encode(files.tone(1))
    streamed = wav[:40] + struct.pack("<I", 0xFFFFFFFF) + wav[44:]
    assert np.array_equal(decode(streamed, PLACE).samples[:, 0], files.tone(1))


def test_chunks_before_the_samples_are_passed_over(files: Any) -> None:
    wav = files.encode(files.tone(1))
    note = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    with_note = wav[:12] + note + wav[12:]
    assert np.array_equal(decode(with_note, PLACE).samples[:, 0], files.tone(1))
    with pytest.raises(DatasetError, match="truncated"):
        decode(with_note[:-100], PLACE)


@given(st.binary(max_size=400), st.integers(0, 400), st.sampled_from(["WAV", "FLAC"]))
def test_no_bytes_whatever_bring_it_down(noise: bytes, place: int, kind: str) -> None:
    import io

    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.arange(200, dtype=np.int16), 16_000, format=kind)
    whole = buffer.getvalue()
    broken = whole[:place] + noise + whole[place + len(noise) :]
    try:
        recording = decode(broken, PLACE)
    except DatasetError as error:
        assert error.where == PLACE
    else:
        assert np.isfinite(recording.samples).all()


def test_a_missing_package_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(MissingExtraError, match="soundfile") as caught:
        decode(b"", PLACE)
    assert caught.value.extra == "train"
    with pytest.raises(MissingExtraError, match="soxr"):
        resample(np.zeros(10, np.float32), 8_000, 16_000)


def test_resampling_keeps_pitch_and_length() -> None:
    time = np.arange(22_050) / 22_050
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    changed = resample(tone, 22_050, 16_000)
    assert abs(len(changed) - 16_000) <= 1
    assert np.abs(np.fft.rfft(changed)).argmax() == 440
    assert resample(tone, 8_000, 8_000) is tone


def test_floats_are_rounded_and_clipped() -> None:
    floats = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 1.6 / 32768, -1.6 / 32768], np.float32)
    assert to_pcm(floats).tolist() == [0, 32767, -32768, 32767, -32768, 2, -2]


def test_levels_are_in_db_below_full_scale() -> None:
    sine = np.sin(np.arange(16_000) * 2 * np.pi / 100).astype(np.float32)
    assert level_db(sine) == pytest.approx(-3.01, abs=0.01)
    assert level_db(scale_to_level(sine, -40.0)) == pytest.approx(-40.0, abs=0.01)
    assert np.abs(scale_to_level(sine, 10.0)).max() == pytest.approx(0.99, abs=1e-3)
    assert level_db(np.zeros(5, np.float32)) == -np.inf
    assert not scale_to_level(np.zeros(5, np.float32), -10.0).any()


def test_a_short_clip_stands_in_the_middle() -> None:
    assert fit(np.array([5, 6, 7], np.int16), 8).tolist() == [0, 0, 5, 6, 7, 0, 0, 0]


def test_a_long_clip_keeps_its_loudest_window() -> None:
    samples = np.full(1000, 3, np.int16)
    samples[600:640] = -32768
    window = fit(samples, 100)
    assert np.count_nonzero(window == -32768) == 40
    assert np.array_equal(fit(np.zeros(10, np.int16), 4), np.zeros(4))


@given(
    arrays.arrays(np.int16, st.integers(1, 300)),
    st.integers(1, 300),
)
def test_fitting_keeps_as_much_energy_as_fits(samples: np.ndarray, length: int) -> None:
    fitted = fit(samples, length)
    assert fitted.shape == (length,)
    assert fitted.dtype == np.int16
    energies = [
        int(np.square(samples[start : start + length], dtype=np.int64).sum())
        for start in range(max(len(samples) - length + 1, 1))
    ]
    assert int(np.square(fitted, dtype=np.int64).sum()) == max(energies)
