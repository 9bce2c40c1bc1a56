"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest

from edgeprune.errors import ToolchainError
from edgeprune.toolchain import ToolchainName, find_toolchain

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Where every compiler has to be there, a missing one is an error and not a skipped test."""
    if not os.environ.get("EDGEPRUNE_REQUIRE_COMPILERS"):
        return
    for name in get_args(ToolchainName):
        try:
            find_toolchain(name)
        except ToolchainError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long: none of them is left to one process at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def _shared(name: str) -> Path:
    path = REPOSITORY.parent / "shared" / name
    if not path.is_dir():
        pytest.skip(f"{path} is absent: real speech and models by others are not in the repository")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Archives of real speech in the layouts of Speech Commands."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Trained models by others."""
    return _shared("models")


@pytest.fixture(scope="session")
def build_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the host libraries that tests compile, shared by the whole session."""
    return tmp_path_factory.mktemp("build-cache")
