"""What is told of a device: a deployment, a rollback, its status; as JSON and as a table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from edgeprune.deployment.text import plain

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Deployment", "Release", "Rollback", "Service", "Status"]


class _Record:
    """A frozen dataclass with a JSON form."""

    def to_json(self) -> str:
        """The record, with its fields' names."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"  # type: ignore[call-overload]


@dataclass(frozen=True)
class Service:
    """What keeps the agent running.

    Attributes:
        kind: ``systemd`` or ``process``; None before the first deployment.
        reason: why it is this one.
        release: what was started last.
        since: when, in UTC.
        alive: whether it runs.
        healthy: whether it told so lately, of the release that ``current`` points to.
        detail: in words.
        age_s: of what it told.
        audio: ``heard``; ``waiting`` for a microphone; ``silent``, from one that is open; ``idle``,
            from a file or a pipe; None where the service does not say.
    """

    kind: str | None
    reason: str | None
    release: str | None
    since: str | None
    alive: bool
    healthy: bool
    detail: str
    age_s: float | None
    audio: str | None

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """Read a device's answer."""
        return cls(**{each.name: told[each.name] for each in fields(cls)})

    def warnings(self) -> list[tuple[str, str]]:
        """Rows of a table: what it lacks to do what it is for, though it is healthy."""
        if self.healthy and self.audio == "waiting":
            return [("audio", "none yet: it spots keywords as soon as a microphone is there")]
        return []


@dataclass(frozen=True)
class Release:
    """A release on a device.

    Attributes:
        release: its name.
        bytes: of its files.
        recipe: what it was made from.
        runtime: what its bundle asks for.
        healthy_at: when it last became healthy as the service, in UTC; None for never, or for one
            that a rollback left.
    """

    release: str
    bytes: int
    recipe: str | None
    runtime: str | None
    healthy_at: str | None


@dataclass(frozen=True)
class Status(_Record):
    """What a device says of itself.

    Attributes:
        host: its name in reports.
        running: the release that ``current`` points to.
        previous: what a rollback would run.
        service: of the agent.
        releases: the whole ones, newest first.
        partial: releases whose upload did not end.
        switch: what is to be said of one that is under way, or did not come to its end.
        interrupted: whether the last one did not come to its end, and none is under way.
        locked_by: who deploys right now.
        free_bytes: of its disk.
        total_bytes: likewise.
        machine: as ``uname -m`` says it.
        python: its version.
        up_s: seconds since its boot.
    """

    host: str
    running: str | None
    previous: str | None
    service: Service
    releases: tuple[Release, ...]
    partial: tuple[str, ...]
    switch: str | None
    interrupted: bool
    locked_by: str | None
    free_bytes: int
    total_bytes: int
    machine: str
    python: str
    up_s: int

    @classmethod
    def of(cls, host: str, told: dict[str, Any]) -> Self:
        """Read a device's answer."""
        owner = told["lock"].get("owner") or {}
        return cls(
            host=host,
            running=told["running"],
            previous=told["previous"],
            service=Service.of(told["service"]),
            releases=tuple(Release(**each) for each in told["releases"]),
            partial=tuple(told["partial"]),
            switch=_switch(told),
            interrupted=told["activation"].get("state") == "under way" and not told["busy"],
            locked_by=f"{owner['user']}@{owner['host']}" if owner else None,
            free_bytes=told["disk"]["free_bytes"],
            total_bytes=told["disk"]["total_bytes"],
            machine=told["machine"],
            python=told["python"],
            up_s=told["up_s"],
        )

    def table(self) -> Table:
        """For the terminal."""
        service = self.service
        state = "healthy" if service.healthy else "NOT healthy"
        disk = f"{self.free_bytes / 1e6:,.0f} MB free of {self.total_bytes / 1e6:,.0f} MB"
        rows = [
            ("runs", self.running or "nothing"),
            ("health", f"{state}: {service.detail}"),
            *service.warnings(),
            ("service", f"{service.kind or 'none'}, since {service.since or 'never'}"),
            ("disk", disk),
            ("device", f"{self.machine}, Python {self.python}, up {_duration(self.up_s)}"),
        ]
        rows += [(f"release{_mark(self, each)}", _line(each)) for each in self.releases]
        rows += [("partial", name) for name in self.partial]
        if self.switch:
            rows.append(("switch", self.switch))
        if self.locked_by:
            rows.append(("locked by", self.locked_by))
        return _table(self.host, rows)


