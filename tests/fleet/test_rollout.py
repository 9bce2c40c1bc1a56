"""Waves, canaries, failures and the way back, with hosts that do what the test says."""

from __future__ import annotations

import json
import signal
import threading
import time
from xml.etree import ElementTree as ET

import pytest

from edgeprune.fleet import FleetDeployment, Interrupts, Outcome, fleet_junit, fleet_table
from edgeprune.progress import SilentProgress
from tests.fleet.scripted import NEW, OLD, Device, Scripted, fleet, plan, run


def outcomes(done: FleetDeployment) -> str:
    """One word a host: how its outcome begins, or the capital where it went first."""
    return " ".join(
        host.outcome.value.upper() if host.wave == "canary" else host.outcome.value
        for host in done.hosts
    )


def test_the_canary_goes_first_and_alone_and_the_rest_so_many_at_a_time() -> None:
    done, actions = run(fleet(8), parallel=3)
    deployed = [call for call in actions.calls if not call.startswith("look")]
    assert deployed[:2] == ["deploy h0", "check h0"]
    assert sorted(deployed[2:]) == [f"deploy h{n}" for n in range(1, 8)]
    assert actions.most == 3
    assert outcomes(done) == "UPDATED " + " ".join(["updated"] * 7)
    assert done.passed and done.stopped is None and done.releases == (NEW,)
    assert {(host.before, host.running, host.uploaded_bytes) for host in done.hosts} == {
        (OLD, NEW, 1000)
    }


def test_without_a_canary_nothing_is_checked() -> None:
    done, actions = run(fleet(3), canary=0)
    assert done.passed
    assert actions.done_to("check") == []


def test_a_host_that_runs_the_release_already_is_unchanged() -> None:
    done, _ = run(fleet(2, h1=Device(running=NEW)))
    assert outcomes(done) == "UPDATED unchanged"
    assert done.passed


@pytest.mark.parametrize("misses", ["accuracy 0.5, at least 0.9", "error"])
def test_a_canary_that_misses_a_budget_goes_back_and_nothing_else_begins(misses: str) -> None:
    done, actions = run(fleet(4, h1=Device(misses=misses)), canary=2, max_failures=4)
    assert outcomes(done) == "ROLLED BACK ROLLED BACK not begun not begun"
    assert [host.running for host in done.hosts] == [OLD] * 4
    assert sorted(actions.done_to("deploy")) == ["h0", "h1"]
    assert done.stopped is not None and done.stopped.startswith("canary h1: ")
    assert (misses if misses != "error" else "not checked") in done.hosts[1].why
    assert not done.passed


def test_a_canary_that_fails_is_not_checked_and_nothing_else_begins() -> None:
    done, actions = run(fleet(3, h0=Device(fate="ill")), max_failures=3)
    assert outcomes(done) == "FAILED not begun not begun"
    assert (actions.done_to("deploy"), actions.done_to("check")) == (["h0"], [])
    assert actions.done_to("settle") == ["h0"]
    assert (done.hosts[0].running, done.hosts[0].answered) == (OLD, True)
    assert "no microphone" in done.hosts[0].why


def test_canaries_after_one_that_failed_do_not_begin() -> None:
    done, actions = run(fleet(5, h0=Device(fate="ill")), canary=4, parallel=1)
    assert actions.done_to("deploy") == ["h0"]
    assert outcomes(done).startswith("FAILED NOT BEGUN NOT BEGUN NOT BEGUN not")


def test_a_canary_that_can_not_be_reached_gives_way_to_the_next() -> None:
    done, actions = run(fleet(3, h0=Device(fate="off")), max_failures=1)
    assert outcomes(done) == "unreachable UPDATED updated"
    assert actions.done_to("check") == ["h1"]
    assert (done.hosts[0].answered, done.hosts[0].looked) == (False, False)


