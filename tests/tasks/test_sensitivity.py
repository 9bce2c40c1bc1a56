"""``invoke prune --sensitivity``, as a user runs it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.user import User

TINY = """
name = "tiny"
[data]
kind = "synthetic"
keywords = ["yes", "stop"]
unknown_words = ["water", "house"]
train_clips = 24
validation_clips = 4
test_clips = 6
[model]
kind = "matchbox"
width = 32
blocks = 2
[training]
epochs = 2
batch = 16
[pruning]
structure = "unstructured"
only = ["*pointwise", "classifier"]
sparsity = 0.7
epochs = 1
"""

LAYERS = ("block1_pointwise", "block2_pointwise", "classifier")


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    folder = tmp_path_factory.mktemp("user")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    return User(folder)


def test_a_user_examines_writes_and_prunes(user: User) -> None:
    options = ["--recipe=tiny.toml", "--json=found.json", "--write=by-layer.toml"]
    done = user.run("prune", "--sensitivity", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "instructions saved, of" in done.stdout
    assert "the same for all" in done.stdout
    found = json.loads((user.folder / "found.json").read_text(encoding="utf-8"))
    assert [each["layers"] for each in found["layers"]] == [[name] for name in LAYERS]
    assert found["layers_counted"]
    saved = {
        each["layers"][0]: [at["flash_bytes_saved"] for at in each["pruned_alone"]]
        for each in found["layers"]
    }
    assert max(saved["block1_pointwise"]) > 0
    assert max(saved["classifier"]) <= 0, "no kernel skips zeros of a dense layer of one row"
    chosen, uniform = found["chosen"], found["uniform"]
    assert chosen["sum_of_added_losses"] <= uniform["sum_of_added_losses"]
    written = tomllib.loads((user.folder / "by-layer.toml").read_text(encoding="utf-8"))
    assert written["pruning"]["layers"] == chosen["sparsity"]

    done = user.run("prune", "--recipe=by-layer.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (user.folder / "build" / "store" / "pruned").iterdir()
    with np.load(folder / "weights.npz") as weights:
        for layer in LAYERS:
            kernel = weights[f"{layer}/kernel"]
            gone = np.count_nonzero(kernel == 0)
            assert gone == round(chosen["sparsity"][layer] * kernel.size)

    again = user.run("prune", "--sensitivity", "--recipe=tiny.toml", "--by=flash")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "sensitivity          up to date" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by=ram"], "--by: 'ram' can't be saved by layer"),
        (["--target=host"], "target host: no instructions are counted"),
        (["--set=pruning.structure=none"], "pruning.structure: the recipe takes nothing out"),
        (["--set=pruning.allocation=global"], "divides the sparsity among layers by itself"),
        (
            ["--set=pruning.structure=channel", "--set=pruning.levels=[1.0, 0.5]"],
            "levels take the same share of every layer",
        ),
        (["--write=x.toml", "--set=seed=2"], "--write: the file would lack what --set seed=2"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    done = User(tmp_path).run("prune", "--sensitivity", "--recipe=tiny.toml", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert " made in " not in done.stdout
