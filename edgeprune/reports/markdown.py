"""The report as Markdown, for a pull request or a release page."""

from __future__ import annotations

from edgeprune.reports.report import Report
from edgeprune.reports.rows import MARKS, headline, rows

__all__ = ["markdown"]


def markdown(report: Report) -> str:
    """The table, the notes, what to try, and what the numbers can be traced to."""
    target = report.target
    lines = [
        f"# {headline(report)}",
        "",
        f"{target.description or target.name}; {target.core} on device `{target.device}`, "
        f"compiled with {target.toolchain} for {target.optimize}.",
        "",
    ]
    columns = ["", "pruned" if report.dense else "model", "budget", "verdict"]
    columns += ["dense", "change"] if report.dense else []
    lines += [_line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]
    for row in rows(report):
        cells = [row.name, row.pruned, row.budget, "" if row.status is None else MARKS[row.status]]
        cells += [row.dense, row.change] if report.dense else []
        lines.append(_line(cells))
    lines += ["", "Accuracy: share of the clips, with its 95 % Wilson interval."]
    tips = [f"- {check.name}: try {check.hint}" for check in report.verdict.checks if check.hint]
    if tips:
        lines += ["", "## What to try", "", *tips]
    if report.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in report.notes)]
    lines += ["", "## Traced to", ""]
    if report.identities.frontend:
        lines.append(f"- front-end `{report.identities.frontend}`")
    lines.append(f"- model `{report.identities.model}`")
    if report.identities.image_sha256:
        lines.append(f"- image SHA-256 `{report.identities.image_sha256}`")
    lines += [f"- {stage} `{key}`" for stage, key in report.identities.stages.items()]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
