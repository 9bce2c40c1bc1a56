"""The same over a real SSH server: killed deployers, a frozen server, a full disk, a real agent."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from edgeprune.bundle import MANIFEST, UNIT, Bundle
from edgeprune.bundle.manifest import seal
from edgeprune.bundle.unit import service_unit
from edgeprune.deployment import Status, deploy, logs, rollback, status, upload
from edgeprune.errors import ConnectionLost, DeploymentError, RemoteTimeout
from edgeprune.remote import Completed, Remote, connect
from edgeprune.toolchain import find_toolchain
from tests.agent.tone_bundle import Parts, tone
from tests.deployment import deployer
from tests.deployment.device import DeviceFolder
from tests.deployment.stub_bundle import ROOT, stub_bundle
from tests.remote.sshd import FULL_DISK, USER_ID, Sshd

KILLS = 20
LARGE = {"large.so": random.Random(1).randbytes(2_000_000)}


@pytest.fixture
def remote(sshd: Sshd) -> Iterator[Remote]:
    with connect(sshd.table(stall_timeout_s=5.0), target="pi") as connected:
        yield connected


@pytest.fixture
def device(sshd: Sshd) -> DeviceFolder:
    return DeviceFolder.behind(sshd)


def test_a_deployer_that_is_killed_at_any_moment_leaves_a_whole_release(
    sshd: Sshd, remote: Remote, device: DeviceFolder, tmp_path: Path
) -> None:
    started = time.monotonic()
    deploy(remote, stub_bundle(tmp_path / "0", 0, files=LARGE), root=ROOT)
    # Starting the process and connecting take about as long as what is the same for all.
    usual_s = 1.3 * (time.monotonic() - started)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([deployer.__name__])
    moments = random.Random(5)
    releases = [device.running]
    number = 0
    for _ in range(KILLS):
        if number < len(releases):
            number += 1
            bundle = stub_bundle(tmp_path / str(number), number, files=LARGE | {"n": bytes(number)})
        killed = processes.Process(target=deployer.deploy_from, args=(bundle.folder, sshd.table()))
        killed.start()
        killed.join(moments.uniform(0.0, usual_s))
        killed.kill()
        killed.join()
        killed.close()
        device.wait_for_the_switch()
        running = device.running
        assert running in (releases[-1], bundle.release)
        if running == bundle.release:
            releases.append(running)
    # What the last deployer asked for may have begun a moment after it was killed.
    assert device.serving() in (releases[-1], bundle.release)
    last = stub_bundle(tmp_path / "last", number + 1, files=LARGE)
    done = deploy(remote, last, root=ROOT)
    assert done.previous in (releases[-1], bundle.release)
    assert device.serving() == last.release
    assert len(device.processes()) == 1
    assert len(device.releases) == 3
    assert not status(remote, root=ROOT).interrupted


@dataclass
class Interfering:
    """A connection with which something happens before or after a step."""

    remote: Remote
    step: str
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> object:
        return getattr(self.remote, name)

    def run(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b"", check: bool = True
    ) -> Completed:
        if command[-1] == self.step:
            self.before()
        done = self.remote.run(command, timeout_s=timeout_s, stdin=stdin, check=check)
        if command[-1] == self.step:
            self.after()
        return done


def when_it_is_tried(device: DeviceFolder, bundle: Bundle, act: Callable[[], object]) -> None:
    """Let something happen as soon as the device runs a release."""
    deadline = time.monotonic() + 20
    while not device.processes(bundle.release):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    act()


def deploy_and_lose(
    sshd: Sshd, device: DeviceFolder, bundle: Bundle, lose: Callable[[], object]
) -> None:
    """Deploy, and let something happen while the release is on trial."""
    with (
        connect(sshd.table(), target="pi") as remote,
        ThreadPoolExecutor(1) as thread,
    ):
        losing = thread.submit(when_it_is_tried, device, bundle, lose)
        try:
            with pytest.raises(ConnectionLost):
                deploy(remote, bundle, root=ROOT, health_timeout_s=3.0)
        finally:
            losing.result()


def kill(sshd: Sshd, doomed: Callable[[int], bool]) -> None:
    """Kill some of what the connections started; they first, or they would tell of the rest."""
    chosen = [pid for pid in sshd.sessions() if doomed(pid)]
    for pid in sorted(chosen, key=lambda pid: not is_sshd(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_sshd(pid: int) -> bool:
    return "sshd" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")


def end_connections(sshd: Sshd, device: DeviceFolder) -> None:
    """Break every connection, with what belongs to its session; the rest of the device runs on."""
    spared = device.processes()
    kill(sshd, lambda pid: is_sshd(pid) or (os.getsid(pid) != pid and pid not in spared))


def kill_the_switch(sshd: Sshd, device: DeviceFolder) -> None:
    """Kill what every connection started, but not the service."""
    spared = serving_processes(sshd, device)
    kill(sshd, lambda pid: pid not in spared)


def kill_its_child(sshd: Sshd, device: DeviceFolder) -> None:
    """Kill what does the switch in a session of its own; what waits for it lives on."""
    spared = serving_processes(sshd, device)
    kill(sshd, lambda pid: leads_a_session_of_its_own(pid) and pid not in spared)


def leads_a_session_of_its_own(pid: int) -> bool:
    """Whether a process left the session that its connection gave it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    parent = int(next(line for line in lines if line.startswith("PPid")).split()[1])
    return os.getsid(pid) == pid and not is_sshd(pid) and not is_sshd(parent)


