"""A real systemd of the user's: what it runs, what it starts again, and what it boots."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeprune.bundle import UNIT as UNIT_FILE
from edgeprune.bundle import Bundle
from edgeprune.deployment import deploy, logs, rollback, status
from edgeprune.errors import ConnectionLost, DeploymentError
from edgeprune.remote import Remote, connect
from tests.deployment.device import DeviceFolder
from tests.deployment.stub_bundle import stub_bundle
from tests.deployment.user_systemd import UserSystemd, need_systemd
from tests.remote.sshd import USER_ID, Sshd

ROOT = "edgeprune"
UNIT = "edgeprune.service"


@pytest.fixture
def systemd(sshd: Sshd) -> Iterator[UserSystemd]:
    need_systemd()
    machine = UserSystemd(sshd)
    try:
        machine.boot()
        yield machine
    finally:
        machine.remove()


@pytest.fixture
def device(systemd: UserSystemd) -> DeviceFolder:
    return DeviceFolder.behind(systemd.sshd, ROOT)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bundle]:
    def bundle(number: int, **options: object) -> Bundle:
        folder = tmp_path / f"bundle {number}"
        return stub_bundle(folder, number, **{"root": ROOT} | options)  # type: ignore[arg-type]

    return bundle


@contextmanager
def connected(systemd: UserSystemd) -> Iterator[Remote]:
    with connect(systemd.sshd.table(), target="pi") as remote:
        yield remote


def run(systemd: UserSystemd, bundle: Bundle, root: str = ROOT, wait_s: float = 10.0) -> str:
    with connected(systemd) as remote:
        done = deploy(remote, bundle, root=root, health_timeout_s=wait_s)
        assert (done.service.kind, done.service.healthy) == ("systemd", True)
    return done.release


def reboot(systemd: UserSystemd) -> None:
    systemd.power_off()
    systemd.boot()


def lose_power(systemd: UserSystemd, device: DeviceFolder, bundle: Bundle) -> None:
    """Deploy, and lose power while the new release is on trial."""

    def when_it_is_tried() -> None:
        deadline = time.monotonic() + 20
        while not device.processes(bundle.release):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        systemd.power_off()

    with connected(systemd) as remote, ThreadPoolExecutor(1) as thread:
        losing = thread.submit(when_it_is_tried)
        with pytest.raises(ConnectionLost):
            deploy(remote, bundle, root=ROOT)
        losing.result()
    systemd.boot()


def test_a_release_is_kept_running_and_comes_back_after_a_boot(
    systemd: UserSystemd, device: DeviceFolder, make: Callable[..., Bundle]
) -> None:
    release = run(systemd, make(1))
    (process,) = device.processes()
    assert systemd.tell(UNIT, "UnitFileState") == "enabled"
    with connected(systemd) as remote:
        (line,) = logs(remote, root=ROOT)
        assert line.startswith("arguments ['listen'")
    os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while device.processes() in ([], [process]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert device.serving() == release
    reboot(systemd)
    assert device.serving() == release
    with connected(systemd) as remote:
        found = status(remote, root=ROOT)
    assert (found.running, found.service.healthy) == (release, True)


def test_a_release_that_fails_gives_way_and_its_last_words_are_told(
    systemd: UserSystemd, device: DeviceFolder, make: Callable[..., Bundle]
) -> None:
    with pytest.raises(DeploymentError, match="nothing ran before, and nothing runs now"):
        run(systemd, make(1, fate="crash"), wait_s=2)
    assert systemd.tell(UNIT, "LoadState") == "not-found"
    assert not list((systemd.sshd.home / ".config").rglob("*.service"))
    old = run(systemd, make(2))
    with pytest.raises(DeploymentError, match=f"release {old} runs again, healthy") as caught:
        run(systemd, make(3, fate="crash"), wait_s=2)
    assert "no microphone" in str(caught.value)
    assert caught.value.hint == "plug one in"
    assert device.running == device.serving() == old
    reboot(systemd)
    assert device.running == device.serving() == old


def test_power_that_goes_during_a_trial_boots_the_release_that_was_proved(
    systemd: UserSystemd, device: DeviceFolder, make: Callable[..., Bundle]
) -> None:
    first = make(1, fate="slow")
    lose_power(systemd, device, first)
    assert (device.running, device.processes()) == (None, [])
    old = run(systemd, make(2))
    lose_power(systemd, device, make(3, fate="slow"))
    assert device.running == device.serving() == old
    with connected(systemd) as remote:
        assert status(remote, root=ROOT).interrupted
    (process,) = device.processes()
    with pytest.raises(DeploymentError, match="what ran before runs on"):
        run(systemd, make(4, fate="smoke"))
    with connected(systemd) as remote:
        assert not status(remote, root=ROOT).interrupted
    assert device.processes() == [process], "it was healthy, and is left alone"
    new = run(systemd, make(5))
    reboot(systemd)
    assert device.running == device.serving() == new
    with connected(systemd) as remote:
        assert rollback(remote, root=ROOT).release == old
    reboot(systemd)
    assert device.running == device.serving() == old


def test_a_unit_of_an_earlier_version_is_taken_over(
    systemd: UserSystemd, device: DeviceFolder, make: Callable[..., Bundle]
) -> None:
    first = make(1)
    release = run(systemd, first)
    unit = systemd.sshd.home / ".config/systemd/user" / UNIT
    unit.unlink()
    unit.write_bytes((first.folder / UNIT_FILE).read_bytes())
    os.chown(unit, USER_ID, USER_ID)
    reboot(systemd)
    assert device.serving() == release
    lose_power(systemd, device, make(2, fate="slow"))
    assert device.running == device.serving() == release
    assert unit.readlink().parts[-3:] == ("current", *Path(UNIT_FILE).parts)


@pytest.mark.parametrize("root", ['it\'s 100 % $HOME \\ "x"', "edge/prüne"])
def test_systemd_reads_any_path_as_it_is(
    systemd: UserSystemd, make: Callable[..., Bundle], root: str
) -> None:
    device = DeviceFolder.behind(systemd.sshd, root)
    release = run(systemd, make(1, root=root), root)
    assert device.serving() == release
    reboot(systemd)
    assert device.serving() == release
