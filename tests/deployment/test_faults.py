"""A connection that breaks at any call leaves a whole release running; the next deploy works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edgeprune.deployment import deploy, status
from edgeprune.errors import ConnectionLost, EdgepruneError
from edgeprune.remote import Completed
from edgeprune.remote.fake import FakeRemote
from tests.deployment.device import DeviceFolder, answer_facts
from tests.deployment.stub_bundle import ROOT, stub_bundle

#: Asking for facts, the lock, stage, the pack, a large file, complete, smoke test, switch; prune
#: and the lock again.
CALLS = 9
LARGE = {"large.so": bytes(300_000)}


class LossyRemote(FakeRemote):
    """Does what it was asked, and may lose the answer."""

    lost_answer: int | None = None

    def run(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b"", check: bool = True
    ) -> Completed:
        done = super().run(command, timeout_s=timeout_s, stdin=stdin, check=check)
        if self.lost_answer is not None and len(self.calls) > self.lost_answer:
            self._broken = True
            raise ConnectionLost("the answer was lost", where=self.name)
        return done


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LossyRemote]:
    """One device for all: each fault finds what the one before left."""
    home = tmp_path_factory.mktemp("home")
    remote = LossyRemote(home)
    answer_facts(remote)
    deploy(remote, stub_bundle(home.with_name("bundle 0"), 0), root=ROOT)
    yield remote
    DeviceFolder.of(home).stop()


def break_before(remote: LossyRemote, call: int) -> None:
    remote.cut_at_call = call


def break_after(remote: LossyRemote, call: int) -> None:
    remote.lost_answer = call


@pytest.mark.parametrize(
    ("fault", "call"),
    [(break_before, call) for call in range(CALLS)]
    + [(break_after, call) for call in (1, 2, 5, 7, 8)],
)
def test_whatever_call_breaks_a_whole_release_runs(
    lossy: LossyRemote, tmp_path: Path, fault: Callable[[LossyRemote, int], None], call: int
) -> None:
    device = DeviceFolder.of(lossy.home)
    old = device.running
    number = 100 * (fault is break_after) + call + 1
    bundle = stub_bundle(
        tmp_path / "bundle", number, files=LARGE | {"n.so": bytes(300_000 + number)}
    )
    lossy.calls.clear()
    fault(lossy, call)
    with pytest.raises(EdgepruneError):
        deploy(lossy, bundle, root=ROOT, health_timeout_s=10)
    device.wait_for_the_switch()
    switched = call > 7 or (call == 7 and fault is break_after)
    assert device.running == device.serving() == (bundle.release if switched else old)
    lossy.reconnect()
    lossy.lost_answer = None
    again = deploy(lossy, bundle, root=ROOT, health_timeout_s=10)
    assert again.unchanged == switched
    assert device.running == device.serving() == bundle.release
    assert len(device.processes()) == 1
    assert len(device.releases) <= 3


def test_the_calls_are_those_that_are_broken(lossy: LossyRemote, tmp_path: Path) -> None:
    lossy.calls.clear()
    deploy(lossy, stub_bundle(tmp_path / "bundle", 300, files={"n.so": bytes(300_300)}), root=ROOT)
    assert len(lossy.calls) == CALLS
    found = status(lossy, root=ROOT)
    assert not found.interrupted and found.locked_by is None
