"""How the sparsity is divided when savings overlap, and what is said of it."""

from __future__ import annotations

import io
import json
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edgeprune import resources
from edgeprune.errors import DeclarationError
from edgeprune.pruning.scan import Heard, Scan, Unit
from edgeprune.recipe import Pruning, Recipe
from edgeprune.sensitivity import Division, Examination, advice, examination_tables
from edgeprune.sensitivity.costs import Costs
from edgeprune.sensitivity.examination import Measured, added_losses, divide
from edgeprune.sensitivity.files import (
    check_written,
    examination_json,
    known_resource,
    written_recipe,
)
from edgeprune.target import Target
from tests.models import tiny

SPARSITIES = (0.5, 0.8)
TARGET = Target.read(resources.find("targets", "cortex-m4"))


def costs(instructions: object, flash: object | None = None) -> Costs:
    """Of three operators; factors [units, sparsities, operators]."""
    left = {}
    for resource, factors in (("instructions", instructions), ("flash", flash or instructions)):
        given = np.array(factors, dtype=np.float64)
        whole = np.ones((len(given), 1, given.shape[2]))
        left[resource] = np.concatenate([whole, given], axis=1)
    dense = np.array([1000.0, 500.0, 100.0])
    return Costs(dense={"instructions": dense, "flash": dense}, left=left)  # type: ignore[arg-type]


#: A layer whose zeros are skipped, one whose zeros are not, and one that they slow down.
WEIGHTS = costs(
    [
        [[0.6, 1, 1], [0.3, 1, 1]],
        [[1, 0.6, 1], [1, 0.3, 1]],
        [[1, 1, 1.0], [1, 1, 3.0]],
    ]
)

#: Two units that share the middle operator.
CHANNELS = costs([[[0.5, 0.5, 1], [0.2, 0.2, 1]], [[1, 0.5, 0.5], [1, 0.2, 0.2]]])


def test_factors_of_units_that_share_a_layer_are_multiplied() -> None:
    assert CHANNELS.saved("flash", (1, 1)) == pytest.approx(500 + 375 + 50)
    assert CHANNELS.saved_alone("flash").tolist() == [[0, 750, 1200], [0, 300, 480]]
    assert CHANNELS.saved("flash", (0, 0)) == 0


def test_what_a_unit_loses_by_its_zeros_is_not_held_against_it() -> None:
    losses = np.array([[0, 0.1, 0.4], [0, 0.1, 0.9], [0, 0, 0.1]])
    assert divide(losses, WEIGHTS, "instructions", (2, 2, 2)) == (2, 2, 0)
    assert divide(losses, WEIGHTS, "instructions", (1, 1, 1)) == (1, 1, 0)
    cheap = np.array([[0, 0.01, 0.02], [0, 0.5, 0.9], [0, 0, 0.1]])
    assert divide(cheap, WEIGHTS, "instructions", (1, 1, 0))[:2] == (2, 0)  # type: ignore[index]


def test_zeros_that_save_nothing_are_not_divided() -> None:
    same = costs([[[1, 1, 1], [1, 1, 1]]] * 2)
    assert divide(np.zeros((2, 3)), same, "flash", (1, 1)) is None


@pytest.mark.parametrize("seed", range(20))
def test_overlapping_savings_are_reached_at_no_more_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = np.cumsum(rng.random((2, 3)), axis=1)
    losses -= losses[:, :1]
    for uniform in ((1, 1), (2, 2)):
        chosen = divide(losses, CHANNELS, "instructions", uniform)
        assert chosen is not None
        wanted = CHANNELS.saved("instructions", uniform)
        assert CHANNELS.saved("instructions", chosen) >= wanted * (1 - 1e-9)
        lost = losses[0, chosen[0]] + losses[1, chosen[1]]
        best = min(
            losses[0, one] + losses[1, other]
            for one, other in product(range(3), repeat=2)
            if CHANNELS.saved("instructions", (one, other)) >= wanted * (1 - 1e-9)
        )
        assert best <= lost <= losses[0, uniform[0]] + losses[1, uniform[1]]
        assert lost == pytest.approx(best)