def serving_processes(sshd: Sshd, device: DeviceFolder) -> list[int]:
    """The services, and what supervises the last one."""
    service = device.json("service")["pid"]
    return [*device.processes(), *(pid for pid in sshd.sessions() if _id_there(pid) == service)]


def _id_there(pid: int) -> int:
    """The id that a process has on the device."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("NSpid")).split()[-1])


def test_a_network_that_dies_during_the_switch_leaves_it_to_the_device(
    sshd: Sshd, remote: Remote, device: DeviceFolder, tmp_path: Path
) -> None:
    old = deploy(remote, stub_bundle(tmp_path / "1", 1), root=ROOT).release
    bad = stub_bundle(tmp_path / "2", 2, fate="ill")
    deploy_and_lose(sshd, device, bad, lambda: end_connections(sshd, device))
    device.wait_for_the_switch()
    assert device.running == device.serving() == old
    assert device.json("activation")["state"] == "reverted"


@pytest.mark.parametrize("power", [False, True])
def test_a_switch_that_is_killed_on_the_device_is_settled_by_the_next_command(
    sshd: Sshd, remote: Remote, device: DeviceFolder, tmp_path: Path, power: bool
) -> None:
    old = deploy(remote, stub_bundle(tmp_path / "1", 1), root=ROOT).release
    new = stub_bundle(tmp_path / "2", 2, fate="slow")
    lose = sshd.cut if power else lambda: kill_the_switch(sshd, device)
    deploy_and_lose(sshd, device, new, lose)
    assert device.running == old
    assert device.serving(wait_s=1.0 if power else 10.0) == (None if power else new.release)
    assert (device.processes() == []) == power
    with connect(sshd.table(), target="pi") as again:
        found = status(again, root=ROOT)
        assert found.interrupted
        assert f"deploy of {new.release}" in str(found.switch)
        assert f"rollback settles it, and {old} runs again" in str(found.switch)
        if power:
            back = rollback(again, root=ROOT, health_timeout_s=10.0)
            assert (back.release, back.left) == (old, new.release)
        else:
            smoke = stub_bundle(tmp_path / "3", 3, fate="smoke")
            with pytest.raises(DeploymentError, match="what ran before runs on"):
                deploy(again, smoke, root=ROOT, health_timeout_s=10.0)
        settled = status(again, root=ROOT)
    assert settled.running == device.serving() == old
    assert (settled.previous, settled.switch, settled.interrupted) == (None, None, False)


def test_a_switch_that_is_killed_alone_is_settled_at_once(
    sshd: Sshd, remote: Remote, device: DeviceFolder, tmp_path: Path
) -> None:
    old = deploy(remote, stub_bundle(tmp_path / "1", 1), root=ROOT).release
    new = stub_bundle(tmp_path / "2", 2, fate="slow")
    kill_it = functools.partial(kill_its_child, sshd, device)
    with ThreadPoolExecutor(1) as thread:
        losing = thread.submit(when_it_is_tried, device, new, kill_it)
        with pytest.raises(DeploymentError, match=f"interrupted; release {old} runs again"):
            deploy(remote, new, root=ROOT)
        losing.result()
    assert device.running == device.serving() == old
    assert len(device.processes()) == 1


def test_a_server_that_freezes_is_given_up_and_the_old_release_runs_on(
    sshd: Sshd, remote: Remote, device: DeviceFolder, tmp_path: Path
) -> None:
    old = deploy(remote, stub_bundle(tmp_path / "1", 1), root=ROOT).release
    bundle = stub_bundle(tmp_path / "2", 2, files=LARGE)
    with contextlib.ExitStack() as thawing:
        other = thawing.enter_context(connect(sshd.table(stall_timeout_s=0.5), target="pi"))
        freeze = functools.partial(thawing.enter_context, sshd.frozen())
        # What is uploaded comes after this step, and nobody answers.
        freezing = Interfering(other, "stage", after=freeze)
        with pytest.raises((RemoteTimeout, ConnectionLost)):
            deploy(freezing, bundle, root=ROOT)
    assert device.running == device.serving() == old
    assert deploy(remote, bundle, root=ROOT).previous == old


def test_a_full_disk_leaves_the_old_release_to_run_on(
    sshd: Sshd, remote: Remote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = f"{FULL_DISK}/edge"
    monkeypatch.setattr(upload, "_RESERVE_BYTES", -(1 << 30))
    old = deploy(remote, stub_bundle(tmp_path / "1", 1, root=root), root=root).release
    with pytest.raises(Exception, match="disk is full"):
        deploy(remote, stub_bundle(tmp_path / "2", 2, root=root, files=LARGE), root=root)
    found = _well(remote, root)
    assert (found.running, found.partial) == (old, ())

    def fill() -> None:
        script = 'while [ ! -e enough ]; do cat /dev/zero >> "$1"; sleep 0.01; done; rm "$1"'
        background = f"({script}) > /dev/null 2>&1 &"
        remote.run(["sh", "-c", background, "sh", f"{FULL_DISK}/z"], timeout_s=20)

    filling = Interfering(remote, "activate", before=fill)
    with pytest.raises(DeploymentError, match=f"release {old} was started again"):
        deploy(filling, stub_bundle(tmp_path / "3", 3, root=root), root=root, health_timeout_s=1)
    assert status(remote, root=root).running == old
    (sshd.home / "enough").touch()
    assert _well(remote, root).running == old
    last = stub_bundle(tmp_path / "4", 4, root=root)
    assert deploy(remote, last, root=root).previous == old


def _well(remote: Remote, root: str) -> Status:
    """What a device says once its service is healthy; it may have ended for want of room."""
    deadline = time.monotonic() + 20
    while not (found := status(remote, root=root)).service.healthy:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found


def real_bundle(
    folder: Path, parts: Parts, second: int, listen: Sequence[str] = ("--input", "audio fifo")
) -> Bundle:
    """The agent itself, with its numpy, for this machine."""
    parts.write(folder)
    (folder / MANIFEST).unlink()
    packages = Path(np.__file__).parent.parent
    left_out = shutil.ignore_patterns("tests", "*.pyi", "__pycache__", "f2py", "*.a")
    for name in ("numpy", "numpy.libs"):
        shutil.copytree(packages / name, folder / "site" / name, ignore=left_out)
    unit = service_unit(ROOT, description="tones", listen=listen)
    (folder / UNIT).parent.mkdir()
    (folder / UNIT).write_text(unit)
    made = datetime(2025, 3, 1, 12, 0, second, tzinfo=UTC)
    return seal(folder, {"runtime": "native", "recipe": "tones", "note": second}, made=made)


def test_the_real_agent_is_deployed_hears_is_replaced_and_comes_back(
    sshd: Sshd, remote: Remote, device: DeviceFolder, build_cache: Path, tmp_path: Path
) -> None:
    parts = Parts.build(find_toolchain("zig"), build_cache)
    fifo = sshd.home / "audio fifo"
    os.mkfifo(fifo)
    os.chown(fifo, USER_ID, USER_ID)
    first = deploy(remote, real_bundle(tmp_path / "1", parts, 1), root=ROOT)
    assert (first.runtime, first.service.healthy) == ("native", True)
    assert first.uploaded_bytes > 10_000_000
    with fifo.open("wb") as audio:
        audio.write(np.concatenate([tone(0, 500), tone(400, 1500), tone(0, 500)]).tobytes())
        audio.flush()
        deadline = time.monotonic() + 20
        while not (heard := [line for line in logs(remote, root=ROOT) if '"detection"' in line]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert '"label": "low"' in heard[0]
    second = deploy(remote, real_bundle(tmp_path / "2", parts, 2), root=ROOT)
    assert second.shared_bytes > 10_000_000 > second.uploaded_bytes
    assert device.serving() == second.release
    back = rollback(remote, root=ROOT)
    assert (back.release, back.left) == (first.release, second.release)
    assert device.serving() == first.release
    found = status(remote, root=ROOT)
    assert (found.running, found.service.detail) == (first.release, "waiting for audio")
    run = PurePosixPath(ROOT, "current", "agent", "run.py")
    told = remote.run(["python3", "-I", str(run), "version"], timeout_s=30)
    assert first.release in told.text