def test_a_canary_where_nothing_ran_before_says_so_and_stays() -> None:
    done, actions = run(fleet(2, h0=Device(running=None, misses="latency")))
    assert outcomes(done) == "FAILED not begun"
    assert "nothing ran before" in done.hosts[0].why
    assert (done.hosts[0].running, done.hosts[0].before) == (NEW, None)
    assert actions.done_to("back") == []


def test_a_canary_that_ran_the_release_already_stays_when_it_fails() -> None:
    done, actions = run(fleet(2, h0=Device(running=NEW, misses="latency")))
    assert outcomes(done) == "FAILED not begun"
    assert actions.done_to("back") == []


@pytest.mark.parametrize(("allowed", "stops"), [(2, False), (1, True)])
def test_nothing_new_begins_after_more_failures_than_allowed(allowed: int, stops: bool) -> None:
    bad = Device(fate="ill")
    devices = fleet(6, h1=bad, h2=Device(fate="lost before"))
    done, actions = run(devices, parallel=1, max_failures=allowed)
    rest = "not begun not begun not begun" if stops else "updated updated updated"
    assert outcomes(done) == f"UPDATED failed failed {rest}"
    assert done.stopped == ("2 failed, and 1 may" if stops else None)
    assert sorted(actions.done_to("settle")) == ["h1", "h2"]
    assert actions.done_to("back") == []


def test_hosts_that_can_not_be_reached_count_before_anything_begins() -> None:
    devices = fleet(3, h1=Device(fate="off"), h2=Device(fate="unfit"))
    done, actions = run(devices, max_failures=1)
    assert outcomes(done) == "NOT BEGUN unreachable failed"
    assert actions.done_to("deploy") == []
    assert done.hosts[2].why == "no runtime for it"
    assert [host.running for host in done.hosts] == [OLD, None, OLD]


def test_what_was_updated_goes_back_where_that_is_asked_for() -> None:
    devices = fleet(
        7,
        h1=Device(fate="lost after"),
        h2=Device(running=None),
        h3=Device(keeps=True),
        h4=Device(running=NEW),
        h5=Device(fate="ill"),
    )
    done, actions = run(devices, parallel=1, max_failures=1, on_failure="roll back")
    words = "rolled back, failed, not rolled back, unchanged, failed, not begun"
    assert outcomes(done) == "ROLLED BACK " + words.replace(",", "")
    assert sorted(actions.done_to("back")) == ["h0", "h1", "h3"]
    assert [host.running for host in done.hosts] == [OLD, OLD, NEW, NEW, NEW, OLD, OLD]
    assert "nothing ran before" in done.hosts[2].why
    assert "rollback: release did not become healthy" in done.hosts[3].why


def test_a_lost_connection_is_no_guess_the_host_is_asked() -> None:
    devices = fleet(
        4, h1=Device(fate="lost before"), h2=Device(fate="lost after"), h3=Device(fate="gone")
    )
    done, actions = run(devices, max_failures=9)
    assert outcomes(done) == "UPDATED failed updated unknown"
    assert [host.running for host in done.hosts] == [NEW, OLD, NEW, None]
    assert [host.answered for host in done.hosts] == [True, True, True, False]
    assert done.hosts[3].before == OLD
    assert "the connection broke" in done.hosts[2].why
    assert sorted(actions.done_to("settle")) == ["h1", "h2", "h3"]


def test_a_host_that_hangs_beyond_every_limit_does_not_hold_the_others() -> None:
    begun = time.monotonic()
    devices = fleet(5, h1=Device(fate="hangs"))
    done, _ = run(devices, parallel=2, max_failures=1, host_limit_s=0.5)
    assert time.monotonic() - begun < 10
    assert outcomes(done) == "UPDATED unknown updated updated updated"
    assert "did not end within 0.5 s" in done.hosts[1].why


def test_after_the_first_interrupt_nothing_new_begins_and_the_table_stays_true() -> None:
    interrupts = Interrupts()

    def interrupt(host: str) -> None:
        if host == "h1":
            interrupts.interrupt()

    devices = fleet(6, h1=Device(fate="lost after"))
    changes = {"parallel": 1, "on_failure": "roll back"}
    done, actions = run(devices, interrupts=interrupts, during=interrupt, **changes)
    assert outcomes(done) == "UPDATED updated not begun not begun not begun not begun"
    assert (done.interrupted, done.stopped, done.passed) == (True, "interrupted", False)
    assert (actions.done_to("settle"), actions.done_to("back")) == (["h1"], [])


