"""Where recipes, targets and firmware templates lie: the user's folder first, then what we ship."""

from __future__ import annotations

import difflib
from pathlib import Path

from edgeprune.errors import DeclarationError

__all__ = ["available", "find", "root"]

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """The folder that holds the shipped ``recipes``, ``targets`` and ``firmware_templates``."""
    installed = _PACKAGE / "_shipped"
    return installed if installed.is_dir() else _PACKAGE.parent


def available(kind: str) -> dict[str, Path]:
    """Name to path of every ``<kind>/*.toml``, in ``./<kind>`` and among what we ship."""
    found: dict[str, Path] = {}
    for folder in (root() / kind, Path(kind)):
        if folder.is_dir():
            found.update({path.stem: path for path in sorted(folder.glob("*.toml"))})
    return found


def find(kind: str, name_or_path: str) -> Path:
    """The file of a recipe or target, given as a name (``cortex-m4``) or as a path.

    Raises:
        DeclarationError: when there is none, listing what there is.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file() and (root() / path).is_file():
            return root() / path
        return path
    names = available(kind)
    if name_or_path in names:
        return names[name_or_path]
    close = difflib.get_close_matches(name_or_path, names, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise DeclarationError(
        f"there is no {kind.removesuffix('s')} {name_or_path!r}",
        where=f"{kind}/",
        hint=f"{guess}{', '.join(sorted(names))}, or the path of a .toml file",
    )
