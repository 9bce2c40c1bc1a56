"""What a deployment left on a device, looked at from here."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprune.bundle import PROBE, Bundle
from edgeprune.remote.fake import FakeRemote
from tests.deployment.stub_bundle import ROOT
from tests.remote.sshd import HOME, Sshd

FACTS = {
    "machine": "x86_64",
    "bits": 64,
    "implementation": "CPython",
    "python": [3, 11],
    "libc": "glibc 2.36",
    "numpy": "",
}


def answer_facts(remote: FakeRemote) -> None:
    """Spare a device the import of numpy in every deployment."""
    remote.answer("python3", "-I", "-c", PROBE, stdout=json.dumps(FACTS).encode())


@dataclass(frozen=True)
class DeviceFolder:
    """The folder that everything lies in.

    Attributes:
        path: of it, as seen from here.
        there: of it, as the device sees it.
        init: a process of the device, where the device has process ids of its own.
    """

    path: Path
    there: Path
    init: int | None = None

    @classmethod
    def of(cls, home: Path, root: str = ROOT) -> DeviceFolder:
        """Of a device that is a folder."""
        return cls(home / root, home / root)

    @classmethod
    def behind(cls, sshd: Sshd, root: str = ROOT) -> DeviceFolder:
        """Of a device that is a server."""
        return cls(sshd.home / root, Path(HOME) / root, sshd.init)

    @property
    def running(self) -> str | None:
        """The release that ``current`` points to, every byte of which is right."""
        link = self.path / "current"
        if not link.is_symlink():
            return None
        target = link.readlink()
        assert target.parent == Path("releases")
        bundle = Bundle.load(self.path / target)
        assert bundle.release == target.name
        return bundle.release

    @property
    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.path / "releases").iterdir())

    def json(self, name: str) -> dict[str, Any]:
        path = self.path / f"{name}.json"
        if not path.exists():
            return {}
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def serving(self, wait_s: float = 10.0) -> str | None:
        """The release whose service tells its health right now; None where none does for long."""
        asked = time.monotonic()
        while time.monotonic() < asked + wait_s:
            health = self.json("health")
            if health and health["at"]["monotonic_s"] > asked and health["healthy"]:
                return str(health["release"])
            time.sleep(0.05)
        return None

    def wait_for_the_switch(self) -> None:
        """Until the device ended what a lost deployer began."""
        if not (self.path / ".guard").exists():
            return
        deadline = time.monotonic() + 30
        with (self.path / ".guard").open() as guard:
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    time.sleep(0.05)
        raise AssertionError("the guard is held for ever")

    def processes(self, release: str = "") -> list[int]:
        """The services of this folder that run; or those that were started as a release."""
        wanted = (os.fsencode(self.there), b"listen", release.encode())
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_bytes()
                if all(word in command for word in wanted) and self._is_there(path):
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def _is_there(self, process: Path) -> bool:
        """Whether a process belongs to the device: every server has the same paths."""
        if self.init is None:
            return True
        ours, its = (Path(at, "ns/pid") for at in (f"/proc/{self.init}", process))
        return ours.readlink() == its.readlink()

    def stop(self) -> None:
        """End the service."""
        self.wait_for_the_switch()
        record = self.json("service")
        if "pid" in record:
            try:
                os.killpg(record["pid"], signal.SIGKILL)
            except ProcessLookupError:
                return
