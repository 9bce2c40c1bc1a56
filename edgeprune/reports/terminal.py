"""The report on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from edgeprune.budgets import Status
from edgeprune.reports.report import Report
from edgeprune.reports.rows import MARKS, headline, rows

__all__ = ["show"]

_STYLES = {Status.PASS: "green", Status.FAIL: "bold red", Status.NOT_MEASURED: "bold yellow"}

#: Narrower than this a table would fold its numbers.
_LEAST_WIDTH = 120


def show(report: Report, console: Console) -> None:
    """Print the table, the notes and the verdict.

    Args:
        report: the report.
        console: where to; without a terminal the text is plain.
    """
    table = Table(title=f"{report.recipe} on {report.target.description or report.target.name}")
    table.add_column("", no_wrap=True)
    table.add_column("pruned" if report.dense else "model", justify="right", no_wrap=True)
    table.add_column("budget", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if report.dense:
        table.add_column("dense", justify="right", no_wrap=True)
        table.add_column("change", justify="right", no_wrap=True)
    for row in rows(report):
        mark = "" if row.status is None else MARKS[row.status]
        style = "" if row.status is None else _STYLES[row.status]
        cells = [row.name, row.pruned, row.budget, f"[{style}]{mark}[/]" if mark else ""]
        table.add_row(*cells, *([row.dense, row.change] if report.dense else []))
    width = console.width if console.is_terminal else max(console.width, _LEAST_WIDTH)
    console.print(table, width=width)
    console.print("accuracy: share of clips, count of clips, 95 % Wilson interval", style="dim")
    for note in report.notes:
        console.print(f"note: {note}", markup=False, width=width)
    for check in report.verdict.checks:
        if check.hint:
            console.print(f"{check.name}: try {check.hint}", markup=False, width=width)
    style = "bold green" if report.passed else "bold red"
    console.print(headline(report), style=style, width=width)
