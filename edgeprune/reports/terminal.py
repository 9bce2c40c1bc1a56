"""The report on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgeprune.budgets import Status
from edgeprune.reports.report import Report
from edgeprune.reports.rows import MARKS, headline, rows

__all__ = ["show"]

_STYLES = {
    Status.PASS: "green",
    Status.FAIL: "bold red",
    Status.NOT_MEASURED: "bold yellow",
    Status.NOT_JUDGED: "dim",
}

#: A narrower terminal shows the dense model only in the files.
_LEAST_WIDTH_OF_BOTH = 105


def show(report: Report, console: Console) -> None:
    """Print the table, the notes and the verdict.

    Args:
        report: the report.
        console: where to; the dense model's columns need 105 columns.
    """
    title = escape(f"{report.recipe} on {report.target.name}: {report.target.description}")
    table = Table(
        title=title, title_style="bold", box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    table.add_column("", min_width=28)  # the one that folds on a narrow terminal
    table.add_column("pruned" if report.dense else "model", justify="right", no_wrap=True)
    table.add_column("budget", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    beside = report.dense is not None and console.width >= _LEAST_WIDTH_OF_BOTH
    if beside:
        table.add_column("dense", justify="right", no_wrap=True)
        table.add_column("change", justify="right", no_wrap=True)
    for row in rows(report):
        mark = "" if row.status is None else MARKS[row.status]
        style = "" if row.status is None else _STYLES[row.status]
        cells = [row.name, escape(row.pruned), row.budget, f"[{style}]{mark}[/]" if mark else ""]
        table.add_row(*cells, *([row.dense, row.change] if beside else []))
    console.print(table)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    for check in report.verdict.checks:
        if check.hint:
            console.print(f"{check.name}: try {check.hint}", markup=False)
    style = "bold green" if report.passed else "bold red"
    console.print(headline(report), style=style)
