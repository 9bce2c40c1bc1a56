"""The voice assistant, on tones that stand for words."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock, call

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.audio import Block
from edgeprune.agent.edgeprune_agent.bundle import open_bundle
from edgeprune.agent.edgeprune_agent.detector import Detector
from edgeprune.agent.edgeprune_agent.engine import open_engine
from edgeprune.agent.edgeprune_agent.health import HealthFile
from edgeprune.agent.edgeprune_agent.hearing import Hearing
from edgeprune.agent.edgeprune_agent.listening import Listener
from edgeprune.agent.edgeprune_agent.mqtt import Publisher
from tests.agent.conftest import Device
from tests.agent.tone_bundle import FRONTEND, RELEASE, Parts, tone, write_wav
from tests.agent.waiting import wait_for


def _scene() -> np.ndarray:
    """A low tone at 1.0 s, a high one at 2.4 s; 3.4 s in all."""
    pieces = [(0, 1000), (400, 500), (0, 900), (3000, 500), (0, 500)]
    return np.concatenate([tone(hz, ms) for hz, ms in pieces])


def _heard(lines: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(each["label"], each["at_s"]) for each in lines if each["kind"] == "detection"]


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "scene.wav", _scene())


NATIVE = ("listen", "--runtime", "native", "--input")


def test_words_of_a_wav_file_are_heard_where_they_are(
    bundle: Path, device: Device, wav: Path
) -> None:
    answer = device.run(bundle, *NATIVE, wav)
    assert answer.code == 0, answer
    (low, low_at), (high, high_at) = _heard(answer.lines)
    assert (low, high) == ("low", "high")
    assert 1.0 < low_at <= 1.7
    assert 2.4 < high_at <= 3.1
    first = answer.of("detection")[0]
    assert 0.7 <= first["score"] <= 1
    assert first["release"] == RELEASE
    assert first["delay_ms"] >= 0
    summary = answer.last
    assert (summary["kind"], summary["reason"]) == ("summary", "end of audio")
    assert (summary["audio_s"], summary["detections"], summary["every_ms"]) == (3.4, 2, 100)
    assert 0 < summary["real_time_factor"] < 1
    assert summary["delay_ms"]["p50"] > 0
    assert summary["runtime"] == "native"
    assert (summary["overruns"], summary["lost_s"], summary["mqtt"]) == (0, 0, None)


def test_a_stream_is_scored_like_the_clips_that_lie_in_it(bundle: Path, parts: Parts) -> None:
    """Every window of the stream gives the scores of the same clip on the host."""
    scene, hop = _scene(), FRONTEND.hop
    engine = open_engine(open_bundle(bundle, ()), runtime="native")
    pushed: list[tuple[float, list[float]]] = []

    class Spy(Detector):
        def push(self, posteriors: np.ndarray, at_s: float) -> None:
            pushed.append((at_s, posteriors.tolist()))

    spy = Spy(engine.labels, thresholds={}, threshold=1.0, smoothing=1, refractory_s=0)
    told = HealthFile(None, RELEASE)
    listener = Listener(engine, spy, every=3, status_s=99, health=told, publisher=None)
    for piece in np.array_split(scene, 57):
        listener._take(Block(piece, time.monotonic()))
    span = FRONTEND.window + (FRONTEND.frames - 1) * hop
    starts = range(0, len(scene) - span + 1, 3 * hop)
    clips = [np.pad(scene[at : at + span], (0, FRONTEND.clip_samples - span)) for at in starts]
    scores = parts.program.infer_pcm(np.stack(clips))
    assert [at for at, _ in pushed] == [(at + span) / 16_000 for at in starts]
    assert [each for _, each in pushed] == ((scores.astype(float) + 128) / 256).tolist()


def test_lost_samples_move_the_time(bundle: Path) -> None:
    engine = open_engine(open_bundle(bundle, ()), runtime="native")
    detector = Detector(engine.labels, thresholds={}, threshold=0.7, smoothing=1, refractory_s=0)
    lines = []
    for lost in (0, 16_000):
        listener = Listener(
            engine, detector, every=1, status_s=99, health=HealthFile(None, ""), publisher=None
        )
        ends: list[float] = []
        listener._infer = lambda at_s, block, ends=ends: ends.append(at_s)  # type: ignore[method-assign,misc]
        listener._take(Block(tone(0), 0.0, lost))
        lines.append(ends[0])
    assert lines[1] - lines[0] == pytest.approx(1.0)


def test_thresholds_are_taken_by_keyword(bundle: Path, device: Device, wav: Path) -> None:
    only_high = device.run(bundle, *NATIVE, wav, "--threshold", "low=1")
    assert [label for label, _ in _heard(only_high.lines)] == ["high"]
    nothing = device.run(bundle, *NATIVE, wav, "--threshold", "1")
    assert (nothing.code, nothing.last["detections"]) == (0, 0)


def test_arguments_may_lie_in_a_file(bundle: Path, device: Device, wav: Path) -> None:
    (device.home / "listen.args").write_text(f"--input\n{wav}\n--threshold\n1\n")
    answer = device.run(bundle, "listen", "@listen.args", "--every-ms", 300)
    assert (answer.last["detections"], answer.last["every_ms"]) == (0, 300)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--threshold", "maybe=0.5"), "the network knows silence, low, high"),
        (("--threshold", "low=much"), "no number from 0 to 1"),
        (("--threshold", "1.5"), "no number from 0 to 1"),
        (("--threshold", "nan"), "no number from 0 to 1"),
        (("--every-ms", "-1"), "no time"),
        (("--mqtt", ":1883"), "HOST or HOST:PORT"),
        (("--mqtt", "broker:many"), "HOST or HOST:PORT"),
        (("--mqtt", "broker", "--mqtt-topic", "home/#"), "can't be in an MQTT topic"),
        (("--mqtt", "broker", "--mqtt-password-file", "none"), "can't be read"),
    ],
)
def test_wrong_options_are_told(
    bundle: Path, device: Device, wav: Path, arguments: tuple[str, ...], message: str
) -> None:
    answer = device.run(bundle, *NATIVE, wav, *arguments)
    assert (answer.code, answer.last["error"]) == (2, "UsageError")
    assert message in answer.last["message"]


def _health(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def test_a_service_hears_through_a_fifo_and_ends_by_sigterm(
    bundle: Path, device: Device, tmp_path: Path
) -> None:
    fifo, file = tmp_path / "audio", tmp_path / "state" / "health.json"
    os.mkfifo(fifo)
    options = ("--health-file", file, "--status-s", 0.2)
    with device.start(bundle, *NATIVE, fifo, *options) as service:
        waiting = wait_for(lambda: _health(file))
        assert (waiting["healthy"], waiting["detail"]) == (True, "waiting for audio")
        assert waiting["audio"] == "idle"
        with fifo.open("wb", buffering=0) as audio:
            audio.write(_scene().astype("<i2").tobytes())
            lines: list[dict[str, Any]] = []
            while "high" not in [label for label, _ in _heard(lines)]:
                lines.append(service.line())
            wait_for(lambda: _health(file)["audio"] == "heard")
            first = _health(file)
            wait_for(lambda: _health(file)["at"]["monotonic_s"] > first["at"]["monotonic_s"])
            service.process.send_signal(signal.SIGTERM)
            rest = [json.loads(line) for line in service.stdout]
            assert service.process.wait(20) == 0
    assert (first["pid"], first["release"]) == (service.process.pid, RELEASE)
    assert first["at"]["monotonic_s"] >= first["started"]["monotonic_s"]
    assert [label for label, _ in _heard(lines)] == ["low", "high"]
    assert any(line["kind"] == "status" for line in lines + rest)
    assert (rest[-1]["kind"], rest[-1]["reason"]) == ("summary", "stopped")
    ended = _health(file)
    assert (ended["healthy"], ended["detail"]) == (False, "ended: stopped")


def test_standard_input_is_heard_and_a_wav_file_in_real_time(
    bundle: Path, device: Device, wav: Path
) -> None:
    raw = device.run(bundle, *NATIVE, "-", stdin=_scene().astype("<i2").tobytes())
    begin = time.monotonic()
    paced = device.run(bundle, *NATIVE, wav, "--realtime", "--status-s", 1)
    assert time.monotonic() - begin > 3.4
    assert (
        _heard(raw.lines) == _heard(paced.lines) == _heard(device.run(bundle, *NATIVE, wav).lines)
    )
    assert len(paced.of("status")) == 3
    assert paced.last["cpu_share"] < 0.9
    assert paced.last["audio_s"] == raw.last["audio_s"] == 3.4


def test_a_reader_that_goes_away_ends_the_service(
    bundle: Path, device: Device, tmp_path: Path
) -> None:
    """An SSH session that broke must leave nobody behind."""
    fifo = tmp_path / "audio"
    os.mkfifo(fifo)
    with device.start(bundle, *NATIVE, fifo, "--status-s", 0.1) as service:
        assert [service.line()["kind"] for _ in range(2)] == ["audio", "status"]
        service.stdout.close()
        assert service.process.wait(20) == 2


def test_audio_that_can_t_be_opened_is_in_the_health_file(bundle: Path, device: Device) -> None:
    answer = device.run(bundle, *NATIVE, "none.wav", "--health-file", "health.json")
    assert (answer.code, answer.last["error"]) == (2, "AudioError")
    told = _health(device.home / "health.json")
    assert not told["healthy"]
    assert "none.wav" in told["detail"]


class _Silent:
    """A microphone that gives a block, and then nothing."""

    name = "a microphone"
    live = True
    overruns = 0
    missing: str | None = None

    def cpu_s(self) -> float:
        return 0.0

    def __init__(self, *arrived: float | None) -> None:
        self._arrived = arrived

    def blocks(self, stop: object) -> Any:
        now = time.monotonic()
        for ago in self._arrived:
            samples = np.zeros(0 if ago is None else 320, np.int16)
            yield Block(samples, now - (ago or 0))


@pytest.mark.parametrize(
    ("arrived", "healthy", "audio"),
    [((None,), False, None), ((0.1, None), True, "heard"), ((6.0, None), False, None)],
)
def test_a_microphone_is_healthy_while_it_gives_audio(
    bundle: Path,
    tmp_path: Path,
    arrived: tuple[float | None, ...],
    healthy: bool,
    audio: str | None,
) -> None:
    engine = open_engine(open_bundle(bundle, ()), runtime="native")
    detector = Detector(engine.labels, thresholds={}, threshold=0.7, smoothing=1, refractory_s=0)
    told = HealthFile(tmp_path / "health.json", RELEASE)
    listener = Listener(engine, detector, every=1, status_s=99, health=told, publisher=None)
    listener.run(_Silent(*arrived), threading.Event())
    found = _health(tmp_path / "health.json")
    assert (found["healthy"], found["audio"]) == (healthy, audio)
    assert "a microphone" in found["detail"] or "the microphone" in found["detail"]


def test_a_broker_is_told_whether_anything_is_heard(bundle: Path) -> None:
    engine = open_engine(open_bundle(bundle, ()), runtime="native")
    detector = Detector(engine.labels, thresholds={}, threshold=0.7, smoothing=1, refractory_s=0)
    publisher = Mock(spec=Publisher, published=0, dropped=0)
    listener = Listener(
        engine,
        detector,
        every=1,
        status_s=99,
        health=HealthFile(None, RELEASE),
        publisher=publisher,
    )

    class Unplugged(_Silent):
        def blocks(self, stop: object) -> Any:
            for self.missing in (None, "pulled out", None):
                yield Block(np.zeros(320, np.int16), time.monotonic())

    listener.run(Unplugged(), threading.Event())
    assert publisher.hearing.call_args_list == [call(True), call(False), call(True)]


@pytest.mark.parametrize(
    ("missing", "live", "quiet_s", "open_s", "expected"),
    [
        ("none", True, 0.1, 1, (True, "waiting")),
        (None, True, 0.1, 1, (True, "heard")),
        (None, True, math.inf, 1, (False, None)),
        (None, True, 5.1, 99, (False, "silent")),
        (None, False, math.inf, 1, (True, "idle")),
    ],
)
def test_how_it_stands_with_the_audio(
    missing: str | None,
    live: bool,
    quiet_s: float,
    open_s: float,
    expected: tuple[bool, str | None],
) -> None:
    source = _Silent()
    source.missing, source.live = missing, live
    found = Hearing.of(source, quiet_s=quiet_s, open_s=open_s)
    assert (found.healthy, found.audio) == expected


def test_a_health_file_is_renewed_and_a_full_disk_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "health.json"
    told = HealthFile(path, RELEASE, interval_s=0.1)
    told.tell(True, "listening")
    first = path.read_text()
    told.tell(True, "listening")
    assert path.read_text() == first
    told.tell(False, "deaf")
    assert json.loads(path.read_text())["detail"] == "deaf"
    time.sleep(0.11)
    second = path.read_text()
    told.tell(False, "deaf")
    assert path.read_text() != second
    lost = HealthFile(Path("/proc/none/health.json"), RELEASE)
    lost.tell(True, "listening")
    lost.tell(False, "deaf")
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["kind"] == "warning"
    assert "/proc/none/health.json" in line["message"]
