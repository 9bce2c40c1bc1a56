"""The truth table for people: on a terminal, and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgeprune.payoff.records import Payoff, PayoffRecord

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["notes", "payoff_markdown", "payoff_tables"]

_Cell = Callable[[PayoffRecord], str]


def _number(key: str) -> _Cell:
    def cell(record: PayoffRecord) -> str:
        value = getattr(record, key)
        return "" if value is None else f"{value:,}"

    return cell


def _accuracy(record: PayoffRecord) -> str:
    found = record.accuracy
    return f"{100 * found.fraction:.1f} ({100 * found.low:.1f}–{100 * found.high:.1f})"


#: Head and cell of every column; those that are empty in all records are left out.
_COLUMNS: tuple[tuple[str, _Cell], ...] = (
    ("network", lambda record: record.title),
    ("parameters", _number("parameters")),
    ("non-zero", _number("nonzero_parameters")),
    ("MACs", _number("macs")),
    (".tflite", _number("tflite_bytes")),
    ("gzip", _number("gzip_bytes")),
    ("C array", _number("c_array_bytes")),
    ("arena ≥", _number("arena_bytes")),
    ("flash", _number("flash_bytes")),
    ("RAM", _number("ram_bytes")),
    ("instructions", _number("instructions")),
    ("accuracy, %", _accuracy),
)


def payoff_tables(payoff: Payoff) -> list[Table]:
    """What every network costs and hears, and the verdicts with their reasons."""
    from rich.markup import escape
    from rich.table import Table

    figures = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    columns = _columns(payoff.records)
    for position, (head, _) in enumerate(columns):
        figures.add_column(head, justify="right" if position else "left", no_wrap=position > 0)
    for record in payoff.records:
        style = "" if record.role == "sparse" else "dim"
        figures.add_row(*(escape(cell(record)) for _, cell in columns), style=style)
    verdicts = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    verdicts.add_column("sparse network", no_wrap=True)
    verdicts.add_column("", no_wrap=True)
    verdicts.add_column("because")
    styles = {"pays": "green", "does not pay": "red", "not judged": "dim"}
    for record in payoff.records:
        if record.verdict is not None:
            words = record.verdict.words
            mark = f"[{styles[words]}]{words}[/]"
            verdicts.add_row(escape(record.title), mark, escape(record.verdict.reason))
    return [figures, verdicts]


def payoff_markdown(payoff: Payoff) -> str:
    """The same two tables and the notes as Markdown."""
    columns = _columns(payoff.records)
    lines = [
        _row([head for head, _ in columns]),
        _row(["---", *["---:"] * (len(columns) - 1)]),
        *(_row([cell(record) for _, cell in columns]) for record in payoff.records),
        "",
        _row(["sparse network", "verdict", "because"]),
        _row(["---"] * 3),
    ]
    lines += [
        _row([record.title, record.verdict.words, record.verdict.reason])
        for record in payoff.records
        if record.verdict is not None
    ]
    lines += ["", *(f"- {note}" for note in notes(payoff))]
    return "\n".join(lines) + "\n"


def notes(payoff: Payoff) -> list[str]:
    """What a reader of the figures has to know."""
    first = payoff.records[0]
    found = [
        f"recipe {first.recipe}, seed {first.seed}, target {first.target}; bytes unless said "
        f"otherwise; accuracy: int8, {first.accuracy.clips:,} test clips, with its 95 % Wilson "
        "interval"
    ]
    found.append(_epochs(payoff.records))
    if first.backend == "tflm":
        found.append(
            "TensorFlow Lite Micro keeps the file as it is and multiplies by every weight of it: "
            "zeros that stay in the file save neither bytes nor multiply-accumulates"
        )
    elif first.device == "host":
        found.append(
            f"target {first.target} is this machine: there is no image, so no flash, no RAM and no "
            "counted instructions, and no verdict; --target cortex-m4 has them"
        )
    else:
        found.append("instructions: one front-end frame and one inference, counted")
    found += payoff.remarks
    return found + [f"not in the table: {reason}" for reason in payoff.missing]


def _epochs(records: Sequence[PayoffRecord]) -> str:
    """How long the networks were trained: what most had, and who had another number."""
    usual = statistics.mode(record.epochs for record in records)
    others = [f"{each.title}: {each.epochs}" for each in records if each.epochs != usual]
    return "; ".join([f"epochs of training and recovery in all: {usual}", *others])


def _columns(records: Sequence[PayoffRecord]) -> list[tuple[str, _Cell]]:
    return [column for column in _COLUMNS if any(column[1](record) for record in records)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
