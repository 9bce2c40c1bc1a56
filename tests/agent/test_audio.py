"""Where audio comes from."""

from __future__ import annotations

import os
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.audio import Block
from edgeprune.agent.edgeprune_agent.errors import AudioError
from edgeprune.agent.edgeprune_agent.sources import open_source
from tests.agent.tone_bundle import RATE_HZ, tone, write_wav

BLOCK = 320


def _open(name: object, **options: Any) -> Any:
    return open_source(str(name), RATE_HZ, BLOCK, **{"realtime": False, "device": None, **options})


def _samples(source: Any, count: int | None = None) -> np.ndarray:
    """All that comes, or of what does not end the first so many samples."""
    return np.concatenate([block.samples for block in _blocks(source, count)])


def _blocks(source: Any, count: int | None = None) -> Iterator[Block]:
    stop, left = threading.Event(), count
    for block in source.blocks(stop):
        yield block
        if left is not None:
            left -= len(block.samples)
            if left <= 0:
                stop.set()


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
    monkeypatch.setattr("edgeprune.agent.edgeprune_agent.audio_files.BACKLOG_S", 0.1)
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
    assert np.array_equal(_samples(_open(fifo), len(pcm)), pcm)
    writer.join()


def test_the_writers_of_a_pipe_come_and_go(fifo: Path) -> None:
    first, second = tone(700, 100), tone(900, 100)
    source, begun = _open(fifo), []
    writer = _written(fifo, [first.astype("<i2").tobytes() + b"!"])
    for block in _blocks(source, len(first) + len(second)):
        if block.fresh:
            begun.append(block)
        if not writer.is_alive() and not begun and block.samples.size == 0:
            writer = _written(fifo, [second.astype("<i2").tobytes()])
    writer.join()
    assert np.array_equal(begun[0].samples, second[: len(begun[0].samples)])
    assert len(begun) == 1


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
    monkeypatch.setattr("edgeprune.agent.edgeprune_agent.queued.BACKLOG_S", 0.1)
    pcm = tone(700, 500)
    writer = _written(fifo, [pcm.astype("<i2").tobytes()])
    source = _open(fifo)
    found = []
    for block in _blocks(source, len(pcm)):
        time.sleep(0.005)
        found.append(block.samples)
    writer.join()
    assert np.array_equal(np.concatenate(found), pcm)
    assert source.overruns > 3


def test_a_pipe_that_can_t_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="Is a directory"):
        _samples(_open(tmp_path))
