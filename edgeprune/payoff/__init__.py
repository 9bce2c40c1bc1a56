"""The truth table: what every kind of sparsity buys on a target, beside what must be beaten."""

from __future__ import annotations

from edgeprune.payoff.files import known_backend, payoff_files
from edgeprune.payoff.grid import Grid, Shape
from edgeprune.payoff.plot import payoff_pictures, require_matplotlib
from edgeprune.payoff.records import (
    Payoff,
    PayoffRecord,
    Verdict,
    payoff_csv,
    payoff_json,
    payoff_schema,
)
from edgeprune.payoff.run import run_payoff
from edgeprune.payoff.views import notes, payoff_markdown, payoff_tables

__all__ = [
    "Grid",
    "Payoff",
    "PayoffRecord",
    "Shape",
    "Verdict",
    "known_backend",
    "notes",
    "payoff_csv",
    "payoff_files",
    "payoff_json",
    "payoff_markdown",
    "payoff_pictures",
    "payoff_schema",
    "payoff_tables",
    "require_matplotlib",
    "run_payoff",
]
