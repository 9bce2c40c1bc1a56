"""Where audio comes from."""

from __future__ import annotations

import os
import sys
import threading
import time
import types
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.audio import Microphone, open_source
from edgeprune.agent.edgeprune_agent.errors import AudioError
from tests.agent.tone_bundle import RATE_HZ, tone, write_wav

BLOCK = 320


def _open(name: object, **options: Any) -> Any:
    return open_source(str(name), RATE_HZ, BLOCK, **{"realtime": False, "device": None, **options})


def _samples(source: Any) -> np.ndarray:
    return np.concatenate([block.samples for block in source.blocks(threading.Event())])


def test_a_wav_file_is_given_whole(tmp_path: Path) -> None:
    pcm = tone(500, 333)
    assert np.array_equal(_samples(_open(write_wav(tmp_path / "a.wav", pcm))), pcm)


def test_a_wav_file_is_paced(tmp_path: Path) -> None:
    source = _open(write_wav(tmp_path / "a.wav", tone(500, 300)), realtime=True)
    begin = time.monotonic()
    arrived = [block.arrived - begin for block in source.blocks(threading.Event())]
    assert arrived == pytest.approx([0.02 * (n + 1) for n in range(15)], abs=0.01)
    assert time.monotonic() - begin >= 0.3
    assert source.overruns == 0


def test_a_paced_file_does_not_wait_for_who_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprune.agent.edgeprune_agent.audio._BACKLOG_S", 0.1)
    source = _open(write_wav(tmp_path / "a.wav", tone(500, 400)), realtime=True)
    delays = []
    for block in source.blocks(threading.Event()):
        time.sleep(0.04)
        delays.append(time.monotonic() - block.arrived)
    assert delays[-1] > 0.35
    assert source.overruns > 5


@pytest.mark.parametrize(
    ("channels", "bytes_", "rate"), [(2, 2, RATE_HZ), (1, 1, RATE_HZ), (1, 2, 8000)]
)
def test_wav_of_another_kind_is_refused(
    tmp_path: Path, channels: int, bytes_: int, rate: int
) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bytes_)
        file.setframerate(rate)
        file.writeframes(bytes(640))
    with pytest.raises(AudioError, match="1 of 16 bits at 16000 Hz is needed") as caught:
        _open(path)
    assert caught.value.hint.startswith("sox ")


def test_what_is_not_there_or_no_wav_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="No such file"):
        _open(tmp_path / "none.wav")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match="can't be read as WAV"):
        _open(tmp_path / "a.wav")


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "audio"
    os.mkfifo(path)
    return path


def _written(path: Path, pieces: list[bytes], pause_s: float = 0.0) -> threading.Thread:
    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                time.sleep(pause_s)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_a_pipe_is_read_whatever_the_pieces(fifo: Path) -> None:
    pcm = tone(700, 333)
    content = pcm.astype("<i2").tobytes()
    cuts = [1, 100, 333, 334, 2001, 9000]
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    writer = _written(fifo, pieces, pause_s=0.02)
    assert np.array_equal(_samples(_open(fifo)), pcm)
    writer.join()


def test_a_pipe_that_is_silent_ticks_and_can_be_stopped(fifo: Path) -> None:
    stop = threading.Event()
    source = _open(fifo)
    empty = []
    begin = time.monotonic()
    for block in source.blocks(stop):
        empty.append(len(block.samples))
        if len(empty) == 3:
            stop.set()
    assert empty == [0, 0, 0]
    assert time.monotonic() - begin < 2
    _written(fifo, []).join()


def test_a_writer_waits_for_who_is_slow_and_nothing_is_lost(
    fifo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprune.agent.edgeprune_agent.audio._BACKLOG_S", 0.1)
    pcm = tone(700, 500)
    writer = _written(fifo, [pcm.astype("<i2").tobytes()])
    source = _open(fifo)
    found = []
    for block in source.blocks(threading.Event()):
        time.sleep(0.005)
        found.append(block.samples)
    writer.join()
    assert np.array_equal(np.concatenate(found), pcm)
    assert source.overruns > 3


class _FakeStream:
    """PortAudio's thread, as far as it is needed."""

    def __init__(self, **options: Any) -> None:
        if options["device"] == "nothing":
            raise ValueError("No input device matching 'nothing'")
        self.options = options
        _FakeStream.last = self

    def __enter__(self) -> _FakeStream:
        return self

    def __exit__(self, *rest: object) -> None:
        return

    def give(self, samples: np.ndarray, status: object = None) -> None:
        self.options["callback"](samples.tobytes(), len(samples), None, status)


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("sounddevice")
    module.RawInputStream = _FakeStream  # type: ignore[attr-defined]
    module.PortAudioError = type("PortAudioError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)


@pytest.mark.usefixtures("sounddevice")
def test_a_microphone_gives_blocks_and_counts_what_is_lost() -> None:
    microphone = _open("alsa", device="3")
    stream = _FakeStream.last
    assert (stream.options["samplerate"], stream.options["device"]) == (RATE_HZ, 3)
    assert isinstance(microphone, Microphone)
    room = 2 * RATE_HZ // BLOCK
    for number in range(room + 5):
        stream.give(np.full(BLOCK, number, np.int16))
    blocks: Iterator[Any] = microphone.blocks(threading.Event())
    assert [int(next(blocks).samples[0]) for _ in range(room)] == list(range(room))
    stream.give(np.full(BLOCK, 999, np.int16), status="input overflow")
    after = next(blocks)
    assert (int(after.samples[0]), after.lost) == (999, 5 * BLOCK)
    assert microphone.overruns == 6
    assert microphone.live
    stream.give(np.zeros(BLOCK, np.int16))
    assert next(blocks).lost == 0


@pytest.mark.usefixtures("sounddevice")
def test_a_microphone_that_can_t_be_opened_is_told() -> None:
    with pytest.raises(AudioError, match="the microphone nothing can't be opened"):
        _open("alsa", device="nothing")


def _absent(name: str) -> Callable[..., Any]:
    raise OSError("PortAudio library not found")


def test_without_portaudio_another_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeprune.agent.edgeprune_agent.audio.importlib.import_module", _absent)
    with pytest.raises(AudioError, match="PortAudio library not found") as caught:
        _open("alsa")
    assert "arecord" in caught.value.hint


def test_a_pipe_that_can_t_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="Is a directory"):
        _samples(_open(tmp_path))
