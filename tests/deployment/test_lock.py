"""Two deployers are kept apart; a dead one keeps nobody out."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from edgeprune.deployment import lock as locking
from edgeprune.deployment import status
from edgeprune.deployment.device_link import DeviceLink
from edgeprune.deployment.lock import Lock
from edgeprune.errors import ConnectionLost, LockedError
from edgeprune.remote.fake import FakeRemote
from tests.deployment.device import DeviceFolder
from tests.deployment.stub_bundle import ROOT


@pytest.fixture
def link(fake: FakeRemote) -> DeviceLink:
    return DeviceLink(fake, ROOT)


OTHER = "another deployer's"


def hand_over(device: DeviceFolder, boot: str | None = None, **owner: Any) -> None:
    """Let the lock be another deployer's."""
    path = device.path / "lock.json"
    record = json.loads(path.read_text())
    record["owner"].update(owner)
    record.update({"token": OTHER, "boot": boot or record["boot"]})
    path.write_text(json.dumps(record))


def test_a_second_deployer_is_told_who_is_at_work_and_since_when(
    link: DeviceLink, device: DeviceFolder
) -> None:
    with Lock(link):
        since = device.json("lock")["since"]
        with pytest.raises(LockedError, match=f"process [0-9]+, since {since}") as caught:
            Lock(link).__enter__()
        assert re.search(r"its lock ends in [56]\d s", str(caught.value))
        assert status(link.remote, root=ROOT).locked_by is not None
    assert device.json("lock") == {}
    with Lock(link):
        pass


def test_the_lock_of_another_computer_ends_with_its_lease(
    link: DeviceLink, device: DeviceFolder
) -> None:
    Lock(link).__enter__()
    hand_over(device, machine="another", host="laptop", user="anna")
    with pytest.raises(LockedError, match="anna@laptop"):
        Lock(link).__enter__()
    record = device.json("lock")
    record["until"] = time.clock_gettime(time.CLOCK_BOOTTIME)
    (device.path / "lock.json").write_text(json.dumps(record))
    with Lock(link):
        pass


def test_the_lock_of_a_dead_process_of_this_computer_is_taken_at_once(
    link: DeviceLink, device: DeviceFolder
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        Lock(link).__enter__()
        start = locking._start_time(other.pid)
        hand_over(device, pid=other.pid, start=start)
        with pytest.raises(LockedError, match=f"process {other.pid}"):
            Lock(link).__enter__()
        other.communicate(b"\n")
    with Lock(link):
        assert device.json("lock")["token"] != OTHER


def test_a_process_of_the_same_id_is_not_taken_for_the_dead_one(
    link: DeviceLink, device: DeviceFolder
) -> None:
    Lock(link).__enter__()
    hand_over(device, pid=1, start=12_345_678_901)
    with Lock(link):
        pass


def test_a_lock_that_could_not_be_given_back_does_not_keep_its_own_process_out(
    link: DeviceLink, fake: FakeRemote
) -> None:
    with pytest.raises(ConnectionLost), Lock(link):
        fake.cut_at_call = len(fake.calls)
        link.ask("status")
    fake.reconnect()
    with Lock(link):
        pass


def test_a_lock_does_not_outlive_a_reboot_of_the_device(
    link: DeviceLink, device: DeviceFolder
) -> None:
    Lock(link).__enter__()
    hand_over(device, boot="an earlier one", machine="another")
    with Lock(link):
        pass


def test_a_deployer_that_slept_too_long_is_refused(link: DeviceLink, device: DeviceFolder) -> None:
    with Lock(link) as lock:
        lock.renew_when_due()
        hand_over(device)
        with pytest.raises(LockedError, match="another deployment took it"):
            lock.ask("renew")
    assert device.json("lock")["token"] == OTHER


def test_a_lease_is_renewed_in_time(link: DeviceLink, fake: FakeRemote) -> None:
    with Lock(link, lease_s=60.0) as lock:
        count = len(fake.calls)
        lock.renew_when_due()
        assert len(fake.calls) == count
        lock._renewed -= 20.0
        lock.renew_when_due()
        assert len(fake.calls) == count + 1


@pytest.mark.parametrize(
    ("held", "running", "says"),
    [
        (True, True, "begun at noon, is under way"),
        (False, True, "settles it, and 20250301T120000Z-00000000 runs again"),
        (False, False, "settles it, and nothing runs then"),
    ],
)
def test_a_switch_without_an_end_is_told_with_what_settles_it(
    link: DeviceLink, device: DeviceFolder, held: bool, running: bool, says: str
) -> None:
    with Lock(link):
        pass
    record = {"state": "under way", "release": "r2", "action": "deploy", "at": "noon"}
    (device.path / "activation.json").write_text(json.dumps(record))
    if running:
        (device.path / "current").symlink_to("releases/20250301T120000Z-00000000")
    with (device.path / ".guard").open() as guard:
        if held:
            fcntl.flock(guard, fcntl.LOCK_EX)
        found = status(link.remote, root=ROOT)
    assert found.interrupted == (not held)
    assert str(found.switch).startswith("deploy of r2, begun at noon, ")
    assert says in str(found.switch)


def test_a_step_that_is_under_way_is_waited_for_and_then_told(
    link: DeviceLink, device: DeviceFolder
) -> None:
    Lock(link).__enter__()
    with (device.path / ".guard").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="a step of another deployment is under way"):
            Lock(link).__enter__()
