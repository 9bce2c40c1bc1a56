"""The same over a real SSH server: cut and killed while pip works, and a disk that fills up."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeprune.agent.edgeprune_agent.bundle import Packages
from edgeprune.deployment import deploy, status
from edgeprune.errors import DeploymentError, RemoteError
from edgeprune.remote import Remote, connect
from tests.deployment import deployer
from tests.deployment.device import DeviceFolder
from tests.deployment.online import (
    QUICK_PIP,
    SLOW_PIP,
    add_numpy,
    add_runtime,
    online_bundle,
    set_pip,
)
from tests.deployment.stub_bundle import ROOT, stub_bundle
from tests.remote.sshd import FULL_DISK, HOME, Sshd

KILLS = 5


@pytest.fixture
def remote(sshd: Sshd) -> Iterator[Remote]:
    with connect(sshd.table(), target="pi") as connected:
        yield connected


@pytest.fixture
def device(sshd: Sshd) -> DeviceFolder:
    return DeviceFolder.behind(sshd)


@pytest.fixture
def wheels(sshd: Sshd) -> Path:
    folder = sshd.home / "wheels"
    add_runtime(folder, "ai-edge-litert", bytes_=400_000)
    add_numpy(folder)
    return folder


def let_pip_be(sshd: Sshd, remote: Remote, program: str) -> None:
    """Put a program where the user's own pip would be, which comes before the system's."""
    where = "import site; print(site.getusersitepackages())"
    found = remote.run(["python3", "-c", where], timeout_s=20).text.strip()
    folder = sshd.home / Path(found).relative_to(HOME)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pip.py").write_text(program.format(index=f"{HOME}/wheels"))


def whole_packages(device: DeviceFolder) -> list[str]:
    """Every folder that has a name of its own is whole."""
    folder = device.path / "packages"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    whole = [name for name in names if "." not in name]
    for name in whole:
        Packages(folder / name).check()
    return whole


def test_a_deployer_that_is_killed_at_any_moment_leaves_packages_that_are_whole_or_none(
    sshd: Sshd, remote: Remote, device: DeviceFolder, wheels: Path, tmp_path: Path
) -> None:
    let_pip_be(sshd, remote, SLOW_PIP)
    old = deploy(remote, stub_bundle(tmp_path / "0", 0), root=ROOT).release
    bundle = online_bundle(tmp_path / "1", 1)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([deployer.__name__])
    moments = random.Random(5)
    partial = device.path / "packages" / f"{bundle.manifest['packages']['digest']}.partial"
    for _ in range(KILLS):
        killed = processes.Process(target=deployer.deploy_from, args=(bundle.folder, sshd.table()))
        killed.start()
        deadline = time.monotonic() + 20
        while not partial.exists() and killed.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.join(moments.uniform(0.0, 1.5))
        killed.kill()
        killed.join()
        killed.close()
        device.wait_for_the_switch()
        assert device.running == old
        if whole_packages(device):
            shutil.rmtree(partial.with_suffix(""))
    done = deploy(remote, bundle, root=ROOT)
    assert device.serving() == bundle.release
    assert (done.runtime, len(whole_packages(device))) == ("ai-edge-litert", 1)
    assert not partial.exists()
    assert not status(remote, root=ROOT).interrupted


@pytest.mark.parametrize("power", [False, True])
def test_a_connection_that_is_cut_while_pip_works_ends_pip_too(
    sshd: Sshd,
    remote: Remote,
    device: DeviceFolder,
    wheels: Path,
    tmp_path: Path,
    power: bool,
) -> None:
    note = sshd.home / "pip runs"
    write = f"open('{HOME}/pip runs.new', 'w').write(str(os.getpid()))"
    show = f"os.rename('{HOME}/pip runs.new', '{HOME}/pip runs')"
    let_pip_be(sshd, remote, f"import os, time; {write}; {show}; time.sleep(600)")
    bundle = online_bundle(tmp_path / "1", 1)
    other = connect(sshd.table(), target="pi")

    def cut() -> None:
        while not note.exists():
            time.sleep(0.01)
        if power:
            sshd.cut()
        else:
            other.close()

    cutting = threading.Thread(target=cut)
    cutting.start()
    with other, pytest.raises(RemoteError):
        deploy(other, bundle, root=ROOT)
    cutting.join()
    with connect(sshd.table(), target="pi") as again:
        deadline = time.monotonic() + 10
        pip = ["test", "-e", f"/proc/{note.read_text()}"]
        while again.run(pip, timeout_s=20, check=False).returncode == 0:
            assert time.monotonic() < deadline, "pip lives on"
            time.sleep(0.1)
        assert whole_packages(device) == []
        let_pip_be(sshd, again, QUICK_PIP)
        assert deploy(again, bundle, root=ROOT).runtime == "ai-edge-litert"


def test_a_disk_that_fills_up_leaves_the_old_release_to_run_on(
    sshd: Sshd, remote: Remote, device: DeviceFolder, wheels: Path, tmp_path: Path
) -> None:
    let_pip_be(sshd, remote, QUICK_PIP)
    old = deploy(remote, stub_bundle(tmp_path / "1", 1), root=ROOT).release
    remote.run(["ln", "-s", f"{HOME}/{FULL_DISK}", f"{ROOT}/packages"], timeout_s=20)
    with pytest.raises(DeploymentError, match="disk became full while it installed") as told:
        deploy(remote, online_bundle(tmp_path / "2", 2), root=ROOT)
    assert "make room" in (told.value.hint or "")
    assert (device.running, device.releases) == (old, [old])
    assert device.serving() == old
    assert remote.run(["ls", "-A", FULL_DISK], timeout_s=20).text == ""


def test_the_system_s_own_pip_installs_although_the_system_is_externally_managed(
    sshd: Sshd, remote: Remote, device: DeviceFolder, wheels: Path, tmp_path: Path
) -> None:
    marker = (
        "import os, sysconfig\n"
        "path = os.path.join(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')\n"
        "raise SystemExit(not os.path.exists(path))"
    )
    for command in (["-m", "pip", "--version"], ["-c", marker]):
        if remote.run(["python3", *command], timeout_s=30, check=False).returncode != 0:
            pytest.skip("the system's Python has no pip, or is not managed externally (PEP 668)")
    set_pip(sshd.home, find_links=f"{HOME}/wheels")
    done = deploy(remote, online_bundle(tmp_path / "1"), root=ROOT)
    assert (done.runtime, device.serving()) == ("ai-edge-litert", done.release)
