"""What came of a fleet, for people and for CI servers: tables, and a JUnit suite."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from edgeprune.deployment import Rollback, Status
from edgeprune.deployment.text import plain
from edgeprune.fleet.asking import Answers
from edgeprune.fleet.records import FleetDeployment, HostRecord, Outcome

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["fleet_junit", "fleet_table", "rollback_table", "status_table"]

_STYLES = {
    Outcome.UPDATED: "green",
    Outcome.UNCHANGED: "green",
    Outcome.FAILED: "red",
    Outcome.ROLLED_BACK: "yellow",
    Outcome.NOT_ROLLED_BACK: "red",
    Outcome.UNREACHABLE: "red",
    Outcome.UNKNOWN: "red",
    Outcome.NOT_BEGUN: "dim",
}


def fleet_table(done: FleetDeployment) -> Table:
    """For the terminal: a row a host; releases by the eight digits of their content."""
    from rich.markup import escape

    title = f"{done.target}: {', '.join(done.releases) or 'no release was made'}"
    table = _new(title, "host", "wave", "outcome", "runs now", "before", "uploaded", "seconds")
    for host in done.hosts:
        table.add_row(
            escape(host.host),
            host.wave,
            f"[{_STYLES[host.outcome]}]{host.outcome.value}[/]",
            _short(host.running) if host.answered else "?",
            _short(host.before) if host.looked else "?",
            f"{host.uploaded_bytes / 1e6:.2f} MB" if host.uploaded_bytes else "",
            f"{host.seconds:.1f}" if host.seconds else "",
            escape(plain(host.why)),
        )
    return table


def status_table(found: Answers[Status]) -> Table:
    """What runs on every host, and how well."""
    from rich.markup import escape

    table = _new(found.target, "host", "runs", "health", "before", "service")
    for answer in found.hosts:
        told = answer.said
        if told is None:
            table.add_row(escape(answer.host), "?", "[red]?[/]", "?", "", escape(answer.why))
            continue
        well = told.service.healthy
        table.add_row(
            escape(answer.host),
            _short(told.running),
            "[green]healthy[/]" if well else "[red]not healthy[/]",
            _short(told.previous),
            escape(plain(told.service.kind or "none")),
            escape(plain("" if well else told.service.detail)),
        )
    return table


def rollback_table(found: Answers[Rollback]) -> Table:
    """What every host went back to."""
    from rich.markup import escape

    table = _new(found.target, "host", "outcome", "runs now", "left")
    for answer in found.hosts:
        told = answer.said
        if told is None:
            table.add_row(escape(answer.host), "[red]failed[/]", "?", "?", escape(answer.why))
        else:
            outcome = "[green]rolled back[/]"
            table.add_row(escape(answer.host), outcome, _short(told.release), _short(told.left), "")
    return table


def _short(release: str | None) -> str:
    """A release by the digits of its content, or that there is none."""
    return "nothing" if release is None else release.rpartition("-")[2]


def _new(title: str, *columns: str) -> Table:
    """A table whose last column, after those that are named, says why."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(title),
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )
    for name in columns:
        numbers = name in ("uploaded", "seconds")
        table.add_column(name, justify="right" if numbers else "left", no_wrap=name != "host")
    table.add_column("why")
    return table


def fleet_junit(done: FleetDeployment) -> str:
    """A test case a host."""
    bad = [host for host in done.hosts if not host.outcome.good]
    skipped = [host for host in bad if host.outcome is Outcome.NOT_BEGUN]
    suite = ET.Element(
        "testsuite",
        name=f"edgeprune.{done.target}",
        tests=str(len(done.hosts)),
        failures=str(len(bad) - len(skipped)),
        errors="0",
        skipped=str(len(skipped)),
        time=str(done.seconds),
    )
    for host in done.hosts:
        case = ET.SubElement(
            suite, "testcase", classname=done.target, name=host.host, time=str(host.seconds)
        )
        if not host.outcome.good:
            tag = "skipped" if host.outcome is Outcome.NOT_BEGUN else "failure"
            ET.SubElement(case, tag, message=_sentence(host))
        ET.SubElement(case, "system-out").text = _sentence(host)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _sentence(host: HostRecord) -> str:
    runs = (host.running or "nothing") if host.answered else "what is unknown"
    before = (host.before or "nothing") if host.looked else "what is unknown"
    told = f"{host.outcome.value}: runs {runs}, ran {before} before"
    return plain(f"{told}; {host.why}" if host.why else told)
