"""Packages that the device's own pip installs, from an index that is a folder."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.bundle import Bundle
from edgeprune.bundle.signature import SigningKey, make_keys
from edgeprune.deployment import Deployment, deploy, rollback
from edgeprune.errors import ConnectionLost, DeploymentError, LockedError
from edgeprune.pipeline import Pipeline
from edgeprune.remote.fake import FakeRemote
from edgeprune.tasks import way
from tests.deployment.conftest import MakeBundle
from tests.deployment.device import DeviceFolder
from tests.deployment.online import (
    LITERT,
    QUICK_PIP,
    add_numpy,
    add_runtime,
    add_wheel,
    online_bundle,
    set_pip,
    stand_in,
)
from tests.deployment.stub_bundle import ROOT


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PIP_", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/nowhere")
    monkeypatch.delenv("PIP_CONFIG_FILE")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """LiteRT and NumPy."""
    folder = tmp_path / "index"
    add_runtime(folder, "ai-edge-litert")
    add_numpy(folder)
    return folder


@pytest.fixture
def index(wheels: Path, fake: FakeRemote, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index for a pip that is quicker than the real one."""
    program = QUICK_PIP.format(index=str(wheels))
    monkeypatch.setenv("PYTHONPATH", str(stand_in(fake.home, program)))
    return wheels


def packages(device: DeviceFolder) -> list[str]:
    folder = device.path / "packages"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_device_installs_what_the_release_runs_with(
    fake: FakeRemote, device: DeviceFolder, wheels: Path, tmp_path: Path
) -> None:
    set_pip(fake.home, find_links=str(wheels))
    add_wheel(wheels, "paho-mqtt", "2.1.0", {"paho/__init__.py": b""})
    extras = ("sounddevice>=0.4.6,<1", "paho-mqtt>=1.6,<3")
    bundle = online_bundle(tmp_path / "1", 1, extras=extras)
    done = deploy(fake, bundle, root=ROOT)
    assert (done.runtime, done.service.detail) == ("ai-edge-litert", "numpy 2.1.0")
    assert device.serving() == bundle.release
    versions = "ai-edge-litert 9.1.0, numpy 2.1.0, paho-mqtt 2.1.0"
    assert f"installed by the host: {versions}; " in done.packages
    assert "in this machine's version" in done.packages
    assert "left out: sounddevice>=0.4.6,<1: No matching distribution" in done.packages
    (digest,) = packages(device)
    assert digest == bundle.manifest["packages"]["digest"]
    folder = device.path / "packages" / digest
    assert {path.name for path in folder.iterdir()} == {"installed.json", "site"}
    assert not list(folder.rglob("__pycache__"))
    record = json.loads((folder / "installed.json").read_text())
    assert record["packages"]["ai-edge-litert"] == LITERT
    assert (record["runtime"], record["version"]) == ("ai-edge-litert", LITERT)
    assert {"numpy/__init__.py", "paho/__init__.py"} <= set(record["files"])


def test_nothing_is_installed_twice_unless_it_rots_and_going_back_needs_no_network(
    fake: FakeRemote, device: DeviceFolder, index: Path, tmp_path: Path
) -> None:
    first = deploy(fake, online_bundle(tmp_path / "1", 1), root=ROOT)
    away = index.rename(tmp_path / "away")
    bundle = online_bundle(tmp_path / "2", 2)
    second = deploy(fake, bundle, root=ROOT)
    assert second.packages == first.packages.replace("installed by the host", "there already")
    assert (second.previous, device.serving()) == (first.release, second.release)
    away.rename(index)
    (digest,) = packages(device)
    module = device.path / "packages" / digest / "site" / "numpy" / "__init__.py"
    module.write_text("__version__ = '6.6.6'\n")
    again = deploy(fake, bundle, root=ROOT)
    assert again.unchanged
    assert again.packages == first.packages
    assert packages(device) == [digest]
    assert "2.1.0" in module.read_text()
    shutil.rmtree(index)
    back = rollback(fake, root=ROOT)
    assert back.release == device.serving() == first.release


