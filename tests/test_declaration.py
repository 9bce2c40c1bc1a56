"""Recipes and targets: what is refused, and how the error reads.

Each file below ``tests/data/invalid_*`` holds one mistake. Its first lines say which key the error
must name and what it must say.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from edgeprune import resources
from edgeprune.cores import CORES, CoreName
from edgeprune.declaration import overrides
from edgeprune.errors import DeclarationError
from edgeprune.recipe import MatchboxNet, Recipe, SyntheticData
from edgeprune.target import Target

DATA = Path(__file__).parent / "data"
RECIPES = sorted((DATA / "invalid_recipes").glob("*.toml"))
TARGETS = sorted((DATA / "invalid_targets").glob("*.toml"))
SMALLEST = 'name = "smallest"\n[data]\nkind = "synthetic"\nkeywords = ["yes", "no"]\n'


def _expected(path: Path) -> tuple[str, str]:
    key, says = path.read_text(encoding="utf-8").splitlines()[:2]
    return key.removeprefix("# key:").strip(), says.removeprefix("# says:").strip()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_an_invalid_recipe_is_refused_with_file_key_and_what_is_allowed(path: Path) -> None:
    key, says = _expected(path)
    with pytest.raises(DeclarationError) as caught:
        Recipe.read(path)
    assert caught.value.where == (f"{path}: {key}" if key else str(path))
    assert says in caught.value.message


@pytest.mark.parametrize("path", TARGETS, ids=lambda path: path.stem)
def test_an_invalid_target_is_refused_with_file_key_and_what_is_allowed(path: Path) -> None:
    key, says = _expected(path)
    with pytest.raises(DeclarationError) as caught:
        Target.read(path)
    assert caught.value.where == (f"{path}: {key}" if key else str(path))
    assert says in caught.value.message


def test_every_mistake_has_its_file() -> None:
    assert len(RECIPES) > 25
    assert len(TARGETS) > 8


@pytest.fixture
def smallest(tmp_path: Path) -> Path:
    path = tmp_path / "smallest.toml"
    path.write_text(SMALLEST, encoding="utf-8")
    return path


def test_the_smallest_recipe_gets_every_default(smallest: Path) -> None:
    recipe = Recipe.read(smallest)
    assert recipe.data.labels == ("_silence_", "_unknown_", "yes", "no")
    assert isinstance(recipe.model, MatchboxNet)
    assert (recipe.frontend.window, recipe.frontend.hop, recipe.frontend.fft) == (480, 320, 512)
    assert (recipe.frontend.frames, recipe.frontend.features) == (49, 40)


def test_set_overrides_any_key(smallest: Path) -> None:
    settings = overrides(
        [
            "pruning.sparsity=0.6",
            'data.keywords=["on", "off"]',
            "name=other",
            "model.kind=ds-cnn",
            "frontend.kind = mfcc",
            "seed=7",
        ]
    )
    recipe = Recipe.read(smallest, settings)
    assert recipe.pruning.sparsity == 0.6
    assert isinstance(recipe.data, SyntheticData)
    assert recipe.data.keywords == ("on", "off")
    assert (recipe.name, recipe.model.kind, recipe.seed) == ("other", "ds-cnn", 7)
    assert recipe.frontend.features == 10


@pytest.mark.parametrize("assignment", ["pruning.sparsity", "=3", "pruning..sparsity=1", "a b=1"])
def test_an_assignment_that_is_none_is_refused(assignment: str) -> None:
    with pytest.raises(DeclarationError, match="is not an assignment") as caught:
        overrides([assignment])
    assert caught.value.hint == "--set pruning.sparsity=0.6"


def test_an_error_in_an_override_names_set_and_not_the_file(smallest: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        Recipe.read(smallest, {"pruning.sparsty": 0.6})
    assert caught.value.where == "--set: pruning.sparsty"
    assert "Did you mean 'sparsity'?" in caught.value.message


def test_an_override_below_a_value_is_refused(smallest: Path) -> None:
    with pytest.raises(DeclarationError, match="name holds a value, not a table"):
        Recipe.read(smallest, {"name.first": "a"})


def test_a_missing_file_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="can't be read: No such file"):
        Recipe.read(tmp_path / "absent.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeclarationError, match="is not UTF-8 text"):
        Recipe.read(path)


def test_a_declaration_can_not_be_changed_after_reading(smallest: Path) -> None:
    recipe = Recipe.read(smallest)
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "changed"


def test_every_shipped_recipe_and_target_is_valid() -> None:
    recipes = {name: Recipe.read(path) for name, path in resources.available("recipes").items()}
    targets = {name: Target.read(path) for name, path in resources.available("targets").items()}
    assert {"default", "speech-commands", "speech-commands-mini"} <= recipes.keys()
    assert {name for name, core in CORES.items() if not core.linux} <= targets.keys()
    assert all(declaration.name == name for name, declaration in (recipes | targets).items())


def test_every_shipped_microcontroller_has_budgets_below_its_memories() -> None:
    for path in resources.available("targets").values():
        target = Target.read(path)
        if target.memory is None:
            continue
        budgets = target.budgets
        assert budgets.accuracy is not None
        assert budgets.latency_ms is not None
        assert budgets.stack_bytes is not None
        assert budgets.flash_kib is not None
        assert budgets.flash_kib <= target.memory.flash_kib / 2
        assert budgets.ram_kib is not None
        assert budgets.stack_bytes <= target.memory.stack_bytes


def test_every_core_is_named_once() -> None:
    assert set(CORES) == set(get_args(CoreName))
    assert all(core.name == name for name, core in CORES.items())


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(DeclarationError) as caught:
        resources.find("targets", "cortex-m5")
    assert "did you mean 'cortex-m" in str(caught.value)
    assert "host" in str(caught.value)


def test_a_file_in_the_users_folder_comes_before_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smallest: Path
) -> None:
    (tmp_path / "recipes").mkdir()
    mine = tmp_path / "recipes" / "default.toml"
    mine.write_text(SMALLEST, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert resources.find("recipes", "default").resolve() == mine
    assert resources.find("recipes", str(smallest)) == smallest
