"""Files and folders that appear under their name whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["publish_files", "publish_folder"]


def publish_folder(source: Path, destination: Path) -> None:
    """Copy a folder so that ``destination`` is the old content or the new, never a mixture.

    Args:
        source: the folder to copy.
        destination: replaced when it exists; its parent is made when missing.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(destination, "partial")
    replaced = _beside(destination, "replaced")
    for leftover in (partial, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, partial)
    if destination.exists():
        destination.rename(replaced)
    partial.rename(destination)
    shutil.rmtree(replaced, ignore_errors=True)


def publish_files(files: Mapping[Path, bytes]) -> None:
    """Write files one by one, each whole or not at all."""
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(path, "partial")
        partial.write_bytes(content)
        partial.replace(path)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{what}")
