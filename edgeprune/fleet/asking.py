"""Every host of a fleet asked, or taken back: ``invoke status``, ``invoke rollback``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

from edgeprune.deployment import Rollback, Status
from edgeprune.deployment.text import plain
from edgeprune.fleet.actions import FleetHosts
from edgeprune.fleet.crew import Crew
from edgeprune.progress import Progress

__all__ = ["Answer", "Answers", "ask_fleet", "roll_fleet_back"]

_T = TypeVar("_T", Status, Rollback)


@dataclass(frozen=True)
class Answer(Generic[_T]):
    """What one host said.

    Attributes:
        host: its name in the fleet.
        said: the record; None where there is none.
        why: there is none.
    """

    host: str
    said: _T | None
    why: str


@dataclass(frozen=True)
class Answers(Generic[_T]):
    """What the hosts of a fleet said.

    Attributes:
        target: the fleet's name.
        hosts: in its order.
    """

    target: str
    hosts: tuple[Answer[_T], ...]

    def to_json(self) -> str:
        """The records, with their fields' names."""
        content = {"schema_version": 1, **asdict(self)}
        return json.dumps(content, indent=2, sort_keys=True) + "\n"


def ask_fleet(hosts: FleetHosts, *, parallel: int, progress: Progress) -> Answers[Status]:
    """What every host says of itself; a host that does not answer is no error."""
    return _asked(hosts, hosts.status, "ask the fleet", parallel, progress)


def roll_fleet_back(
    hosts: FleetHosts, release: str | None, *, parallel: int, progress: Progress
) -> Answers[Rollback]:
    """Let every host run an earlier release again.

    Args:
        hosts: of the fleet.
        release: which one; on every host the healthy one before the one that runs, if left out.
        parallel: how many hosts at a time.
        progress: gets one piece of work, counted in hosts.
    """

    def back(host: str) -> Rollback:
        return hosts.roll_back(host, release)

    return _asked(hosts, back, "roll the fleet back", parallel, progress)


def _asked(
    hosts: FleetHosts,
    work: Callable[[str], _T],
    title: str,
    parallel: int,
    progress: Progress,
) -> Answers[_T]:
    names: Sequence[str] = tuple(hosts.fleet)
    crew = Crew(parallel, hosts.given_up_s, hosts.interrupts)
    # Somebody may be asked to type a password for the first: no bar is in the way.
    first = Crew.alone(names[0], work)
    found = {first.host: first}
    with hosts.interrupts.caught(), progress.task(title, len(names) - 1, "hosts") as task:
        for done in crew.each(names[1:], work):
            found[done.host] = done
            task.advance()
    answers = []
    for name in names:
        if name not in found:
            answers.append(Answer[_T](name, None, "not asked: interrupted"))
            continue
        error = found[name].error
        why = plain(error.message.partition("\n")[0], 300) if error else ""
        answers.append(Answer(name, found[name].value, why))
    return Answers(hosts.target, tuple(answers))
