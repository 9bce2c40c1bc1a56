"""What came of a deployment to a fleet: one record a host, as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Literal

__all__ = ["CANARY", "REST", "FleetDeployment", "HostRecord", "Outcome", "Wave"]

Wave = Literal["canary", "rest"]
CANARY: Wave = "canary"
REST: Wave = "rest"


class Outcome(Enum):
    """What came of it on one host."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    NOT_ROLLED_BACK = "not rolled back"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    NOT_BEGUN = "not begun"

    @property
    def good(self) -> bool:
        """Whether the host runs what it is to run."""
        return self in (Outcome.UPDATED, Outcome.UNCHANGED)


@dataclass(frozen=True)
class HostRecord:
    """One host.

    Attributes:
        host: its name in the fleet.
        wave: when its turn was.
        outcome: what came of it.
        answered: whether the host itself said, after everything that was asked of it, what it
            runs. Where not, ``running`` says nothing.
        running: the release that runs there; None for nothing.
        looked: whether the host said what it ran before. Where not, ``before`` says nothing.
        before: the release that ran there before; None for nothing.
        uploaded_bytes: what was sent.
        seconds: that it took, from its turn on.
        why: in a few words, where something is to be said.
        hint: what to try, where the host's error says it.
    """

    host: str
    wave: Wave
    outcome: Outcome
    answered: bool
    running: str | None
    looked: bool
    before: str | None
    uploaded_bytes: int
    seconds: float
    why: str
    hint: str = ""


@dataclass(frozen=True)
class FleetDeployment:
    """A deployment to a fleet: ``fleet.json``.

    Attributes:
        target: its name.
        releases: the names of the releases, one for each kind of device.
        parallel: how many hosts at a time.
        canary: how many went first.
        max_failures: how many were allowed to fail.
        on_failure: what was asked for when more do.
        stopped: why nothing more began; None when all of it was done.
        interrupted: whether the user ended it.
        seconds: that it took.
        hosts: in the order of the fleet.
    """

    target: str
    releases: tuple[str, ...]
    parallel: int
    canary: int
    max_failures: int
    on_failure: str
    stopped: str | None
    interrupted: bool
    seconds: float
    hosts: tuple[HostRecord, ...]
    schema_version: Literal[1] = 1

    @property
    def passed(self) -> bool:
        """Whether every host runs its release."""
        return all(host.outcome.good for host in self.hosts)

    def to_json(self) -> str:
        """The record, with its fields' names."""
        return (
            json.dumps(asdict(self), indent=2, sort_keys=True, default=lambda each: each.value)
            + "\n"
        )

    def summary(self) -> str:
        """One line: ``12 hosts: 10 updated, 2 failed; 34 s``."""
        counts = Counter(host.outcome for host in self.hosts)
        parts = [f"{counts[each]} {each.value}" for each in Outcome if counts[each]]
        hosts = "1 host" if len(self.hosts) == 1 else f"{len(self.hosts)} hosts"
        stopped = f"; stopped: {self.stopped}" if self.stopped else ""
        return f"{hosts}: {', '.join(parts)}; {self.seconds:.0f} s{stopped}"

    def hints(self) -> list[str]:
        """What to try, each once, with the host that it is of and how many more."""
        hosts: dict[str, list[str]] = {}
        for host in self.hosts:
            if host.hint:
                hosts.setdefault(host.hint.replace(host.host, "NAME"), []).append(host.host)
        return [
            f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: "
            f"{hint.replace('NAME', names[0])}"
            for hint, names in hosts.items()
        ]