def examination(structure: str = "unstructured", *, saves: bool = True) -> Examination:
    alone = [[(0.6, 0.9), (0.7, 0.8)], [(0.5, 0.9), (0.55, 0.9)], [(0.9, 0.8), (1.5, 0.5)]]
    scan = Scan(
        units=tuple(Unit((name,), 64) for name in ("stem", "block1_pointwise", "odd/name")),
        sparsities=SPARSITIES,
        clips=40,
        dense=Heard(0.5, 0.95),
        alone=tuple(tuple(Heard(*each) for each in row) for row in alone),
    )
    priced = WEIGHTS if saves else costs([[[1, 1, 1], [1, 1, 1]]] * 3)

    def division(*shares: float) -> Division:
        return Division(shares, 0.125, Heard(0.75, 0.875), Measured(1200, 4000))

    return Examination(
        by="instructions",
        scan=scan,
        costs=priced,
        dense=Measured(1600, 5000),
        counts_layers=True,
        uniform=division(0.5, 0.5, 0.5),
        chosen=division(0.5, 0.8, 0.0) if saves else None,
    )


def recipe(**pruning: object) -> Recipe:
    return tiny.recipe(pruning=Pruning(**{"structure": "unstructured", **pruning}))


def shown(found: Examination, of: Recipe) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=160)
    for table in examination_tables(found):
        console.print(table)
    return stream.getvalue() + "\n".join(advice(found, of, TARGET))


def test_losses_are_told_as_what_they_add() -> None:
    assert added_losses(examination().scan)[2].tolist() == pytest.approx([0, 0.4, 1.0])
    assert "+0.400  80.0 %" in shown(examination(), recipe())


def test_layers_that_gain_nothing_are_named() -> None:
    text = shown(examination(), recipe())
    assert "Zeros save no instructions in odd/name on this target." in text
    assert "the layer would take more instructions than dense" in text
    text = shown(examination(saves=False), recipe())
    assert "Zeros of this structure save no instructions on this target." in text
    assert "or --by flash." in text
    assert "[pruning.layers]" not in text


def test_a_division_that_loses_more_together_is_not_praised() -> None:
    found = examination()
    assert "more than the same sparsity in every layer" not in shown(found, recipe())
    worse = replace(found.uniform, heard=Heard(0.7, 0.9))
    text = shown(replace(found, uniform=worse), recipe())
    assert "loses more than the same sparsity in every layer" in text


def test_n_of_m_says_what_to_exclude() -> None:
    of = recipe(structure="n:m", exclude=("classifier",))
    assert 'exclude = ["classifier", "odd/name"]' in shown(examination(), of)


def test_the_written_recipe_is_the_old_one_with_sparsities(tmp_path: Path) -> None:
    source = tmp_path / "mine.toml"
    source.write_text('name = "mine"  # kept\n[pruning]\nsparsity = 0.5\n', encoding="utf-8")
    text = written_recipe(source, recipe(), examination())
    assert "# kept" in text
    assert tomllib.loads(text)["pruning"] == {
        "sparsity": 0.5,
        "layers": {"stem": 0.5, "block1_pointwise": 0.8, "odd/name": 0.0},
    }
    source.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"has pruning\.layers already"):
        written_recipe(source, recipe(), examination())
    with pytest.raises(DeclarationError, match="save nothing of instructions"):
        written_recipe(source, recipe(), examination(saves=False))
    with pytest.raises(DeclarationError, match="one sparsity for all"):
        written_recipe(source, recipe(structure="n:m"), examination())


def test_options_that_make_no_sense_are_refused() -> None:
    assert known_resource("flash") == "flash"
    with pytest.raises(DeclarationError, match="'ram' can't be saved"):
        known_resource("ram")
    check_written("mine.toml", ["target.clock_mhz=80"])
    check_written(None, ["seed=2"])
    with pytest.raises(DeclarationError, match="--set seed=2"):
        check_written("mine.toml", ["seed=2"])


def test_the_json_has_every_figure() -> None:
    record = json.loads(examination_json(examination()))
    assert record["layers"][0]["pruned_alone"][1] == {
        "sparsity": 0.8,
        "loss": 0.7,
        "accuracy": 0.8,
        "instructions_saved": 700,
        "flash_bytes_saved": 700,
    }
    assert record["chosen"]["sparsity"]["block1_pointwise"] == 0.8
    assert json.loads(examination_json(examination(saves=False)))["chosen"] is None
