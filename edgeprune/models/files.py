"""Files that a recipe's ``[model]`` names."""

from __future__ import annotations

from pathlib import Path

from edgeprune.errors import ModelError

__all__ = ["model_file"]


def model_file(path: str, key: str) -> Path:
    """The path of a recipe's key, with ``~`` expanded.

    Args:
        path: as the recipe gives it; relative to the working directory.
        key: that it stands at, for example ``model.weights``.

    Raises:
        ModelError: there is no such file.
    """
    found = Path(path).expanduser()
    if not found.is_file():
        raise ModelError(
            "is not a file" if found.exists() else "does not exist",
            where=f"{key}: {path}",
            hint=f"--set {key}=PATH, or mend the recipe",
        )
    return found
