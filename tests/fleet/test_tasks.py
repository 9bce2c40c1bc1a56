"""The tasks, as a user runs them, for a fleet whose devices are folders."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune import deployment, fleet
from edgeprune.deployment import Status
from edgeprune.errors import LockedError
from edgeprune.fleet import (
    FleetHosts,
    Interrupts,
    Member,
    Outcome,
    actions,
    deliver_to_fleet,
    members,
)
from edgeprune.fleet.limited import Interrupted, Limit, LimitedRemote
from edgeprune.remote.fake import FakeRemote
from edgeprune.target import Target
from edgeprune.tasks import deployment as tasks
from edgeprune.tasks import remote, way
from tests.deployment.stub_bundle import stub_bundle
from tests.devices.tiny_release import Workbench, model
from tests.fleet.folders import ROOT, Folders, write_target
from tests.fleet.scripted import status
from tests.fleet.standin import StandIn

HOSTS = ["kitchen", "hall", "attic"]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folders]:
    """Where every connection of a fleet leads to."""
    found = Folders(tmp_path / "homes")
    found.path.mkdir()
    monkeypatch.setattr(fleet, "fleet_reach", lambda: found.reach)
    yield found
    found.stop()


@pytest.fixture
def context() -> Context:
    return Context()


def code(error: pytest.ExceptionInfo[Exit]) -> int | None:
    return error.value.code


def test_a_fleet_is_deployed_watched_and_taken_back(
    folders: Folders,
    context: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = str(write_target(tmp_path, HOSTS, canary=0))
    bundles = [stub_bundle(tmp_path / str(n) / "bundle", n, root=ROOT) for n in (1, 2)]
    asked: list[list[str]] = []

    def open_pipeline(recipe: str, target: str, set_: list[str], explain: bool) -> StandIn:
        asked.append(set_)
        declared = Target.read(Path(target))
        return StandIn(declared, tmp_path / "published", bundles[len(asked) - 1])

    monkeypatch.setattr(way, "open_pipeline", open_pipeline)
    way.deploy(context, target=name, host="hall,kitchen")
    shown = capsys.readouterr().out
    assert "2 hosts: 2 updated" in shown and "attic" not in shown
    assert folders.device("hall").running == bundles[0].release
    way.deploy(context, target=name, parallel="3", max_failures="1", roll_back=True)
    assert asked[1] == [
        "target.fleet.parallel=3",
        "target.fleet.max_failures=1",
        "target.fleet.on_failure=roll back",
    ]
    told = json.loads((tmp_path / "published/fleet.json").read_text())
    assert [host["before"] for host in told["hosts"]] == [bundles[0].release] * 2 + [None]
    assert (tmp_path / "published/fleet.xml").is_file()
    capsys.readouterr()

    record = tmp_path / "status.json"
    tasks.status(context, target=name, json_=str(record))
    assert capsys.readouterr().out.count("healthy") == 3
    hosts = json.loads(record.read_text())["hosts"]
    assert [each["said"]["running"] for each in hosts] == [bundles[1].release] * 3

    with pytest.raises(Exit) as ended:
        tasks.rollback(context, target=name)
    assert code(ended) == 1
    shown = capsys.readouterr().out
    assert shown.count("rolled back") == 2
    assert "no healthy release before" in shown
    running = [folders.device(host).serving() for host in HOSTS]
    assert running == [bundles[0].release] * 2 + [bundles[1].release]

    folders.prepared["hall"] = lambda remote: setattr(remote, "cut_at_call", 0)
    with pytest.raises(Exit) as ended:
        tasks.status(context, target=name)
    assert code(ended) == 1
    assert "the connection broke" in capsys.readouterr().out


def test_a_failing_host_ends_with_1_and_an_interrupt_with_130(
    folders: Folders, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_target(tmp_path, HOSTS[:1], canary=0)
    bundle = stub_bundle(tmp_path / "1" / "bundle", 1, root=ROOT, fate="smoke")
    pipeline = StandIn(Target.read(name), tmp_path / "published", bundle)
    monkeypatch.setattr(way, "open_pipeline", lambda *given: pipeline)
    with pytest.raises(Exit) as ended:
        way.deploy(context, target=str(name))
    assert code(ended) == 1
    monkeypatch.setattr(Interrupts, "caught", _interrupted)
    with pytest.raises(Exit) as ended:
        way.deploy(context, target=str(name))
    assert code(ended) == 130


def _interrupted(interrupts: Interrupts) -> AbstractContextManager[None]:
    interrupts.ended.set()
    return nullcontext()


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        (tasks.logs, {}, "--host NAME, one of kitchen, hall, attic"),
        (tasks.logs, {"host": "hall,attic"}, "this is done with one host"),
        (tasks.status, {"host": "cellar"}, "there is no host 'cellar'"),
        (tasks.rollback, {"host": "halle"}, "did you mean 'hall'"),
        (remote.trust, {"fingerprint": "SHA256:abc"}, "this is done with one host"),
        (way.check, {}, "this is done with one host"),
        (way.deploy, {"parallel": "0"}, "--set: fleet.parallel"),
        (way.deploy, {"canary": "one"}, "--set: fleet.canary"),
    ],
)
def test_what_a_fleet_can_not_do_is_said_with_the_names_of_its_hosts(
    context: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: object,
    given: dict[str, str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_target(tmp_path, HOSTS)
    with pytest.raises(Exit) as ended:
        task(context, target=str(path), **given)  # type: ignore[operator]
    assert code(ended) == 2
    assert said in capsys.readouterr().err


def test_a_host_is_not_chosen_where_there_is_no_fleet(
    context: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.toml"
    path.write_text('name = "one"\ncore = "aarch64"\ndevice = "ssh"\n[ssh]\nhost = "kitchen"\n')
    with pytest.raises(Exit) as ended:
        tasks.status(context, target=str(path), host="kitchen")
    assert code(ended) == 2
    assert "target one: fleet: is missing" in capsys.readouterr().err


def test_a_canary_that_misses_its_budgets_is_measured_there_and_taken_back(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    target = Target.read(write_target(tmp_path, HOSTS[:2], "[budgets]\naccuracy = 1.0"))
    old = stub_bundle(tmp_path / "old" / "bundle", 1, root=ROOT)
    for member in members(target):
        with folders.reach(member.ssh, target="kitchens") as there:
            deployment.deploy(there, old, root=ROOT)
        os.mkfifo(folders.path / member.name / "audio")
    pipeline = Workbench.make(tmp_path / "bench", model()).pipeline(target)
    pipeline.reach = folders.reach
    folders.tells_itself = True
    done = deliver_to_fleet(pipeline, members(target))
    assert [host.outcome for host in done.hosts] == [Outcome.ROLLED_BACK, Outcome.NOT_BEGUN]
    assert done.stopped is not None and "misses its budgets: accuracy" in done.stopped
    assert [folders.device(host).serving() for host in HOSTS[:2]] == [old.release] * 2
    report = json.loads((pipeline.folder / "canaries/kitchen/report.json").read_text())
    assert report["passed"] is False
    assert report["target"]["name"] == "kitchens"


@pytest.mark.parametrize("call", range(0, 10, 3))
def test_a_connection_that_breaks_at_any_call_leaves_a_true_row(
    folders: Folders, tmp_path: Path, call: int
) -> None:
    target = Target.read(write_target(tmp_path, ["kitchen", "hall"], canary=0, max_failures=1))

    def cut(remote: FakeRemote) -> None:
        # The first connection looks, the second one deploys.
        remote.cut_at_call = call if folders.connections["kitchen"] == 2 else None

    folders.prepared["kitchen"] = cut
    bundle = stub_bundle(tmp_path / "1" / "bundle", 1, root=ROOT)
    pipeline = StandIn(target, tmp_path / "published", bundle, reach=folders.reach)
    done = deliver_to_fleet(pipeline, members(target))  # type: ignore[arg-type]
    kitchen, hall = done.hosts
    assert hall.outcome is Outcome.UPDATED
    assert kitchen.answered
    assert kitchen.running == folders.device("kitchen").running
    assert kitchen.outcome is (Outcome.UPDATED if kitchen.running else Outcome.FAILED)


class Slow(FakeRemote):
    """Notes how long each command may take."""

    limits: list[float]

    def run(self, command, *, timeout_s, stdin=b"", check=True):  # type: ignore[no-untyped-def]
        self.limits = [*getattr(self, "limits", []), timeout_s]
        return super().run(command, timeout_s=timeout_s, stdin=stdin, check=check)


def test_every_call_has_what_is_left_of_the_host_s_time(tmp_path: Path) -> None:
    limit = Limit(5.0)
    slow = Slow(tmp_path)
    slow.hang("sleep")
    with LimitedRemote(slow, limit) as limited:
        limited.run(("true",), timeout_s=60)
        limited.run(("true",), timeout_s=1)
        assert 4 < slow.limits[0] <= 5 and slow.limits[1] == 1
        limit._deadline = 0.0
        with pytest.raises(Exception, match="not done within 5 s"):
            limited.run(("true",), timeout_s=60)
    assert slow.closed


def test_an_interrupt_ends_an_upload_and_nothing_else(tmp_path: Path) -> None:
    interrupts = Interrupts()
    source = tmp_path / "source"
    source.write_bytes(bytes(100_000))
    home = tmp_path / "home"
    home.mkdir()
    with LimitedRemote(FakeRemote(home), Limit(60.0, interrupts.ended)) as limited:
        limited.put(source, Path("first"))  # type: ignore[arg-type]
        interrupts.interrupt()
        with pytest.raises(Interrupted):
            limited.put(source, Path("second"))  # type: ignore[arg-type]
        assert limited.run(("ls",), timeout_s=10).text.split() == ["first"]


@pytest.mark.parametrize("switching", [True, False])
def test_a_switch_is_waited_for_and_another_deployer_is_not(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switching: bool
) -> None:
    answers: list[Exception] = [LockedError("locked"), LockedError("locked")]
    told = replace(status("a release"), interrupted=switching)

    def settled(*given: object, **named: object) -> Status:
        if answers:
            raise answers.pop()
        return status("settled")

    monkeypatch.setattr(actions.deployment, "settled", settled)
    monkeypatch.setattr(actions.deployment, "status", lambda *given, **named: told)
    monkeypatch.setattr(actions, "_POLL_S", 0.01)
    monkeypatch.setattr(actions, "_OTHERS_S", 0.0)
    ssh = members(Target.read(write_target(tmp_path, HOSTS)))[0].ssh
    kitchen = {"kitchen": Member("kitchen", ssh)}
    hosts = FleetHosts("kitchens", kitchen, 60.0, folders.reach, Interrupts())
    assert hosts.settle("kitchen").running == ("settled" if switching else "a release")
