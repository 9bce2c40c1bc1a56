"""The comparison for people: on a terminal, and as the Markdown of ``docs/benchmarks.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeprune.bench.records import BenchRecord
from edgeprune.bench.run import Bench
from edgeprune.bench.variants import VARIANTS

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["bench_markdown", "bench_tables"]

_COLUMNS = ("build", "instructions", "per MAC", "flash", "RAM", "stack", "device")
_OURS = "edgeprune"


@dataclass(frozen=True)
class _Line:
    cells: tuple[str, ...]
    is_peer: bool


def bench_tables(bench: Bench) -> list[Table]:
    """One table a core: ours, with and without each optimization, and the peers'."""
    from rich.table import Table

    tables = []
    for core in _cores(bench):
        table = Table(
            title=core, title_style="bold", title_justify="left", box=None, pad_edge=False,
            padding=(0, 2, 0, 0), header_style="bold",
        )  # fmt: skip
        for position, name in enumerate(_COLUMNS):
            table.add_column(name, justify="right" if position else "left", no_wrap=position > 0)
        for line in _lines(bench, core):
            table.add_row(*line.cells, style="dim" if line.is_peer else "")
        tables.append(table)
    return tables


def bench_markdown(bench: Bench) -> str:
    """The whole comparison as a page."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `invoke bench --markdown docs/benchmarks.md`; do not edit.",
        "",
        f"Model: `{bench.model}`, {bench.macs:,} multiply-accumulates. Whole linked images: "
        "start-up, code, constants, and the code that makes the fixed input "
        "`(i * 37 + 11) % 256 - 128`. Instructions of one inference are counted and repeat "
        "exactly; they are not cycles. RAM is static data and arena; the stack stands beside it.",
        "",
    ]
    for core in _cores(bench):
        lines += [f"## {core}", "", _row(_COLUMNS), _row(["---", *["---:"] * 6])]
        lines += [_row(line.cells) for line in _lines(bench, core)]
        lines.append("")
    used = {record.variant for record in bench.records}
    lines += ["## What was built", ""]
    lines += [f"- **{each.name}**: {each.meaning}" for each in VARIANTS if each.name in used]
    lines += [*_published(bench), "", "## Sources", ""]
    sources = dict.fromkeys((record.stack, record.source) for record in bench.records)
    lines += [f"- {stack}: {source}" for stack, source in sources]
    lines += [f"- not measured: {reason}" for reason in bench.missing]
    return "\n".join(lines) + "\n"


def _published(bench: Bench) -> list[str]:
    if bench.peers is None:
        return []
    lines = [
        "",
        "## Real boards, as published",
        "",
        "Milliseconds with caches and flash wait states; they can't be compared with counts.",
        "",
        _row(("core", "board", "stack", "ms", "source")),
        _row(["---", "---", "---", "---:", "---"]),
    ]
    for each in bench.peers.published:
        lines.append(_row((each.core, each.board, each.stack, f"{each.ms:g}", each.source)))
    return lines


def _cores(bench: Bench) -> list[str]:
    return list(dict.fromkeys(record.core for record in bench.records))


def _lines(bench: Bench, core: str) -> list[_Line]:
    """Ours in the order of the variants, then the peers, the best first."""
    records = [record for record in bench.records if record.core == core]
    ours = [record for record in records if record.stack.startswith(_OURS)]
    peers = sorted(
        (record for record in records if record not in ours),
        key=lambda record: record.instructions or 0,
    )
    base = next((each for each in ours if each.variant == "dense"), ours[0] if ours else None)
    return [_line(each, base, bench.macs) for each in (*ours, *peers)]


def _line(record: BenchRecord, base: BenchRecord | None, macs: int) -> _Line:
    is_peer = not record.stack.startswith(_OURS)
    figures = ("instructions", "flash_bytes", "ram_bytes")
    texts = {name: _figure(record, base, name) for name in figures}
    per_mac = "" if record.instructions is None else f"{record.instructions / macs:.2f}"
    cells = (
        record.stack if is_peer else f"{_OURS}: {record.variant}",
        texts["instructions"],
        per_mac,
        texts["flash_bytes"],
        texts["ram_bytes"],
        _number(record.stack_bytes),
        record.device,
    )
    return _Line(cells, is_peer)


def _figure(record: BenchRecord, base: BenchRecord | None, name: str) -> str:
    """A number, and how many times that of our dense build it is."""
    value = getattr(record, name)
    reference = getattr(base, name) if base is not None else None
    if value is None or not reference or record is base:
        return _number(value)
    return f"{value:,} (×{value / reference:.2f})"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
