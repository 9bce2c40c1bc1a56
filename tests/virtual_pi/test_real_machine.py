"""The real thing, on demand: Debian with systemd under QEMU is built, deployed to, and unplugged.

``EDGEPRUNE_VIRTUAL_PI=1`` runs it, with an image, keys and a port of its own. It takes minutes.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeprune import resources
from edgeprune.deployment import Deployment, logs, rollback, status
from edgeprune.deployment.delivery import deliver
from edgeprune.deployment.records import Status
from edgeprune.errors import DeploymentError, EdgepruneError, RemoteError
from edgeprune.progress import SilentProgress, Task
from edgeprune.remote import Remote, connect
from edgeprune.reports import Report
from edgeprune.ssh_target import Ssh
from edgeprune.target import Target
from edgeprune.virtual_pi import VirtualPi
from edgeprune.virtual_pi.emulator import Emulator
from edgeprune.virtual_pi.guest import Guest
from edgeprune.virtual_pi.image import Image
from tests.devices.tiny_release import Workbench, model
from tests.virtual_pi.conftest import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("EDGEPRUNE_VIRTUAL_PI") != "1",
        reason="EDGEPRUNE_VIRTUAL_PI=1 boots a virtual Pi, which takes minutes",
    ),
]

LIMIT_S = 300.0
#: How far counts of instructions may lie apart, as a fraction; at most 0.004 was seen.
SAME = 0.005


@dataclass
class Rig:
    """A virtual Pi and what is deployed to it.

    Attributes:
        target: how it is reached.
        cache: where its image is.
        benches: of two releases.
    """

    target: Target
    cache: Path
    benches: tuple[Workbench, Workbench]

    @property
    def ssh(self) -> Ssh:
        return self.target.ssh_table()

    @property
    def pi(self) -> VirtualPi:
        return VirtualPi(self.ssh, self.cache, say=print, progress=SilentProgress())

    @property
    def emulator(self) -> Emulator:
        (folder,) = self.cache.glob("*/")
        return Emulator(Image(folder), self.ssh.port or 0)

    def connected(self, user: str = "pi") -> Remote:
        return connect(self.ssh.model_copy(update={"user": user}), target="virtual-pi")

    def deploy(self, number: int, progress: SilentProgress | None = None, **ssh: object) -> str:
        """Deploy a release; its name."""
        table = self.ssh.model_copy(update=ssh)
        pipeline = self.benches[number].pipeline(self.target.model_copy(update={"ssh": table}))
        pipeline.progress = progress or pipeline.progress
        done: Deployment = deliver(pipeline)
        return done.release

    def check(self, number: int) -> Report:
        return self.benches[number].pipeline(self.target).report()

    def status(self) -> Status:
        with self.connected() as remote:
            return status(remote, root=self.ssh.root)

    def healthy(self, release: str) -> None:
        """Wait until a release runs healthy, by systemd."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            with suppress(RemoteError):
                found = self.status()
                if found.service.healthy and found.running == release:
                    assert found.service.kind == "systemd"
                    return
            assert time.monotonic() < deadline, found
            time.sleep(2)

    def pid(self) -> int:
        with self.connected() as remote:
            command = ["systemctl", "--user", "show", "-p", "MainPID", "--value", "edgeprune"]
            return int(remote.run(command, timeout_s=60).text)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("rig")
    shipped = Target.read(resources.find("targets", "virtual-pi"))
    ssh = shipped.ssh_table().model_copy(
        update={
            "port": free_port(),
            "identity_file": str(folder / "id_ed25519"),
            "known_hosts": str(folder / "known_hosts"),
            "runtime": "ai-edge-litert",
        }
    )
    budgets = shipped.budgets.model_copy(update={"accuracy": 0.0})
    target = shipped.model_copy(update={"ssh": ssh, "budgets": budgets})
    benches = [Workbench.make(folder / f"bench {seed}", model(seed)) for seed in (4, 5)]
    made = Rig(target, folder / "cache", (benches[0], benches[1]))
    try:
        assert made.pi.start().how == "booted"
        yield made
    finally:
        made.pi.remove()


