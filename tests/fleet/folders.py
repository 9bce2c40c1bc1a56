"""Devices that are folders: a fleet of them behind the tasks of a user."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgeprune.remote import Remote
from edgeprune.remote.fake import FakeRemote
from edgeprune.ssh_target import Ssh
from tests.deployment.device import DeviceFolder, answer_facts

ROOT = "edgeprune"


@dataclass
class Folders:
    """Connects to folders by the names of their hosts.

    Attributes:
        path: has a home for each.
        prepared: host to what is done to each of its connections; for faults.
        connections: how many there were, by host.
        tells_itself: whether the folders' own Python says what it is; else that is made up.
    """

    path: Path
    prepared: dict[str, Callable[[FakeRemote], None]] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    tells_itself: bool = False

    def reach(self, ssh: Ssh, *, target: str) -> Remote:
        host = ssh.named_host()
        home = self.path / host
        home.mkdir(parents=True, exist_ok=True)
        self.connections[host] = self.connections.get(host, 0) + 1
        remote = FakeRemote(home, name=f"pi@{host}:22")
        if not self.tells_itself:
            answer_facts(remote)
        if host in self.prepared:
            self.prepared[host](remote)
        return remote

    def device(self, host: str) -> DeviceFolder:
        return DeviceFolder.of(self.path / host, ROOT)

    def stop(self) -> None:
        """End every service."""
        for home in self.path.iterdir():
            DeviceFolder.of(home, ROOT).stop()


def write_target(folder: Path, hosts: list[str], budgets: str = "", **fleet: object) -> Path:
    """A target's file."""
    table = {"hosts": hosts, **fleet}
    lines = ['name = "kitchens"', 'core = "x86_64"', 'device = "ssh"', budgets, "[ssh]"]
    lines += ['runtime = "native"', 'listen = ["--input", "audio"]', "health_timeout_s = 20.0"]
    lines += ["[fleet]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path = folder / "kitchens.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
