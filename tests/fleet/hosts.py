"""Many Raspberry Pis that are not there: private SSH servers, and what befalls them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edgeprune.bundle import Bundle
from edgeprune.errors import BundleError
from edgeprune.fleet import HostRecord, Outcome
from tests.deployment.device import DeviceFolder
from tests.remote.sshd import USER_ID, Sshd, start_sshd

ROOT = "edgeprune"
#: The agent tells its health every 2 s.
_LATELY_S = 10.0
#: A FIFO in every home, for an agent that listens.
AUDIO = "audio"


@dataclass
class Host:
    """A simulated host.

    Attributes:
        name: in the fleet.
        server: its SSH server.
        device: what lies on it.
    """

    name: str
    server: Sshd
    device: DeviceFolder
    thawing: threading.Event = field(default_factory=threading.Event)

    def entry(self) -> str:
        """Its entry in an inventory."""
        return "\n".join(
            (
                "[[host]]",
                f"name = {json.dumps(self.name)}",
                'host = "127.0.0.1"',
                f"port = {self.server.port}",
                f"identity_file = {json.dumps(str(self.server.identity))}",
                f"known_hosts = {json.dumps(str(self.server.known_hosts))}",
            )
        )

    def running(self) -> str | None:
        """The one whole release that it runs, every byte of which is right.

        Raises:
            AssertionError: what it runs is not whole, or not one release.
        """
        self.device.wait_for_the_switch()
        try:
            return self.device.running
        except BundleError as error:
            raise AssertionError(f"{self.name}: {error}") from error

    def serving(self) -> bool:
        """Whether the service of what it runs told its health lately."""
        told = self.device.json("health")
        lately = bool(told) and time.monotonic() - told["at"]["monotonic_s"] < _LATELY_S
        return lately and bool(told["healthy"]) and told["release"] == self.device.running

    def place(self, bundle: Bundle) -> None:
        """Let a release be what runs there, without a deployment or a service."""
        path = self.device.path
        shutil.copytree(bundle.folder, path / "releases" / bundle.release)
        (path / "current").symlink_to(Path("releases") / bundle.release)
        for each in (path, *path.rglob("*")):
            os.chown(each, USER_ID, USER_ID, follow_symlinks=False)

    def stop(self) -> None:
        """Switch it off for good."""
        self.server.stop()

    def lose_network(self) -> None:
        """End its connections; what the device does by itself goes on."""
        for pid in self.server.sessions():
            with suppress(OSError):
                if "sshd" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8"):
                    os.kill(pid, signal.SIGKILL)

    def lose_power(self) -> None:
        """End everything that runs on it; it is back at once, without its service."""
        self.server.cut()

    def freeze(self, seconds: float = 3600.0) -> None:
        """Let nothing of its server go on for a while, or until :meth:`thaw`."""
        with self.server.frozen():
            self.thawing.wait(seconds)

    def thaw(self) -> None:
        """End a freeze."""
        self.thawing.set()

    def protect(self) -> None:
        """Take away the right to keep another release."""
        folder = self.device.path / "releases"
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, 0, 0)
        folder.chmod(0o555)


@contextmanager
def started(folder: Path, count: int, *, more: str = "") -> Iterator[list[Host]]:
    """Hosts that run; all of them are stopped at the end.

    Args:
        folder: for their files.
        count: how many.
        more: further lines of their servers' configuration.
    """

    def start(number: int) -> Host:
        name = f"pi-{number:03d}"
        server = start_sshd(folder / name, more=more)
        fifo = server.home / AUDIO
        os.mkfifo(fifo)
        os.chown(fifo, USER_ID, USER_ID)
        return Host(name, server, DeviceFolder.behind(server, ROOT))

    with ThreadPoolExecutor(2) as pool:
        hosts = list(pool.map(start, range(1, count + 1)))
        try:
            yield hosts
        finally:
            list(pool.map(lambda host: host.server.stop(), hosts))


def write_target(
    folder: Path,
    hosts: Sequence[Host],
    *,
    fleet: dict[str, object] | None = None,
    ssh: dict[str, object] | None = None,
) -> Path:
    """A target's file, with its inventory beside it."""
    inventory = folder / "hosts.toml"
    inventory.write_text("\n".join(host.entry() for host in hosts) + "\n", encoding="utf-8")
    tables: dict[str, dict[str, object]] = {
        "ssh": {"user": "pi", "config": "none", "root": ROOT, **(ssh or {})},
        "fleet": {"inventory": inventory.name, **(fleet or {})},
    }
    lines = ['name = "simulated"', 'core = "x86_64"', 'device = "ssh"']
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path = folder / "simulated.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


#: What may befall a host: what is done to it as soon as it is deployed to, and after how long.
FAULTS: dict[str, Callable[[Host], None]] = {
    "network": Host.lose_network,
    "power": Host.lose_power,
    "frozen": Host.freeze,
    "pause": lambda host: host.freeze(4.0),
}
#: What has befallen a host before anything begins.
DEFECTS: dict[str, Callable[[Host], None]] = {"off": Host.stop, "read-only": Host.protect}


@dataclass
class Trouble:
    """Random faults of some hosts, from a seed.

    Attributes:
        faults: host to what befalls it.
    """

    faults: dict[str, str]

    @classmethod
    def draw(cls, hosts: Sequence[Host], count: int, seed: int) -> Trouble:
        """Choose hosts, each fault in turn; the first host is spared, as the canary."""
        rng = random.Random(seed)
        kinds = [*FAULTS, *DEFECTS]
        unlucky = rng.sample([host.name for host in hosts[1:]], count)
        return cls({name: kinds[at % len(kinds)] for at, name in enumerate(unlucky)})

    @contextmanager
    def befalling(self, hosts: Sequence[Host], seed: int, within_s: float) -> Iterator[None]:
        """Let the faults come while hosts are deployed to; all are thawed at the end.

        Args:
            hosts: of the fleet.
            seed: of the moments.
            within_s: how long after the lock was taken a fault may come, in seconds.
        """
        rng = random.Random(seed)
        over = threading.Event()
        threads = []
        for host in hosts:
            fault = self.faults.get(host.name)
            if fault in DEFECTS:
                DEFECTS[fault](host)
            elif fault in FAULTS:
                delay_s = rng.uniform(0.0, within_s)
                arguments = (host, FAULTS[fault], delay_s, over)
                threads.append(threading.Thread(target=_befall, args=arguments))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for host in hosts:
                host.thaw()
            for thread in threads:
                thread.join()


def _befall(
    host: Host, fault: Callable[[Host], None], delay_s: float, over: threading.Event
) -> None:
    lock = host.device.path / "lock.json"
    while not lock.exists():
        if over.wait(0.02):
            return
    if not over.wait(delay_s):
        fault(host)


def lies(hosts: Sequence[Host], records: Sequence[HostRecord]) -> list[str]:
    """What a table says that the homes of the hosts contradict; nothing, when it is true.

    Every host is looked into: it must run exactly one release, every byte of which is right.
    """
    found = []
    for host, record in zip(hosts, records, strict=True):
        running = host.running()
        if record.answered and record.running != running:
            found.append(f"{host.name} runs {running}, and the table says {record}")
        if not record.answered and record.outcome not in (Outcome.UNKNOWN, Outcome.UNREACHABLE):
            found.append(f"{host.name} did not answer, and the table says {record}")
    return found