def test_what_crashes_is_passed_over_for_what_does_not(
    fake: FakeRemote, device: DeviceFolder, index: Path, tmp_path: Path
) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
    add_runtime(index, "ai-edge-litert", constructing=crash)
    add_runtime(index, "tflite-runtime", "2.14.0", constructing="import numpy; numpy.one")
    add_numpy(index, "1.26.4")
    done = deploy(fake, online_bundle(tmp_path / "1"), root=ROOT)
    assert (done.runtime, done.service.detail) == ("native", "numpy 2.1.0")
    assert "can't be constructed: it crashes with SIGILL" in done.packages
    assert "module 'numpy' has no attribute 'one'" in done.packages
    assert "the compiled model for" in done.packages
    add_runtime(index, "tflite-runtime", "2.14.0")
    (device.path / "packages" / packages(device)[0] / "installed.json").unlink()
    done = deploy(fake, online_bundle(tmp_path / "2", 2), root=ROOT)
    assert (done.runtime, done.service.detail) == ("tflite-runtime", "numpy 1.26.4")


def test_one_runtime_that_can_t_be_had_is_an_error_that_says_why(
    fake: FakeRemote, device: DeviceFolder, index: Path, tmp_path: Path
) -> None:
    old = deploy(fake, online_bundle(tmp_path / "1", 1), root=ROOT)
    bundle = online_bundle(tmp_path / "2", 2, wanted="tflite-runtime")
    with pytest.raises(DeploymentError, match="No matching distribution found for tflite") as told:
        deploy(fake, bundle, root=ROOT)
    assert "what ran before runs on" in str(told.value)
    assert "ssh.runtime = 'auto'" in (told.value.hint or "")
    assert device.running == device.serving() == old.release
    assert device.releases == [old.release]
    assert len(packages(device)) == 1


def test_without_an_index_nothing_is_concluded(
    fake: FakeRemote, device: DeviceFolder, tmp_path: Path
) -> None:
    set_pip(fake.home, index="http://127.0.0.1:9/simple")
    with pytest.raises(DeploymentError, match="can't reach its index") as told:
        deploy(fake, online_bundle(tmp_path / "2", 2), root=ROOT)
    assert "\n  | " in str(told.value)
    assert "without --online" in (told.value.hint or "")
    assert (device.running, device.releases, packages(device)) == (None, [], [])


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("/usr/bin/python3: No module named pip", "has no pip", "apt-get install python3-pip"),
        ("ERROR: [Errno 28] No space left on device", "disk became full", "make room"),
        ("ERROR: of another kind\x1b[2J", "pip fails", "python3 -m pip"),
    ],
)
def test_a_pip_that_fails_is_told_in_its_own_words(
    fake: FakeRemote,
    device: DeviceFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    message: str,
    hint: str,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(stand_in(fake.home, f"raise SystemExit({said!r})")))
    with pytest.raises(DeploymentError, match=message) as told:
        deploy(fake, online_bundle(tmp_path / "1"), root=ROOT)
    assert hint in (told.value.hint or "")
    assert said.replace("\x1b", "\ufffd") in str(told.value)
    assert (device.running, device.releases, packages(device)) == (None, [], [])


