"""Hosts that do what a test says, and note what was done to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

from edgeprune.deployment import Deployment, Rollback, Service, Status
from edgeprune.errors import ConnectionLost, DeploymentError, EdgepruneError, RemoteError
from edgeprune.fleet import FleetDeployment, Interrupts, Plan, roll_out

OLD, NEW = "20250301T120001Z-0000001d", "20250301T120002Z-0000002e"


def plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "target": "kitchens",
        "parallel": 3,
        "canary": 1,
        "max_failures": 0,
        "on_failure": "stop",
        "host_limit_s": 60.0,
    }
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class Device:
    """A host: what runs there, and how it fares.

    Attributes:
        running: the release that runs.
        fate: what a deployment comes to: ``well``; ``off``, it can't be reached at all; ``ill``,
            the device goes back by itself; ``lost before`` and ``lost after``, the connection
            breaks before or after the switch; ``gone``, it breaks and never comes back; ``hangs``,
            nothing comes back; ``unfit``, no bundle can be made for it.
        misses: what its check finds.
        keeps: whether a rollback fails.
    """

    running: str | None = OLD
    fate: str = "well"
    misses: str | None = None
    keeps: bool = False


@dataclass
class Scripted:
    """What is done to hosts; see :class:`edgeprune.fleet.rollout.Actions`.

    Attributes:
        devices: by name.
        calls: what was done, in order.
        most: how many were deployed to at a time.
        during: called in every deployment.
    """

    devices: dict[str, Device]
    calls: list[str] = field(default_factory=list)
    most: int = 0
    during: Callable[[str], None] = lambda host: None
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)

    def look(self, host: str) -> str | None:
        self._note("look", host)
        if self.devices[host].fate == "off":
            raise RemoteError("can't be reached", where=host, hint=f"switch {host} on")
        return self.devices[host].running

    def prepare(self, hosts: Sequence[str]) -> dict[str, str | EdgepruneError]:
        unfit = EdgepruneError("no runtime for it")
        return {host: unfit if self.devices[host].fate == "unfit" else NEW for host in hosts}

    def deploy(self, host: str) -> Deployment:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            return self._deploy(host, self.devices[host])
        finally:
            with self._lock:
                self._under_way -= 1

    def check(self, host: str) -> str | None:
        self._note("check", host)
        assert threading.current_thread() is threading.main_thread()
        if self.devices[host].misses == "error":
            raise ConnectionLost("the connection broke", where=host)
        return self.devices[host].misses

    def settle(self, host: str) -> Status:
        self._note("settle", host)
        device = self.devices[host]
        if device.fate in ("gone", "hangs"):
            raise RemoteError("can't be reached", where=host)
        return status(device.running)

    def roll_back(self, host: str, release: str) -> Rollback:
        self._note("back", host)
        device = self.devices[host]
        if device.keeps:
            raise DeploymentError("release did not become healthy", where=host)
        left, device.running = device.running, release
        return Rollback(host, release, left, status(release).service)

    def done_to(self, action: str) -> list[str]:
        """The hosts that something was done to."""
        return [call.partition(" ")[2] for call in self.calls if call.startswith(f"{action} ")]

    def _deploy(self, host: str, device: Device) -> Deployment:
        self._note("deploy", host)
        self.during(host)
        time.sleep(0.01)
        if device.fate == "hangs":
            self.released.wait(30)
        if device.fate == "ill":
            raise DeploymentError("release did not become healthy: no microphone", where=host)
        if device.fate in ("lost before", "gone", "hangs"):
            raise ConnectionLost("the connection broke", where=host)
        before, device.running = device.running, NEW
        if device.fate == "lost after":
            raise ConnectionLost("the connection broke", where=host)
        service = status(NEW).service
        unchanged = before == NEW
        size = 0 if unchanged else 1000
        counts = (before, unchanged, int(not unchanged), size, 0, 0)
        return Deployment(host, NEW, *counts, "native", "well", service, (), {})

    def _note(self, action: str, host: str) -> None:
        with self._lock:
            self.calls.append(f"{action} {host}")


def status(running: str | None, *, healthy: bool = True) -> Status:
    """What a host says of itself; of what a rollout does not read, nothing."""
    said = {"release": running, "alive": healthy, "healthy": healthy, "detail": "listening"}
    service = Service.of(dict.fromkeys((each.name for each in fields(Service)), None) | said)
    unsaid = dict.fromkeys((each.name for each in fields(Status)), None)
    return Status(**{**unsaid, "running": running, "service": service})  # type: ignore[arg-type]


def run(
    devices: dict[str, Device],
    *,
    interrupts: Interrupts | None = None,
    during: Callable[[str], None] = lambda host: None,
    **changes: object,
) -> tuple[FleetDeployment, Scripted]:
    """Roll out to scripted hosts; the table must tell what each runs."""
    actions = Scripted(devices, during=during)
    try:
        done = roll_out(list(devices), actions, plan(**changes), interrupts=interrupts)
    finally:
        actions.released.set()
    for record in done.hosts:
        if record.answered:
            assert record.running == devices[record.host].running, record
    return done, actions


def fleet(count: int, **special: Device) -> dict[str, Device]:
    """Hosts ``h0``, ``h1`` …, all well but those that are given."""
    names = [f"h{number}" for number in range(count)]
    return {name: special.get(name, Device()) for name in names}