def test_an_interrupt_while_looking_lets_nothing_begin() -> None:
    interrupts = Interrupts()
    interrupts.interrupt()
    done, actions = run(fleet(4), interrupts=interrupts)
    assert actions.calls == ["look h0"]
    assert [host.outcome for host in done.hosts] == [Outcome.NOT_BEGUN] * 4
    assert done.stopped == "interrupted"


def test_after_the_second_interrupt_nobody_is_waited_for() -> None:
    interrupts = Interrupts()

    def interrupt(host: str) -> None:
        if host == "h1":
            interrupts.interrupt()
            interrupts.interrupt()

    devices = fleet(4, h1=Device(fate="hangs"))
    begun = time.monotonic()
    done, _ = run(devices, parallel=1, interrupts=interrupts, during=interrupt)
    assert time.monotonic() - begun < 10
    assert outcomes(done) == "UPDATED unknown not begun not begun"
    assert "left by the user" in done.hosts[1].why


def test_ctrl_c_is_counted_while_hosts_are_worked_on() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    said: list[str] = []
    interrupts = Interrupts(said.append)

    def press(host: str) -> None:
        if host == "h1":
            signal.raise_signal(signal.SIGINT)
            interrupts.ended.wait(5)

    try:
        done, _ = run(fleet(3), parallel=1, interrupts=interrupts, during=press)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcomes(done) == "UPDATED updated not begun"
    assert len(said) == 1


def test_ctrl_c_during_the_check_of_a_canary_leaves_it_and_begins_nothing() -> None:
    class Interrupting(Scripted):
        def check(self, host: str) -> str | None:
            raise KeyboardInterrupt

    from edgeprune.fleet import roll_out

    actions = Interrupting(fleet(2))
    done = roll_out(["h0", "h1"], actions, plan(), progress=SilentProgress())
    assert outcomes(done) == "FAILED not begun"
    assert (done.interrupted, done.hosts[0].running) == (True, NEW)
    assert "interrupted" in done.hosts[0].why


def test_a_bug_is_not_taken_for_a_failure_of_the_host() -> None:
    def broken(host: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fleet(3), during=broken)
    assert threading.current_thread() is threading.main_thread()


def test_hints_are_told_once_with_the_hosts_that_they_are_of() -> None:
    devices = fleet(4, h1=Device(fate="off"), h3=Device(fate="off"))
    done, _ = run(devices, max_failures=2)
    assert [host.hint for host in done.hosts] == ["", "switch h1 on", "", "switch h3 on"]
    assert done.hints() == ["h1 and 1 more: switch h1 on"]


def test_the_record_the_table_and_junit_say_the_same() -> None:
    devices = fleet(
        5,
        h1=Device(fate="off"),
        h2=Device(fate="gone"),
        h3=Device(running=None),
        h4=Device(fate="ill"),
    )
    done, _ = run(devices, max_failures=3)
    told = json.loads(done.to_json())
    assert told["schema_version"] == 1
    assert [host["outcome"] for host in told["hosts"]] == [
        "updated",
        "unreachable",
        "unknown",
        "updated",
        "failed",
    ]
    table = fleet_table(done)
    rows = list(zip(*(list(column.cells) for column in table.columns), strict=True))
    assert [row[3] for row in rows] == ["0000002e", "?", "?", "0000002e", "0000001d"]
    assert [row[4] for row in rows] == ["0000001d", "?", "0000001d", "nothing", "0000001d"]
    suite = ET.fromstring(fleet_junit(done))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "3", "0")
    assert done.summary().startswith("5 hosts: 2 updated, 1 failed, 1 unreachable, 1 unknown; ")
    assert Outcome.UNKNOWN.good is False