def test_a_pip_that_does_not_end_is_killed_with_all_that_it_started(
    fake: FakeRemote, device: DeviceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = """\
        import os, pathlib, subprocess, time
        child = subprocess.Popen(["sleep", "600"])
        pathlib.Path(os.environ["HOME"], "pids").write_text(f"{os.getpid()} {child.pid}")
        print("Collecting ai-edge-litert", flush=True)
        time.sleep(600)
    """
    monkeypatch.setenv("PYTHONPATH", str(stand_in(fake.home, textwrap.dedent(hanging))))
    with pytest.raises(DeploymentError, match=r"not end in time[^|]*\n  \| Collecting") as told:
        deploy(fake, online_bundle(tmp_path / "1"), root=ROOT, install_timeout_s=1.0)
    assert "ssh.install_timeout_s" in (told.value.hint or "")
    assert packages(device) == []
    for pid in (fake.home / "pids").read_text().split():
        assert has_ended(int(pid))


def has_ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_the_lease_is_kept_while_pip_runs(
    fake: FakeRemote, device: DeviceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noting = """\
        import json, os, pathlib, time
        lock = pathlib.Path(os.environ["HOME"], ROOT, "lock.json")
        left = []
        for _ in range(35):
            left.append(json.loads(lock.read_text())["until"] - time.clock_gettime(7))
            time.sleep(0.1)
        raise SystemExit(f"least: {min(left) > 0}, {left}")
    """
    program = textwrap.dedent(noting).replace("ROOT", repr(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(stand_in(fake.home, program)))
    with pytest.raises(DeploymentError, match="least: True"):
        deploy(fake, online_bundle(tmp_path / "1"), root=ROOT, lease_s=2.0)


def test_packages_that_no_release_names_are_removed(
    fake: FakeRemote, device: DeviceFolder, index: Path, make: MakeBundle, tmp_path: Path
) -> None:
    (device.path / "packages" / "0123456789abcdef.partial" / "site").mkdir(parents=True)
    first = online_bundle(tmp_path / "1", 1)
    second = online_bundle(tmp_path / "2", 2, wanted="native")
    deploy(fake, first, root=ROOT, keep=2)
    assert packages(device) == digests(first)
    deploy(fake, second, root=ROOT, keep=2)
    assert packages(device) == digests(first, second)
    offline = deploy(fake, make(3), root=ROOT, keep=2)
    assert packages(device) == digests(second)
    assert device.releases == [second.release, offline.release]
    assert rollback(fake, root=ROOT).release == device.serving() == second.release


def digests(*bundles: Bundle) -> list[str]:
    return sorted(str(bundle.manifest["packages"]["digest"]) for bundle in bundles)


def test_a_device_with_a_pinned_key_refuses_before_anything_is_installed(
    fake: FakeRemote, device: DeviceFolder, index: Path, make: MakeBundle, tmp_path: Path
) -> None:
    pair = make_keys(tmp_path / "own.key")
    pinned = fake.home / ".config" / "edgeprune" / "trusted.pub"
    pinned.parent.mkdir(parents=True)
    pinned.write_bytes(pair.public.read_bytes())
    with pytest.raises(DeploymentError, match="nobody signs those") as told:
        deploy(fake, online_bundle(tmp_path / "1", key=SigningKey.load(pair.private)), root=ROOT)
    assert "without --online" in (told.value.hint or "")
    assert (device.running, device.releases, packages(device)) == (None, [], [])


def test_whatever_call_breaks_the_old_release_runs_and_the_next_deployment_works(
    fake: FakeRemote, device: DeviceFolder, index: Path, make: MakeBundle, tmp_path: Path
) -> None:
    old = deploy(fake, make(1), root=ROOT).release
    bundle = online_bundle(tmp_path / "2", 2)
    # The pack, complete, version, install, keep_packages, health, activate.
    for call in range(4, 10):
        fake.calls.clear()
        fake.cut_at_call = call
        with pytest.raises(ConnectionLost):
            deploy(fake, bundle, root=ROOT)
        asked = fake.calls[-1].arguments[-1]
        assert device.running == old
        assert packages(device) == {
            "keep_packages": [f"{digests(bundle)[0]}.partial"],
            "health": digests(bundle),
            "activate": digests(bundle),
        }.get(asked, [])
        if asked == "health":
            shutil.rmtree(device.path / "packages")
        fake.reconnect()
    assert asked == "activate"
    assert deploy(fake, bundle, root=ROOT).previous == old
    assert device.serving() == bundle.release
    assert packages(device) == digests(bundle)


@pytest.mark.parametrize("online", [False, True])
def test_the_flag_is_the_target_s_option(
    online: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Pipeline] = []

    def note(pipeline: Pipeline) -> Deployment:
        asked.append(pipeline)
        raise DeploymentError("far enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgeprune.deployment.delivery.deliver", note)
    with pytest.raises(Exit):
        way.deploy(Context(), target="raspberry-pi-4", online=online)
    assert asked[0].target.ssh_table().online is online


def test_a_lock_that_is_lost_while_pip_runs_is_told_as_that(
    fake: FakeRemote, device: DeviceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stealing = """\
        import json, os, pathlib
        lock = pathlib.Path(os.environ["HOME"], ROOT, "lock.json")
        lock.write_text(json.dumps({**json.loads(lock.read_text()), "token": "another's"}))
    """
    program = textwrap.dedent(stealing).replace("ROOT", repr(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(stand_in(fake.home, program)))
    with pytest.raises(LockedError, match="another deployment took it"):
        deploy(fake, online_bundle(tmp_path / "1"), root=ROOT)
    assert device.running is None
