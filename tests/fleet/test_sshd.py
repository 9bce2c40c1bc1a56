"""A fleet of real SSH servers, of which most fail: the table is true, every release is whole."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.fleet import Outcome, deliver_to_fleet, fleet_reach, fleet_table, members
from edgeprune.target import Target
from edgeprune.tasks import deployment as tasks
from edgeprune.tasks import remote
from tests.deployment.stub_bundle import stub_bundle
from tests.fleet.hosts import DEFECTS, FAULTS, ROOT, Trouble, lies, started, write_target
from tests.fleet.standin import StandIn

HOSTS = 8
SEED = 7
LIMITS = {"connect_timeout_s": 5.0, "stall_timeout_s": 5.0, "health_timeout_s": 10.0}


def test_whatever_befalls_hosts_each_has_one_whole_release_and_the_table_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    old = stub_bundle(tmp_path / "1" / "bundle", 1, root=ROOT)
    large = {"large.so": bytes(3_000_000)}
    new = stub_bundle(tmp_path / "2" / "bundle", 2, root=ROOT, files=large)
    with started(tmp_path / "hosts", HOSTS) as hosts:
        for host in hosts:
            host.place(old)
        fleet = {"parallel": 4, "canary": 0, "max_failures": HOSTS, "host_timeout_s": 25.0}
        target = Target.read(write_target(tmp_path, hosts, fleet=fleet, ssh=LIMITS))
        trouble = Trouble.draw(hosts, HOSTS - 2, SEED)
        assert set(trouble.faults.values()) == {*FAULTS, *DEFECTS}
        pipeline = StandIn(target, tmp_path / "published", new, reach=fleet_reach())
        with trouble.befalling(hosts, SEED, within_s=1.0):
            done = deliver_to_fleet(pipeline, members(target))  # type: ignore[arg-type]
        assert lies(hosts, done.hosts) == []
        found = {record.host: record for record in done.hosts}
        spared = [host for host in hosts if host.name not in trouble.faults]
        assert {found[host.name].outcome for host in spared} == {Outcome.UPDATED}
        assert all(host.serving() for host in spared)
        assert [len(host.device.processes()) for host in spared] == [1] * len(spared)
        assert all(len(host.device.processes()) <= 1 for host in hosts)
        by_fault = {fault: found[name] for name, fault in trouble.faults.items()}
        assert by_fault["off"].outcome is Outcome.UNREACHABLE
        protected = by_fault["read-only"]
        assert (protected.outcome, protected.running) == (Outcome.FAILED, old.release)
        assert by_fault["frozen"].outcome in (Outcome.UNKNOWN, Outcome.UPDATED)
        for record in done.hosts:
            assert not record.looked or record.before == old.release
            assert record.seconds < 60
        counts = Counter(record.outcome for record in done.hosts)
        assert len(fleet_table(done).rows) == HOSTS == sum(counts.values())
        # One kind of device, one bundle.
        assert len(pipeline.asked) == 1


def test_the_hosts_of_a_fleet_are_trusted_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with (
        Path(os.devnull).open(encoding="utf-8") as nobody,
        started(tmp_path / "hosts", 3) as hosts,
    ):
        monkeypatch.setattr("sys.stdin", nobody)
        unknown, off, known = hosts
        unknown.server.known_hosts.write_text("", encoding="utf-8")
        off.stop()
        path = str(write_target(tmp_path, hosts))
        with pytest.raises(Exit) as ended:
            remote.trust(Context(), target=path)
        assert ended.value.code == 2
        told = capsys.readouterr()
        assert f":{known.server.port}: ssh-ed25519" in told.out
        assert "is trusted already" in told.out
        assert f":{off.server.port}: can't be reached" in told.err
        command = rf"invoke (trust --target \S+ --host {unknown.name}) --fingerprint (\S+),"
        found = re.search(command, told.err)
        assert found is not None
        remote.trust(Context(), target=path, host=unknown.name, fingerprint=found[2])
        assert "trusted from now on" in capsys.readouterr().out
        with pytest.raises(Exit) as ended:
            tasks.status(Context(), target=path)
        assert ended.value.code == 1
        rows = capsys.readouterr().out
        assert rows.count("nothing") == 4
        assert "can't be reached" in rows
