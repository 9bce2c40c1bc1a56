"""A release brought to many hosts: canaries first, the rest after them, and the truth at the end.

What is done to one host is given: nothing here knows of connections.

=====  ======================================  ==================================================
phase  what is done                            what ends it
=====  ======================================  ==================================================
look   every host says what it is and runs     nothing: a host that does not answer has failed
canary the first that answered are deployed    one that fails or misses a budget: all canaries go
       to, and checked by the budgets          back to what they ran, and nothing else begins
rest   the others, so many at a time           more failures than allowed, or Ctrl-C
settle every host that failed is asked again:  nothing: one that does not answer is unknown
       what it says now can't change any more
back   where it was asked for, what was        nothing
       updated goes back to what ran before
=====  ======================================  ==================================================
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edgeprune.deployment import Deployment, Rollback, Status
from edgeprune.deployment.text import plain
from edgeprune.errors import DeploymentError, EdgepruneError, RemoteError
from edgeprune.fleet.crew import Crew, Done, Interrupts
from edgeprune.fleet.records import CANARY, REST, FleetDeployment, HostRecord, Outcome, Wave
from edgeprune.progress import Progress, SilentProgress

__all__ = ["Actions", "Plan", "roll_out"]


@dataclass(frozen=True)
class Plan:
    """How a rollout is done.

    Attributes:
        target: its name in the record.
        parallel: how many hosts at a time.
        canary: how many go first.
        max_failures: how many hosts may fail.
        on_failure: what happens when more do.
        host_limit_s: seconds after which a host that holds to no limit of its own is left.
    """

    target: str
    parallel: int
    canary: int
    max_failures: int
    on_failure: Literal["stop", "roll back"]
    host_limit_s: float


class Actions(Protocol):
    """What is done to a host.

    Each raises an EdgepruneError where it fails. All but ``prepare`` and ``check`` are called from
    several threads, for another host in each.
    """

    def look(self, host: str) -> str | None:
        """What runs there; also learns what a bundle for it must know."""

    def prepare(self, hosts: Sequence[str]) -> dict[str, str | EdgepruneError]:
        """Make the bundles of hosts that were looked at: their releases' names, or why not."""

    def deploy(self, host: str) -> Deployment:
        """Let its release run there."""

    def check(self, host: str) -> str | None:
        """Judge by the budgets what runs there: what it misses; None when it passes."""

    def settle(self, host: str) -> Status:
        """What runs there, once nothing that was asked of it before can change that."""

    def roll_back(self, host: str, release: str) -> Rollback:
        """Let an earlier release run again."""


@dataclass
class _Host:
    """What is known of a host so far."""

    name: str
    wave: Wave = REST
    outcome: Outcome = Outcome.NOT_BEGUN
    answered: bool = False
    running: str | None = None
    looked: bool = False
    before: str | None = None
    release: str | None = None
    uploaded_bytes: int = 0
    seconds: float = 0.0
    why: str = ""
    hint: str = ""
    in_doubt: bool = False

    def says(self, running: str | None) -> None:
        """Note what it runs, in its own words."""
        self.answered, self.running = True, running

    def fails(self, outcome: Outcome, error: EdgepruneError | str | None) -> None:
        """Note why it failed."""
        self.outcome, self.why = outcome, error if isinstance(error, str) else _why(error)
        self.hint = plain(getattr(error, "hint", None) or "", 300)

    def record(self) -> HostRecord:
        """For the report."""
        return HostRecord(
            host=self.name,
            wave=self.wave,
            outcome=self.outcome,
            answered=self.answered,
            running=self.running if self.answered else None,
            looked=self.looked,
            before=self.before if self.looked else None,
            uploaded_bytes=self.uploaded_bytes,
            seconds=round(self.seconds, 2),
            why=self.why,
            hint="" if self.outcome.good else self.hint,
        )


def roll_out(
    hosts: Sequence[str],
    actions: Actions,
    plan: Plan,
    *,
    progress: Progress | None = None,
    interrupts: Interrupts | None = None,
) -> FleetDeployment:
    """Deploy to hosts.

    Args:
        hosts: their names; the first are the canaries.
        actions: what is done to one.
        plan: how many at a time, and what may fail.
        progress: gets one piece of work a phase, counted in hosts.
        interrupts: counts Ctrl-C.

    Returns:
        What came of it on every host; failures of hosts are not raised.
    """
    return _Rollout(
        hosts, actions, plan, progress or SilentProgress(), interrupts or Interrupts()
    ).run()


