"""What there is on this machine: recipes, targets, compilers and packages."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata
from typing import get_args

from rich.markup import escape
from rich.table import Table

from edgeprune import resources
from edgeprune.errors import EdgepruneError
from edgeprune.recipe import Recipe
from edgeprune.target import Target
from edgeprune.toolchain import ToolchainName, find_toolchain

__all__ = ["Finding", "doctor_table", "examine", "recipe_table", "target_table"]

#: Import name, distribution, extra (empty for the base install), what for.
_PACKAGES = (
    ("unicorn", "unicorn", "", "the emulator"),
    ("capstone", "capstone", "", "counting instructions"),
    ("elftools", "pyelftools", "", "sizes and symbols"),
    ("tflite", "tflite", "", "reading .tflite files"),
    ("tensorflow", "tensorflow", "train", "training, pruning, quantization"),
    ("soundfile", "soundfile", "train", "reading WAV and FLAC"),
    ("soxr", "soxr", "train", "resampling"),
    ("espeakng_loader", "espeakng-loader", "train", "synthetic speech"),
    ("matplotlib", "matplotlib", "plot", "the plot of invoke payoff"),
    ("paramiko", "paramiko", "ssh", "hosts over SSH"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor looked for.

    Attributes:
        name: compiler or package.
        purpose: what it is for.
        found: its version, or an empty string.
        needed: whether the default way from recipe to verdict needs it.
        remedy: how to get it.
    """

    name: str
    purpose: str
    found: str
    needed: bool
    remedy: str = ""


def examine() -> list[Finding]:
    """Look for every compiler and package, without importing the heavy ones."""
    findings = []
    for name in get_args(ToolchainName):
        try:
            found, remedy = find_toolchain(name).version, ""
        except EdgepruneError as error:
            found, remedy = "", error.hint or error.message
        findings.append(Finding(name, "compiler", found, name == "zig", remedy))
    for module, distribution, extra, purpose in _PACKAGES:
        there = importlib.util.find_spec(module) is not None
        wanted = f"edgeprune[{extra}]" if extra else "edgeprune"
        findings.append(
            Finding(
                distribution,
                purpose,
                metadata.version(distribution) if there else "",
                needed=extra != "plot",
                remedy="" if there else f"pip install '{wanted}'",
            )
        )
    return findings


def doctor_table(findings: list[Finding]) -> Table:
    """What was found, and how to get what was not."""
    table = _table("", "for", "found", "to get it")
    for each in findings:
        missing = "[bold red]missing[/]" if each.needed else "[yellow]missing, optional[/]"
        table.add_row(each.name, each.purpose, each.found or missing, escape(each.remedy))
    return table


def target_table() -> Table:
    """Every target that a name can stand for."""
    table = _table("target", "core", "clock", "device", "budgets", "")
    for name, path in resources.available("targets").items():
        target = Target.read(path)
        clock = f"{target.clock_mhz:g} MHz" if target.clock_mhz else ""
        limits = target.budgets.model_dump(exclude_none=True)
        budgets = ", ".join(f"{key} {value:g}" for key, value in limits.items())
        table.add_row(name, target.core, clock, target.device, budgets, escape(target.description))
    return table


def recipe_table() -> Table:
    """Every recipe that a name can stand for."""
    table = _table("recipe", "data", "network", "pruning", "")
    for name, path in resources.available("recipes").items():
        recipe = Recipe.read(path)
        pruning = f"{recipe.pruning.structure} {100 * recipe.pruning.sparsity:g} %"
        network, data = recipe.model.summary, recipe.data.kind
        table.add_row(name, data, network, pruning, escape(recipe.description))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    return table