@dataclass(frozen=True)
class Deployment(_Record):
    """A release that became healthy.

    Attributes:
        host: the device's name in reports.
        release: what runs now.
        previous: what ran before; None for nothing.
        unchanged: it ran already, healthy, and every byte of it was right.
        uploaded_files: files that were sent.
        uploaded_bytes: their size.
        shared_files: files that the device had in an earlier release.
        shared_bytes: their size.
        runtime: what runs the network there.
        smoke_test: what the golden clip proved, as the agent says it.
        service: of the agent.
        removed: old releases that made room.
        seconds: step to the time that it took.
        packages: what the device installed by itself, and why; empty where the bundle brought it.
    """

    host: str
    release: str
    previous: str | None
    unchanged: bool
    uploaded_files: int
    uploaded_bytes: int
    shared_files: int
    shared_bytes: int
    runtime: str
    smoke_test: str
    service: Service
    removed: tuple[str, ...]
    seconds: dict[str, float]
    packages: str = ""

    def table(self) -> Table:
        """For the terminal."""
        rows = [
            ("runs", self.release + (", as before" if self.unchanged else "")),
            ("before", self.previous or "nothing"),
            ("health", self.service.detail),
            *self.service.warnings(),
            ("service", f"{self.service.kind}: {self.service.reason}"),
            ("smoke test", self.smoke_test),
            ("uploaded", f"{self.uploaded_files} files, {self.uploaded_bytes / 1e6:.2f} MB"),
            ("there already", f"{self.shared_files} files, {self.shared_bytes / 1e6:.2f} MB"),
            ("time", ", ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())),
        ]
        if self.packages:
            rows.append(("packages", self.packages))
        if self.removed:
            rows.append(("removed", ", ".join(self.removed)))
        return _table(self.host, rows)


@dataclass(frozen=True)
class Rollback(_Record):
    """A device that runs an earlier release again.

    Attributes:
        host: its name in reports.
        release: what runs now.
        left: what ran before; None for nothing.
        service: of the agent.
    """

    host: str
    release: str
    left: str | None
    service: Service

    def table(self) -> Table:
        """For the terminal."""
        rows = [
            ("runs", self.release),
            ("left", self.left or "nothing"),
            ("health", self.service.detail),
            *self.service.warnings(),
            ("service", str(self.service.kind)),
        ]
        return _table(self.host, rows)


def _table(title: str, rows: list[tuple[str, str]]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), show_header=False, box=None, title_justify="left")
    for name, value in rows:
        table.add_row(escape(name), escape(plain(value)))
    return table


def _line(release: Release) -> str:
    proved = f"healthy at {release.healthy_at}" if release.healthy_at else "not proved"
    size = f"{release.bytes / 1e6:.1f} MB"
    return ", ".join(filter(None, (release.release, release.recipe, size, proved)))


def _mark(status: Status, release: Release) -> str:
    if release.release == status.running:
        return " (runs)"
    return " (before)" if release.release == status.previous else ""


def _switch(told: dict[str, Any]) -> str | None:
    """A switch without an end, in words, and what will settle it."""
    record, running = told["activation"], told["running"]
    if record.get("state") != "under way":
        return None
    begun = f"{record['action']} of {record['release']}, begun at {record['at']}"
    if told["busy"]:
        return f"{begun}, is under way"
    settles = "the next invoke deploy or invoke rollback settles it"
    if running is None:
        return f"{begun}, was interrupted before it was proved: {settles}, and nothing runs then"
    if running == record["release"]:
        return f"{begun}, was interrupted: {settles}, and this release runs on"
    return f"{begun}, was interrupted before it was proved: {settles}, and {running} runs again"


def _duration(seconds: int) -> str:
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds // 86_400} days"
