"""What a smart home is told: with a fake client, and by a real Mosquitto."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.errors import MqttError
from edgeprune.agent.edgeprune_agent.mqtt import Broker, PahoClient, Publisher
from tests.agent.conftest import Device
from tests.agent.tone_bundle import RELEASE, tone, write_wav

LINE = {"kind": "detection", "label": "low", "score": 0.9, "at_s": 1.0}


class FakeClient:
    """Keeps what is published while it is connected."""

    def __init__(self) -> None:
        self.connected = self.stopped = False
        self.sent: list[tuple[str, str, bool]] = []

    def start(self, broker: Broker, will: tuple[str, str], connected: Callable[[], None]) -> None:
        self.will, self._announce = will, connected

    def connect(self) -> None:
        self.connected = True
        self._announce()

    def publish(self, topic: str, payload: str, *, retain: bool) -> bool:
        if self.connected:
            self.sent.append((topic, payload, retain))
        return self.connected

    def stop(self) -> None:
        self.stopped = True


def _publisher(**options: Any) -> tuple[Publisher, FakeClient]:
    client = FakeClient()
    broker = Broker("broker", **{"node": "kitchen", **options})
    return Publisher(broker, client, ["low", "high"], RELEASE), client


def test_the_device_is_announced_at_every_connection() -> None:
    _, client = _publisher()
    assert client.will == ("edgeprune/kitchen/availability", "offline")
    assert client.sent == []
    client.connect()
    client.connect()
    assert len(client.sent) == 4
    (topic, payload, retained), available = client.sent[:2]
    assert (topic, retained) == ("homeassistant/event/edgeprune_kitchen/keyword/config", True)
    assert available == ("edgeprune/kitchen/availability", "online", True)
    entity = json.loads(payload)
    assert entity["event_types"] == ["low", "high"]
    assert entity["state_topic"] == "edgeprune/kitchen/detection"
    assert entity["availability_topic"] == "edgeprune/kitchen/availability"
    assert entity["unique_id"] == "edgeprune_kitchen_keyword"
    assert entity["device"]["sw_version"] == RELEASE


def test_a_detection_is_an_event_and_is_not_retained() -> None:
    publisher, client = _publisher(topic="home/voice", discovery="")
    client.connect()
    publisher.detection(LINE)
    publisher.close()
    assert [topic for topic, _, _ in client.sent] == [
        "home/voice/availability",
        "home/voice/detection",
        "home/voice/availability",
    ]
    _, payload, retained = client.sent[1]
    assert json.loads(payload) == {"event_type": "low", **LINE}
    assert not retained
    assert client.sent[2][1:] == ("offline", True)
    assert client.stopped


def test_an_order_is_not_carried_out_an_hour_later() -> None:
    publisher, client = _publisher()
    publisher.detection(LINE)
    client.connect()
    publisher.detection(LINE)
    assert (publisher.published, publisher.dropped) == (1, 1)


def test_a_device_without_a_microphone_is_not_available() -> None:
    publisher, client = _publisher(discovery="")
    publisher.hearing(False)
    client.connect()
    for hears in (False, True, True, False):
        publisher.hearing(hears)
    assert [payload for _, payload, _ in client.sent] == ["offline", "online", "offline"]
    assert {(topic, kept) for topic, _, kept in client.sent} == {
        ("edgeprune/kitchen/availability", True)
    }


def test_names_are_made_fit_for_home_assistant_and_passwords_are_not_shown() -> None:
    _, client = _publisher(node="Küche/2", password="secret")  # noqa: S106
    client.connect()
    assert client.sent[0][0] == "homeassistant/event/edgeprune_K_che_2/keyword/config"
    assert "secret" not in repr(Broker("host", password="secret"))  # noqa: S106


def test_without_paho_the_hint_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("edgeprune.agent.edgeprune_agent.mqtt.importlib.import_module", absent)
    with pytest.raises(MqttError, match="paho-mqtt can't be imported"):
        PahoClient()


def _port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextmanager
def _mosquitto(folder: Path, port: int) -> Iterator[None]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    (folder / "passwords").write_text("pi:secret\n")
    (folder / "passwords").chmod(0o600)
    maker = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    subprocess.run([maker, "-U", str(folder / "passwords")], check=True)
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\n"
        f"password_file {folder / 'passwords'}\nuser root\n"
    )
    process = subprocess.Popen(
        [program, "-c", str(folder / "mosquitto.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


class _Subscriber:
    """Somebody who hears everything."""

    def __init__(self, port: int) -> None:
        paho = pytest.importorskip("paho.mqtt.client")
        self.messages: list[tuple[str, str, bool]] = []
        self._ready = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda client, data, message: self.messages.append(
            (message.topic, message.payload.decode(), message.retain)
        )
        self._client.on_subscribe = lambda *rest: self._ready.set()
        self._client.username_pw_set("pi", "secret")
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#", qos=1)
        self._client.loop_start()
        assert self._ready.wait(10)

    def wait(self, topic: str, payload: str = "", *, since: int = 0) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = [(each, text) for each, text, _ in self.messages[since:]]
            if any(each == topic and payload in text for each, text in found):
                return
            time.sleep(0.02)
        raise AssertionError(f"no {payload!r} at {topic}: {self.messages}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def _subscriber(port: int) -> Iterator[_Subscriber]:
    subscriber = _Subscriber(port)
    try:
        yield subscriber
    finally:
        subscriber.close()


def test_mosquitto_carries_detections_and_tells_when_the_device_vanishes(
    bundle: Path, device: Device, tmp_path: Path
) -> None:
    """Announced, heard, found again after the broker was away, and missed after a kill."""
    pytest.importorskip("paho.mqtt.client")
    port = _port()
    (device.home / "password").write_text("secret\n")
    scene = np.concatenate([tone(hz, ms) for hz, ms in ((0, 500), (400, 500), (0, 300))])
    wav = write_wav(tmp_path / "scene.wav", scene)
    arguments = (
        "listen", "--runtime", "native", "--mqtt", f"127.0.0.1:{port}", "--mqtt-node", "kitchen",
        "--mqtt-user", "pi", "--mqtt-password-file", "password",
    )  # fmt: skip
    base = "edgeprune/kitchen"
    with _mosquitto(tmp_path, port), _subscriber(port) as home:
        answer = device.run(bundle, *arguments, "--input", wav, "--realtime")
        assert answer.last["mqtt"] == {"published": 1, "dropped": 0}, answer
        home.wait(f"{base}/availability", "online")
        home.wait(f"{base}/detection", '"event_type": "low"')
        home.wait(f"{base}/availability", "offline")
        order = [topic.rpartition("/")[2] for topic, _, _ in home.messages]
        assert order == ["config", "availability", "detection", "availability"]
    with device.start(bundle, *arguments, "--input", "-") as service:
        with _mosquitto(tmp_path, port):
            with _subscriber(port) as home:
                home.wait(f"{base}/availability", "online")
            # Who subscribes later is told what is retained.
            with _subscriber(port) as home:
                home.wait(f"{base}/availability", "online")
                assert {(topic, retained) for topic, _, retained in home.messages} == {
                    (f"{base}/availability", True),
                    ("homeassistant/event/edgeprune_kitchen/keyword/config", True),
                }
        # The broker comes back, and has forgotten everything.
        with _mosquitto(tmp_path, port), _subscriber(port) as home:
            home.wait(f"{base}/availability", "online")
            heard = len(home.messages)
            service.process.kill()
            home.wait(f"{base}/availability", "offline", since=heard)
            with _subscriber(port) as late:
                late.wait(f"{base}/availability", "offline")
