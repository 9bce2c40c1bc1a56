"""The voice assistant at a microphone: a stand-in, and a real arecord without hardware."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.audio import Block
from edgeprune.agent.edgeprune_agent.bundle import open_bundle
from edgeprune.agent.edgeprune_agent.detector import Detector
from edgeprune.agent.edgeprune_agent.engine import open_engine
from edgeprune.agent.edgeprune_agent.health import HealthFile
from edgeprune.agent.edgeprune_agent.listening import Listener
from tests.agent.arecord_stand_in import ABSENT, OTHER_RATE, PULLED_OUT, STALL, StandIn
from tests.agent.conftest import Device, Service
from tests.agent.speaking import spoken
from tests.agent.tone_bundle import RELEASE, tone
from tests.agent.waiting import wait_for

LISTEN = ("listen", "--runtime", "native", "--health-file", "health.json")


def _scene() -> np.ndarray:
    """A low tone at 0.6 s, a high one at 2.0 s; 2.8 s in all."""
    pieces = [(0, 600), (400, 500), (0, 900), (3000, 500), (0, 300)]
    return np.concatenate([tone(hz, ms) for hz, ms in pieces])


@pytest.fixture
def stand_in(tmp_path: Path, device: Device) -> StandIn:
    found = StandIn(tmp_path / "bin")
    found.has("scene", _scene())
    device.environment["PATH"] = f"{found.folder}:{device.environment['PATH']}"
    return found


def _health(device: Device) -> dict[str, Any]:
    path = device.home / "health.json"
    return json.loads(path.read_text()) if path.exists() else {"audio": None}


def _lines_to(service: Service, label: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    while not lines or lines[-1].get("label") != label:
        lines.append(service.line())
    return lines


def _stopped(service: Service) -> list[dict[str, Any]]:
    service.process.send_signal(signal.SIGTERM)
    rest = [json.loads(line) for line in service.stdout]
    assert service.process.wait(20) == 0
    return rest


def _hears(service: Service, device: Device, source: str) -> dict[str, Any]:
    """That both words are heard in real time; the summary."""
    lines = _lines_to(service, "high")
    wait_for(lambda: _health(device)["audio"] == "heard")
    healthy = _health(device)
    summary = _stopped(service)[-1]
    assert [line["kind"] for line in lines] == ["audio", "detection", "detection"]
    assert (lines[0]["audio"], lines[0]["source"]) == ("heard", source)
    (low, high) = lines[1:]
    assert (low["label"], high["label"]) == ("low", "high")
    assert 0.6 < low["at_s"] <= 1.4
    assert 2.0 < high["at_s"] <= 2.8
    assert high["delay_ms"] < 500
    assert (healthy["healthy"], healthy["detail"]) == (True, f"listening: {source}")
    assert 0 < summary["real_time_factor"] < 1
    assert 0 < summary["cpu_share"] < 1
    assert 0 < summary["delay_ms"]["p50"] < 500
    assert (summary["lost_s"], summary["reopened"], summary["source"]) == (0, 0, source)
    return summary


def test_words_are_heard_by_arecord(bundle: Path, device: Device, stand_in: StandIn) -> None:
    stand_in.does("burn(0.8); play('scene'); " + STALL)
    with device.start(bundle, *LISTEN) as service:
        summary = _hears(service, device, "arecord default")
    assert summary["cpu_share"] > 0.12, "with that of arecord"
    assert not Path(f"/proc/{stand_in.pids()[0]}").exists()


def test_without_microphone_the_service_waits_and_says_so_once(
    bundle: Path, device: Device, stand_in: StandIn
) -> None:
    stand_in.does(ABSENT)
    with device.start(bundle, *LISTEN) as service:
        waiting = wait_for(lambda: (told := _health(device))["audio"] == "waiting" and told)
        wait_for(lambda: len(stand_in.calls()) == 2)
        lines = _stopped(service)
    assert waiting["healthy"] is True
    assert waiting["detail"] == (
        "waiting for a microphone: arecord: audio open error: No such file or directory "
        "(connect one; arecord -l lists them)"
    )
    assert [line["kind"] for line in lines] == ["warning", "summary"]
    assert (lines[0]["audio"], lines[0]["message"]) == ("waiting", waiting["detail"])
    assert (lines[1]["audio"], lines[1]["audio_s"], lines[1]["delay_ms"]) == ("waiting", 0, None)


def test_a_microphone_that_is_pulled_out_is_waited_for(
    bundle: Path, device: Device, stand_in: StandIn
) -> None:
    stand_in.does("play('scene')" + PULLED_OUT, "play('scene'); " + STALL)
    with device.start(bundle, *LISTEN) as service:
        lines = _lines_to(service, "high")
        wait_for(lambda: _health(device)["audio"] == "waiting")
        assert "read error: No such device" in _health(device)["detail"]
        lines += _lines_to(service, "high")
        summary = _stopped(service)[-1]
    said = [line.get("label") or line["audio"] for line in lines]
    assert said == ["heard", "low", "high", "waiting", "heard", "low", "high"]
    at = [line["at_s"] for line in lines if line["kind"] == "detection"]
    assert at[2] - at[0] == pytest.approx(2.8, abs=0.2)
    assert (summary["detections"], summary["reopened"]) == (4, 1)


def test_a_device_of_another_rate_ends_the_service(
    bundle: Path, device: Device, stand_in: StandIn
) -> None:
    stand_in.does(OTHER_RATE)
    answer = device.run(bundle, *LISTEN, "--device", "hw:1")
    assert (answer.code, answer.last["error"]) == (2, "AudioError")
    assert "gives 48000 Hz" in answer.last["message"]
    assert _health(device)["healthy"] is False


def test_a_killed_agent_leaves_no_arecord(bundle: Path, device: Device, stand_in: StandIn) -> None:
    stand_in.has("long", tone(400, 30_000))
    stand_in.does("play('long')")
    with device.start(bundle, *LISTEN) as service:
        wait_for(lambda: _health(device)["audio"] == "heard")
        service.process.kill()
        (pid,) = stand_in.pids()
        wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_nothing_is_detected_across_a_gap(bundle: Path) -> None:
    engine = open_engine(open_bundle(bundle, ()), runtime="native")
    settings = engine.frontend.settings
    span = settings.window + (settings.frames - 1) * settings.hop
    heard: list[tuple[float, int]] = []

    class Spy(Detector):
        resets = 0

        def reset(self) -> None:
            super().reset()
            self.resets += 1

        def push(self, posteriors: np.ndarray, at_s: float) -> None:
            heard.append((at_s, self.resets))

    spy = Spy(engine.labels, thresholds={}, threshold=1.0, smoothing=1, refractory_s=0)
    listener = Listener(
        engine, spy, every=1, status_s=99, health=HealthFile(None, RELEASE), publisher=None
    )
    part = tone(400)[: span - 1]
    listener._take(Block(part, time.monotonic()))
    listener._take(Block(part, time.monotonic(), fresh=True))
    assert heard == []
    listener._take(Block(tone(400)[:1], time.monotonic()))
    assert heard == [((2 * span - 1) / settings.sample_rate_hz, 2)]


@pytest.fixture
def alsa(tmp_path: Path, device: Device) -> Path:
    """A FIFO that stands for the default device of alsa-lib."""
    if shutil.which("arecord") is None:
        pytest.skip("arecord is not installed (apt-get install alsa-utils)")
    fifo, configuration = tmp_path / "fifo", tmp_path / "alsa.conf"
    os.mkfifo(fifo)
    configuration.write_text(
        "</usr/share/alsa/alsa.conf>\n"
        'pcm.!default { type file slave.pcm null file "/dev/null" '
        f'infile "{fifo}" format raw }}\n'
    )
    device.environment["ALSA_CONFIG_PATH"] = str(configuration)
    return fifo


def test_a_real_arecord_is_heard(bundle: Path, device: Device, alsa: Path) -> None:
    with spoken(alsa, _scene()), device.start(bundle, *LISTEN, "--input", "arecord") as service:
        _hears(service, device, "arecord default")


def test_a_real_arecord_says_what_is_missing(bundle: Path, device: Device, alsa: Path) -> None:
    with device.start(bundle, *LISTEN, "--device", "plughw:CARD=Nobody") as service:
        waiting = wait_for(lambda: (told := _health(device))["audio"] == "waiting" and told)
        _stopped(service)
    assert waiting["detail"] == (
        "waiting for a microphone: arecord: audio open error: No such device "
        "(connect one; arecord -l lists them)"
    )
