"""A banner is not readiness: what is waited for, and what is told when it does not come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeprune.errors import DeviceError, RemoteError
from edgeprune.remote import Completed
from edgeprune.ssh_target import Ssh
from edgeprune.virtual_pi import guest
from edgeprune.virtual_pi.emulator import Emulator
from edgeprune.virtual_pi.guest import Guest
from edgeprune.virtual_pi.image import Image


class Host:
    """Answers with the states of systemd, and of the user's, one after the other."""

    def __init__(self, system: Sequence[str], user: Sequence[str]) -> None:
        self.system, self.user = list(system), list(user)
        self.commands: list[tuple[str, ...]] = []
        self.refusals = 0
        self.tables: list[Ssh] = []

    def connect(self, ssh: Ssh, *, target: str) -> Host:
        self.tables.append(ssh)
        if self.refusals:
            self.refusals -= 1
            raise RemoteError("no banner came")
        return self

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def run(self, command: Sequence[str], *, timeout_s: float, check: bool = True) -> Completed:
        self.commands.append(tuple(command))
        text = "ssh.service loaded failed"
        if command[-1] == "is-system-running":
            states = self.user if "--user" in command else self.system
            text = states.pop(0) if len(states) > 1 else states[0]
        return Completed(tuple(command), 0, f"{text}\n".encode(), b"")


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setattr(guest, "_POLL_S", 0.01)
    monkeypatch.setattr(Emulator, "running", True)
    (tmp_path / "console.log").write_text("line\n" * 30 + "the last line\n")
    return Emulator(Image(tmp_path), 1)


def test_both_managers_are_waited_for(
    emulator: Emulator, shipped: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(["initializing", "starting", "running"], ["starting", "running"])
    host.refusals = 2
    monkeypatch.setattr(guest, "connect", host.connect)
    Guest(shipped, emulator).wait(30, all_units=True)
    assert (host.system, host.user, host.refusals) == (["running"], ["running"], 0)
    assert host.commands[-1] == ("systemctl", "--user", "is-system-running")
    # A first try is given up early, for nobody may have heard it; later ones have more time.
    assert [ssh.connect_timeout_s for ssh in host.tables] == [5.0, 10.0, 15.0]


def test_a_unit_that_failed_is_named(
    emulator: Emulator, shipped: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest, "connect", Host(["degraded"], ["running"]).connect)
    with pytest.raises(DeviceError, match=r"is degraded: ssh\.service loaded failed"):
        Guest(shipped, emulator).wait(30, all_units=True)


def test_a_service_of_the_users_that_failed_does_not_keep_it_from_being_up(
    emulator: Emulator, shipped: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(["starting", "running"], ["running", "degraded"])
    monkeypatch.setattr(guest, "connect", host.connect)
    Guest(shipped, emulator).wait(30, all_units=False)
    assert host.system == ["running"]


def test_what_was_waited_for_in_vain_is_told_with_the_end_of_the_console(
    emulator: Emulator, shipped: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(["starting"], ["running"])
    monkeypatch.setattr(guest, "connect", host.connect)
    with pytest.raises(
        DeviceError, match=r"(?s)not up within 0\.1 s: starting, running.*the last line"
    ):
        Guest(shipped, emulator).wait(0.1, all_units=True)
    host.refusals = 10**6
    with pytest.raises(DeviceError, match=r"not up within 0\.1 s: no banner came"):
        Guest(shipped, emulator).wait(0.1, all_units=True)
    monkeypatch.setattr(Emulator, "running", False)
    with pytest.raises(DeviceError, match="the virtual Pi ended"):
        Guest(shipped, emulator).wait(30, all_units=True)


def test_the_clock_is_set_by_root(
    emulator: Emulator, shipped: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(["running"], ["running"])
    monkeypatch.setattr(guest, "connect", host.connect)
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.25)
    Guest(shipped, emulator).set_clock()
    assert host.commands == [("date", "--utc", "--set=@1800000000.250")]
    assert host.tables[-1].user == "root"
