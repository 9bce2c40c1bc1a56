"""Detections for a smart home: MQTT, with Home Assistant's discovery.

Topics below the base: ``availability``, retained, ``online`` or ``offline``, which the broker says
by itself when the device vanishes (last will); ``detection``, one JSON object each, not retained.
Home Assistant learns of an ``event`` entity by a retained message below its discovery prefix.
"""

from __future__ import annotations

import importlib
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import MqttError

__all__ = ["Broker", "Client", "PahoClient", "Publisher"]

_ONLINE, _OFFLINE = "online", "offline"


@dataclass(frozen=True)
class Broker:
    """Where to publish, and as whom.

    Attributes:
        host: of the broker.
        port: of the broker.
        user: may be empty.
        password: may be empty.
        node: how the device is called there.
        topic: the base of all topics.
        discovery: Home Assistant's prefix; empty for no discovery.
    """

    host: str
    port: int = 1883
    user: str = ""
    password: str = field(default="", repr=False)
    node: str = field(default_factory=socket.gethostname)
    topic: str = ""
    discovery: str = "homeassistant"

    @property
    def base(self) -> str:
        return self.topic or f"edgeprune/{self.node}"


class Client(Protocol):
    """The part of MQTT that is needed: a seam for paho-mqtt and for fakes."""

    def start(self, broker: Broker, will: tuple[str, str], connected: Callable[[], None]) -> None:
        """Connect in the background, again and again.

        Args:
            broker: to which.
            will: topic and payload of the retained last will.
            connected: called after every connection.
        """

    def publish(self, topic: str, payload: str, *, retain: bool) -> bool:
        """Send a message; false when there is no connection, and nothing is kept for later."""

    def stop(self) -> None:
        """Send what is under way, and disconnect."""


class Publisher:
    """Tells a broker what was heard.

    Attributes:
        published: detections that were sent.
        dropped: those that found no connection. They are not sent later: a lamp that goes on an
            hour after it was asked for is worse than one that stays off.
    """

    def __init__(self, broker: Broker, client: Client, labels: Sequence[str], release: str) -> None:
        self.published = self.dropped = 0
        self._broker, self._client = broker, client
        self._labels, self._release = list(labels), release
        self._availability = f"{broker.base}/availability"
        self._hears = True
        client.start(broker, (self._availability, _OFFLINE), self._announce)

    def detection(self, line: Mapping[str, Any]) -> None:
        """Publish a detection: the line of output, with Home Assistant's ``event_type``."""
        payload = json.dumps({"event_type": line["label"], **line})
        if self._client.publish(f"{self._broker.base}/detection", payload, retain=False):
            self.published += 1
        else:
            self.dropped += 1

    def hearing(self, hears: bool) -> None:
        """Say whether the device hears anything; one without a microphone is not available."""
        if hears != self._hears:
            self._hears = hears
            self._tell_availability()

    def close(self) -> None:
        """Say that the device is gone, and disconnect."""
        self._client.publish(self._availability, _OFFLINE, retain=True)
        self._client.stop()

    def _announce(self) -> None:
        """After every connection."""
        if self._broker.discovery:
            topic = f"{self._broker.discovery}/event/{self._identity()}/keyword/config"
            self._client.publish(topic, json.dumps(self._entity()), retain=True)
        self._tell_availability()

    def _tell_availability(self) -> None:
        payload = _ONLINE if self._hears else _OFFLINE
        self._client.publish(self._availability, payload, retain=True)

    def _entity(self) -> dict[str, Any]:
        """As Home Assistant's documentation of ``event.mqtt`` asks for it."""
        return {
            "name": "Keyword",
            "unique_id": f"{self._identity()}_keyword",
            "state_topic": f"{self._broker.base}/detection",
            "availability_topic": self._availability,
            "event_types": self._labels,
            "icon": "mdi:account-voice",
            "device": {
                "identifiers": [self._identity()],
                "name": self._broker.node,
                "manufacturer": "edgeprune",
                "model": "keyword spotter",
                "sw_version": self._release,
            },
        }

    def _identity(self) -> str:
        """The node in the letters that Home Assistant takes in a topic."""
        allowed = (each if each.isascii() and each.isalnum() else "_" for each in self._broker.node)
        return "edgeprune_" + "".join(allowed)


class PahoClient:
    """paho-mqtt, 1.6 or 2; see :class:`Client`."""

    def __init__(self) -> None:
        """Make it.

        Raises:
            MqttError: paho-mqtt is not installed.
        """
        try:
            self._paho = importlib.import_module("paho.mqtt.client")
        except ImportError as error:
            raise MqttError(
                f"paho-mqtt can't be imported: {error}", hint="deploy with paho-mqtt"
            ) from error
        versions = getattr(self._paho, "CallbackAPIVersion", None)
        first = () if versions is None else (versions.VERSION2,)
        self._client = self._paho.Client(*first)
        self._last: Any | None = None

    def start(self, broker: Broker, will: tuple[str, str], connected: Callable[[], None]) -> None:
        def on_connect(client: Any, data: Any, flags: Any, code: Any, *rest: Any) -> None:
            # paho-mqtt 1.6 gives a number, 2 an object.
            if not getattr(code, "is_failure", code != 0):
                connected()

        self._client.on_connect = on_connect
        self._client.will_set(will[0], will[1], qos=1, retain=True)
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
        if broker.user:
            self._client.username_pw_set(broker.user, broker.password or None)
        try:
            self._client.connect_async(broker.host, broker.port, keepalive=15)
        except ValueError as error:
            raise MqttError(f"{broker.host}:{broker.port}: {error}") from error
        self._client.loop_start()

    def publish(self, topic: str, payload: str, *, retain: bool) -> bool:
        if not self._client.is_connected():
            return False
        self._last = self._client.publish(topic, payload, qos=1, retain=retain)
        return True

    def stop(self) -> None:
        last = self._last
        if last is not None and self._client.is_connected():
            with suppress(RuntimeError, ValueError):  # the connection broke meanwhile
                last.wait_for_publish(2.0)
        self._client.disconnect()
        self._client.loop_stop()