@pytest.fixture(scope="module")
def first(rig: Rig) -> str:
    return rig.deploy(0)


def test_systemd_runs_the_release(rig: Rig, first: str) -> None:
    rig.healthy(first)
    with rig.connected() as remote:
        assert remote.run(["systemctl", "is-system-running"], timeout_s=60).text == "running\n"
        told = list(logs(remote, root=rig.ssh.root, count=5))
    assert any("audio" in line for line in told)


def test_a_check_counts_the_same_after_a_restore(rig: Rig, first: str) -> None:
    before = rig.check(0)
    assert before.passed
    rig.pi.stop()
    assert rig.pi.start().how == "restored"
    rig.healthy(first)
    after = rig.check(0)
    runs = [report.pruned.linux for report in (before, after)]
    counts = [run.instructions for run in runs if run is not None]
    print("instructions", counts, [run.latency_ms for run in runs if run is not None])
    assert counts[1] == pytest.approx(counts[0], rel=SAME)


def test_a_killed_service_comes_again(rig: Rig, first: str) -> None:
    before = rig.pid()
    with rig.connected() as remote:
        remote.run(["kill", "-KILL", str(before)], timeout_s=60)
    deadline = time.monotonic() + LIMIT_S
    while rig.pid() in (0, before):
        assert time.monotonic() < deadline
        time.sleep(1)
    rig.healthy(first)


def test_a_release_that_fails_gives_way_to_the_one_before(rig: Rig, first: str) -> None:
    with pytest.raises(DeploymentError, match="did not become healthy") as caught:
        rig.deploy(1, listen=("--input", "/nothing"))
    assert "runs again, healthy" in str(caught.value)
    rig.healthy(first)


def test_a_reboot_brings_the_release_back(rig: Rig, first: str) -> None:
    boots = []
    for action in (["systemctl", "reboot"], ["true"]):
        Guest(rig.ssh, rig.emulator).wait(LIMIT_S, all_units=True)
        with rig.connected("root") as remote, suppress(RemoteError):
            boots.append(remote.read(Path("/proc/sys/kernel/random/boot_id")))
            remote.run(action, timeout_s=60)
        time.sleep(5)
    assert boots[0] != boots[1]
    rig.healthy(first)


class Unplugging(SilentProgress):
    """Pulls the plug some seconds after the switch began."""

    def __init__(self, pid: int, after_s: float) -> None:
        self._timer = threading.Timer(after_s, os.kill, (pid, signal.SIGKILL))

    def task(
        self, description: str, total: float | None = None, unit: str = ""
    ) -> AbstractContextManager[Task]:
        if description.startswith("switch"):
            self._timer.start()
        return super().task(description, total, unit)


@pytest.mark.parametrize("after_s", [1.0, 4.0, 9.0])
def test_a_power_cut_in_the_switch_leaves_a_proved_release(
    rig: Rig, first: str, after_s: float
) -> None:
    rig.deploy(0)
    process = int((rig.emulator.image.folder / "qemu.pid").read_text())
    second = ""
    with suppress(EdgepruneError):
        second = rig.deploy(1, Unplugging(process, after_s))
    deadline = time.monotonic() + LIMIT_S
    while rig.emulator.running and time.monotonic() < deadline:
        time.sleep(0.1)
    assert rig.pi.start().how == "booted"
    rig.healthy(second or first)
    assert rig.deploy(1)
    assert not rig.status().interrupted


def test_rollback_runs_the_one_before(rig: Rig, first: str) -> None:
    rig.deploy(0)
    second = rig.deploy(1)
    rig.healthy(second)
    with rig.connected() as remote:
        done = rollback(remote, root=rig.ssh.root)
    assert (done.release, done.left) == (first, second)
    rig.healthy(first)
