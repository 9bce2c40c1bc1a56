"""A deployment to a device that is a folder: what is sent, switched, kept and told."""

from __future__ import annotations

import io
import json
import re
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from edgeprune.bundle import PROBE
from edgeprune.deployment import Deployment, deploy, logs, rollback, status, upload
from edgeprune.errors import BundleError, DeploymentError
from edgeprune.remote.fake import FakeRemote
from tests.deployment.conftest import MakeBundle
from tests.deployment.device import DeviceFolder
from tests.deployment.stub_bundle import ROOT


def run(fake: FakeRemote, bundle: object, **options: float) -> Deployment:
    return deploy(fake, bundle, root=ROOT, **({"health_timeout_s": 10.0} | options))  # type: ignore[arg-type]


def puts(fake: FakeRemote) -> list[str]:
    return [Path(call.arguments[0]).name for call in fake.calls if call.method == "put"]


def test_releases_follow_each_other_and_share_what_they_have_in_common(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    large = {"site/large.so": bytes(range(200)) * 2000}
    first = run(fake, make(1, files=large))
    assert puts(fake) == [".pack", "large.so"]
    assert (first.previous, first.unchanged, first.shared_files) == (None, False, 0)
    assert first.uploaded_bytes > 400_000
    assert (first.smoke_test, first.runtime) == ("answers the golden clip", "stub")
    assert first.service.kind == "process"
    assert "no systemd" in first.service.reason and "not started at boot" in first.service.reason
    fake.calls.clear()

    second = run(fake, make(2, files=large))
    assert puts(fake) == [".pack"]
    assert (second.previous, second.uploaded_files) == (first.release, 2)
    assert second.shared_bytes > 400_000
    assert device.running == device.serving() == second.release
    assert device.releases == [first.release, second.release]
    inode = {
        (device.path / "releases" / each / "site/large.so").stat().st_ino
        for each in device.releases
    }
    assert len(inode) == 1
    assert len(device.processes()) == 1
    assert device.json("lock") == {}
    assert json.loads(second.to_json()) == json.loads(json.dumps(asdict(second)))


def test_a_release_that_runs_well_is_checked_and_left_alone(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    bundle = make(1)
    assert not run(fake, bundle).unchanged
    (process,) = device.processes()
    fake.calls.clear()
    assert run(fake, bundle).unchanged
    assert not puts(fake)
    assert device.processes() == [process]


def test_damaged_files_of_the_release_that_runs_are_mended_in_place(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    bundle = make(1)
    run(fake, bundle)
    folder = device.path / "releases" / bundle.release
    (folder / "model.tflite").write_bytes(b"worn out")
    (folder / "number").unlink()
    (folder / "number").symlink_to("/etc/passwd")
    (folder / "more").write_bytes(b"")
    again = run(fake, bundle)
    assert (again.unchanged, again.uploaded_files) == (True, 2)
    assert device.running == bundle.release


def test_an_upload_goes_on_where_a_killed_one_ended(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    old, large = make(1), {"a.so": bytes(300_000), "b.so": bytes(400_001)}
    run(fake, old)
    bundle = make(2, files=large)
    fake.cut_after_bytes = 600_000
    with pytest.raises(Exception, match="connection broke"):
        run(fake, bundle)
    assert device.running == device.serving() == old.release
    assert f"{bundle.release}.partial" in device.releases
    fake.reconnect()
    (device.path / "releases" / f"{bundle.release}.partial" / "stray").write_bytes(b"x")
    (device.path / "releases" / "20240101T000000Z-00000000.partial").mkdir()
    (device.path / "releases" / "20240101T000000Z-00000000.trash").mkdir()
    fake.cut_after_bytes = 102_000
    assert run(fake, bundle).uploaded_files == 3, "number, manifest and the rest of b.so"
    assert device.releases == [old.release, bundle.release]


@pytest.mark.parametrize(
    ("fate", "why"),
    [
        ("ill", "not healthy in time: listening"),
        ("silent", "the service told no health"),
        ("crash", "no microphone"),
    ],
)
def test_a_release_that_does_not_become_healthy_gives_way_to_the_old_one(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle, fate: str, why: str
) -> None:
    old = run(fake, make(1)).release
    bad = make(2, fate=fate)
    with pytest.raises(DeploymentError, match=f"release {old} runs again, healthy") as caught:
        run(fake, bad, health_timeout_s=1.0)
    assert why in str(caught.value)
    assert caught.value.hint == ("plug one in" if fate == "crash" else "invoke logs shows more")
    assert f"release {bad.release}" in str(caught.value)
    assert caught.value.where == fake.name
    assert device.running == device.serving() == old
    assert len(device.processes()) == 1
    assert run(fake, make(3)).previous == old


def wait_until_it_hears(device: DeviceFolder) -> None:
    deadline = time.monotonic() + 10
    while device.json("health")["audio"] != "heard":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_release_that_hears_less_than_the_one_before_is_not_kept(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    deaf = run(fake, make(1, audio="waiting")).release
    old = run(fake, make(2, audio="waiting heard")).release
    wait_until_it_hears(device)
    with pytest.raises(DeploymentError) as caught:
        run(fake, make(3, audio="waiting"), health_timeout_s=1.5)
    assert f"hears nothing, where {old} heard: listening; release {old} runs" in str(caught.value)
    assert device.running == device.serving() == old
    assert run(fake, make(4, audio="waiting heard")).previous == old
    wait_until_it_hears(device)
    assert rollback(fake, root=ROOT, release=deaf).release == deaf, "as its owner wishes"
    assert run(fake, make(5, audio="waiting")).previous == deaf


def test_a_first_release_that_fails_leaves_nothing_running(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    bundle = make(1, fate="silent")
    device.path.mkdir()
    stale = {"release": bundle.release, "healthy": True, "pid": 1, "at": {"monotonic_s": 1e9}}
    (device.path / "health.json").write_text(json.dumps(stale))
    with pytest.raises(DeploymentError, match="nothing ran before, and nothing runs now"):
        run(fake, bundle, health_timeout_s=0.5)
    assert device.running is None
    assert device.processes() == []
    found = status(fake, root=ROOT)
    assert (found.running, found.service.alive, found.interrupted) == (None, False, False)


def test_a_release_that_fails_its_smoke_test_is_never_switched_to(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    old = run(fake, make(1)).release
    (process,) = device.processes()
    with pytest.raises(DeploymentError, match="smoke test: another bit; what ran before") as caught:
        run(fake, make(2, fate="smoke"))
    assert caught.value.hint == "look"
    assert device.releases == [old]
    assert device.processes() == [process]


def test_the_last_releases_stay(fake: FakeRemote, device: DeviceFolder, make: MakeBundle) -> None:
    first, second, third = (run(fake, make(number), keep=2) for number in (1, 2, 3))
    assert (first.removed, third.removed) == ((), (first.release,))
    assert device.releases == [second.release, third.release]
    with pytest.raises(DeploymentError):
        run(fake, make(4, fate="silent"), keep=2, health_timeout_s=0.5)
    assert device.releases == [second.release, third.release]


def test_a_disk_without_room_is_found_out_before_the_upload(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = run(fake, make(1)).release
    fake.calls.clear()
    monkeypatch.setattr(upload, "_RESERVE_BYTES", 1 << 60)
    with pytest.raises(DeploymentError, match=r"MB free, and the release needs .* runs on"):
        run(fake, make(2))
    assert not puts(fake)
    assert device.running == device.serving() == old


def test_a_disk_that_becomes_full_leaves_the_old_release(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    old = run(fake, make(1)).release
    fake.disk_bytes = 50
    with pytest.raises(Exception, match="disk is full"):
        run(fake, make(2))
    assert device.running == device.serving() == old
    fake.disk_bytes = None
    assert run(fake, make(2)).previous == old


def test_a_bundle_for_another_device_is_refused(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    with pytest.raises(BundleError, match="core is armv7"):
        run(fake, make(1, architecture="armv7"))
    with pytest.raises(DeploymentError, match=r"for Python 2\.7"):
        run(fake, make(2, python="2.7"))
    assert not device.path.exists()


def test_a_device_without_python_is_told_apart(fake: FakeRemote, make: MakeBundle) -> None:
    fake.answer("python3", "-I", "-c", PROBE, returncode=127)
    fake.answer("python3", returncode=127)
    with pytest.raises(DeploymentError, match="no Python 3"):
        run(fake, make(1))
    with pytest.raises(DeploymentError, match="no python3"):
        status(fake, root=ROOT)
    fake.answer("python3", stdout=b"Welcome!\n")
    with pytest.raises(DeploymentError, match="'Welcome!") as caught:
        status(fake, root=ROOT)
    assert "login files" in str(caught.value)


def test_a_current_that_is_no_link_is_not_touched(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    (device.path / "current").mkdir(parents=True)
    with pytest.raises(DeploymentError, match="current is not a symbolic link"):
        run(fake, make(1))


def test_rollbacks_go_back_one_by_one_and_to_a_named_release(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    one, two, three = (run(fake, make(number)).release for number in (1, 2, 3))
    back = rollback(fake, root=ROOT)
    assert (back.release, back.left, back.service.healthy) == (two, three, True)
    assert device.serving() == two
    assert rollback(fake, root=ROOT).release == one
    with pytest.raises(DeploymentError, match="no healthy release before") as caught:
        rollback(fake, root=ROOT)
    assert three in str(caught.value.hint)
    assert rollback(fake, root=ROOT, release=three).left == one
    assert status(fake, root=ROOT).previous == one
    with pytest.raises(DeploymentError, match="there is no release 2024"):
        rollback(fake, root=ROOT, release="20240101T000000Z-00000000")


def test_a_rollback_to_a_release_that_fails_goes_back_again(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    one, two = (run(fake, make(number)).release for number in (1, 2))
    fate = device.path / "releases" / one / "fate"
    fate.unlink()
    fate.write_bytes(b"ill")
    with pytest.raises(DeploymentError, match=f"release {two} runs again, healthy"):
        rollback(fake, root=ROOT, health_timeout_s=1.0)
    assert device.serving() == two


def test_a_status_tells_what_runs_and_what_does_not(
    fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    nothing = status(fake, root=ROOT)
    assert (nothing.running, nothing.service.kind, nothing.releases) == (None, None, ())
    assert not device.path.exists(), "looking changes nothing"
    with pytest.raises(DeploymentError, match="nothing was deployed"):
        logs(fake, root=ROOT)
    release = run(fake, make(1)).release
    found = status(fake, root=ROOT)
    assert (found.running, found.service.healthy, found.locked_by) == (release, True, None)
    assert found.service.age_s is not None and found.service.age_s < 10
    assert [(each.release, each.recipe) for each in found.releases] == [(release, "stub")]
    assert found.releases[0].healthy_at is not None
    assert found.free_bytes < found.total_bytes
    assert any("arguments" in line for line in logs(fake, root=ROOT))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(found.table())
    assert re.search(rf"runs +{release} *\n", console.export_text())
    device.stop()
    time.sleep(0.2)
    dead = status(fake, root=ROOT)
    assert (dead.service.alive, dead.service.healthy) == (False, False)
    assert "does not run" in dead.service.detail
    assert not run(fake, make(1)).unchanged, "a release that does not run is started again"