class _Rollout:
    def __init__(
        self,
        names: Sequence[str],
        actions: Actions,
        plan: Plan,
        progress: Progress,
        interrupts: Interrupts,
    ) -> None:
        self._actions, self._plan, self._progress = actions, plan, progress
        self._interrupts = interrupts
        self._crew = Crew(plan.parallel, plan.host_limit_s, interrupts)
        self._hosts = {name: _Host(name) for name in names}
        self._stopped: str | None = None

    def run(self) -> FleetDeployment:
        started = time.monotonic()
        self._look()
        self._prepare()
        ready = [host for host in self._hosts.values() if host.release is not None]
        canaries, rest = ready[: self._plan.canary], ready[self._plan.canary :]
        for host in canaries:
            host.wave = CANARY
        with self._interrupts.caught():
            self._deploy(canaries, "canary")
            self._settle()
        self._judge(canaries)
        with self._interrupts.caught():
            if self._stopped is None:
                self._deploy(rest, "fleet")
                self._settle()
                if self._stopped is not None and self._plan.on_failure == "roll back":
                    self._roll_back(ready)
            else:
                self._roll_back(canaries)
            self._settle()
        return self._recorded(time.monotonic() - started)

    def _look(self) -> None:
        """Ask every host; the first one alone, as that is when somebody may be asked to type."""
        first, *others = self._hosts
        self._looked(Crew.alone(first, self._actions.look))
        total = len(others)
        with (
            self._interrupts.caught(),
            self._progress.task("look at the fleet", total, "hosts") as task,
        ):
            for done in self._crew.each(others, self._actions.look):
                self._looked(done)
                task.advance()
        self._count_failures()

    def _looked(self, done: Done[str | None]) -> None:
        host = self._hosts[done.host]
        if done.error is not None:
            silent = isinstance(done.error, RemoteError)
            host.fails(Outcome.UNREACHABLE if silent else Outcome.FAILED, done.error)
            return
        host.looked, host.before = True, done.value
        host.says(done.value)

    def _prepare(self) -> None:
        if self._stops():
            return
        looked = [name for name, host in self._hosts.items() if host.looked]
        for name, found in self._actions.prepare(looked).items():
            if isinstance(found, EdgepruneError):
                self._hosts[name].fails(Outcome.FAILED, found)
            else:
                self._hosts[name].release = found
        self._count_failures()

    def _deploy(self, hosts: Sequence[_Host], wave: str) -> None:
        if not hosts or self._stops():
            return
        names = [host.name for host in hosts]
        title = f"deploy to the {wave}"

        def goes_on() -> bool:
            failed = any(host.outcome is Outcome.FAILED for host in hosts)
            return not self._stops() and not (failed and wave == CANARY)

        with self._progress.task(title, len(names), "hosts") as task:
            for done in self._crew.each(names, self._actions.deploy, goes_on=goes_on):
                self._deployed(self._hosts[done.host], done)
                if wave != CANARY:
                    self._count_failures()
                task.advance()

    @staticmethod
    def _deployed(host: _Host, done: Done[Deployment]) -> None:
        host.seconds += done.seconds
        if done.value is None:
            host.fails(Outcome.FAILED, done.error)
            host.in_doubt, host.answered = True, False
            return
        deployed = done.value
        host.outcome = Outcome.UNCHANGED if deployed.unchanged else Outcome.UPDATED
        host.before = deployed.previous
        host.uploaded_bytes = deployed.uploaded_bytes
        host.says(deployed.release)

    def _judge(self, canaries: Sequence[_Host]) -> None:
        """Check the budgets of the canaries; any that fails stops the rollout."""
        for host in canaries:
            if self._stops():
                break
            if host.outcome.good:
                why = self._missed(host)
                if why is not None:
                    host.fails(Outcome.FAILED, why)
        bad = [host for host in canaries if not host.outcome.good]
        if bad and self._stopped is None:
            self._stopped = f"canary {bad[0].name}: {bad[0].why or bad[0].outcome.value}"

    def _missed(self, host: _Host) -> str | None:
        try:
            return self._actions.check(host.name)
        except EdgepruneError as error:
            return f"not checked: {_why(error)}"
        except KeyboardInterrupt:
            self._interrupts.interrupt()
            return "not checked: interrupted"

    def _settle(self) -> None:
        """Ask hosts that failed what they run, as long as it takes for that to be final."""
        doubtful = [host.name for host in self._hosts.values() if host.in_doubt]
        if not doubtful or self._interrupts.left.is_set():
            self._give_up(doubtful)
            return
        with self._progress.task("ask again", len(doubtful), "hosts") as task:
            crew = Crew(self._plan.parallel, self._plan.host_limit_s, _Rest(self._interrupts))
            for done in crew.each(doubtful, self._actions.settle):
                task.advance()
                host = self._hosts[done.host]
                host.in_doubt = False
                if done.value is None:
                    host.outcome, host.answered = Outcome.UNKNOWN, False
                    continue
                self._understand(host, done.value)
        self._give_up([name for name in doubtful if self._hosts[name].in_doubt])

    def _give_up(self, names: Sequence[str]) -> None:
        for name in names:
            host = self._hosts[name]
            host.outcome, host.answered, host.in_doubt = Outcome.UNKNOWN, False, False

    @staticmethod
    def _understand(host: _Host, status: Status) -> None:
        """What a host says after something went wrong decides what came of it."""
        host.says(status.running)
        new = status.running == host.release
        if host.outcome is Outcome.NOT_ROLLED_BACK:
            if status.running == host.before:
                host.outcome = Outcome.ROLLED_BACK
        elif new and status.service.healthy:
            same = host.before == host.release
            host.outcome = Outcome.UNCHANGED if same else Outcome.UPDATED
            host.why = f"healthy, although: {host.why}"
        elif new and not status.service.healthy:
            host.why = f"{host.why}; not healthy"

    def _roll_back(self, hosts: Sequence[_Host]) -> None:
        """Let what this rollout updated go back, but what was running it before already."""
        if self._interrupts.ended.is_set():
            return
        going: list[_Host] = []
        for host in hosts:
            updated = host.answered and host.running == host.release != host.before
            if not updated:
                continue
            if host.before is None:
                host.why = _joined(host.why, "nothing ran before, so it stays")
                host.outcome = Outcome.FAILED
            else:
                going.append(host)
        if not going:
            return
        names = [host.name for host in going]
        with self._progress.task("roll back", len(names), "hosts") as task:
            for done in self._crew.each(names, self._back):
                task.advance()
                host = self._hosts[done.host]
                host.seconds += done.seconds
                if done.value is None:
                    told = f"rollback: {_why(done.error)}"
                    host.fails(Outcome.NOT_ROLLED_BACK, _joined(host.why, told))
                    host.in_doubt, host.answered = True, False
                    continue
                host.outcome = Outcome.ROLLED_BACK
                host.says(done.value.release)

    def _back(self, name: str) -> Rollback:
        before = self._hosts[name].before
        if before is None:
            raise DeploymentError("nothing ran before", where=name)
        return self._actions.roll_back(name, before)

    def _stops(self) -> bool:
        if self._stopped is None and self._interrupts.ended.is_set():
            self._stopped = "interrupted"
        return self._stopped is not None

    def _count_failures(self) -> None:
        if self._stops():
            return
        bad = (Outcome.FAILED, Outcome.UNREACHABLE, Outcome.UNKNOWN)
        count = sum(host.outcome in bad for host in self._hosts.values())
        if count > self._plan.max_failures:
            self._stopped = f"{count} failed, and {self._plan.max_failures} may"

    def _recorded(self, seconds: float) -> FleetDeployment:
        plan = self._plan
        releases = {host.release for host in self._hosts.values()}
        return FleetDeployment(
            target=plan.target,
            releases=tuple(sorted(each for each in releases if each is not None)),
            parallel=plan.parallel,
            canary=plan.canary,
            max_failures=plan.max_failures,
            on_failure=plan.on_failure,
            stopped=self._stopped,
            interrupted=self._interrupts.ended.is_set(),
            seconds=round(seconds, 2),
            hosts=tuple(host.record() for host in self._hosts.values()),
        )


class _Rest(Interrupts):
    """For what is to be done also after the first Ctrl-C, and not after the second."""

    def __init__(self, interrupts: Interrupts) -> None:
        super().__init__()
        self.ended = self.left = interrupts.left


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _why(error: EdgepruneError | None) -> str:
    """An error in one line, without the host, which the record names."""
    return "" if error is None else plain(error.message.partition("\n")[0], 300)
