"""What a network's declaration stands for: its file's bytes, its package's source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edgeprune.errors import ModelError
from edgeprune.models.content import model_content
from edgeprune.progress import SilentProgress
from edgeprune.recipe import KerasNetwork, MatchboxNet, MlperfKws, Model


@pytest.fixture
def content(tmp_path: Path) -> Any:
    """A function from a declaration to its content."""
    return lambda model: model_content(model, memo=tmp_path / "memo", progress=SilentProgress())


def of_file(path: Path) -> KerasNetwork:
    return KerasNetwork(kind="keras", file=str(path), normalization="raw")


def of_weights(path: Path) -> MlperfKws:
    return MlperfKws(kind="mlperf-kws", weights=str(path))


@pytest.mark.parametrize("declared", [of_file, of_weights])
def test_the_bytes_count_and_neither_path_nor_time(
    declared: Any, content: Any, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.bin", tmp_path / "other.bin"
    one.write_bytes(b"weights")
    other.write_bytes(b"weights")
    first = content(declared(one))
    os.utime(one, (1, 1))
    assert content(declared(one)) == first == content(declared(other))
    assert str(one) not in str(first)
    one.write_bytes(b"changed")
    assert content(declared(one)) != first


def test_the_source_of_the_whole_package_counts(
    content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "networks_of_a_user"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py", "inner/blocks.py"):
        (package / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    declared = KerasNetwork(kind="keras", entry="networks_of_a_user.inner:build")
    first = content(declared)
    assert content(declared) == first
    (package / "inner" / "blocks.py").write_text("WIDTH = 8\n")
    assert content(declared) != first


def test_the_source_of_a_single_module_counts(
    content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "network_of_a_user.py"
    module.write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    declared = KerasNetwork(kind="keras", entry="network_of_a_user:build")
    first = content(declared)
    (tmp_path / "beside.py").write_text("")
    assert content(declared) == first
    module.write_text("WIDTH = 8\n")
    assert content(declared) != first


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (of_file(Path("absent.keras")), "model.file: absent.keras"),
        (of_weights(Path("absent.npz")), "model.weights: absent.npz"),
        (KerasNetwork(kind="keras", entry="absent_package:build"), "model.entry: absent_package"),
    ],
)
def test_what_is_missing_is_named(model: Model, where: str, content: Any) -> None:
    with pytest.raises(ModelError) as caught:
        content(model)
    assert caught.value.where == where


def test_a_network_of_our_own_is_its_options(content: Any) -> None:
    model = MatchboxNet(kind="matchbox", width=8)
    assert content(model) == model.model_dump(mode="json")
