"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


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
