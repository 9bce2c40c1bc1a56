"""Which modules of a kernel are needed, and in which order they are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from elftools.elf.elffile import ELFFile

from edgeprune.errors import ImageError

__all__ = ["in_order"]


def in_order(folder: Path, wanted: Iterable[str]) -> list[Path]:
    """The files of modules and of all that they depend on, each after what it needs.

    A module that the folder lacks is taken for one that is built into the kernel.

    Args:
        folder: ``/lib/modules/<version>``.
        wanted: names as ``modprobe`` takes them.

    Raises:
        ImageError: a file is not a kernel module.
    """
    files = {path.stem.replace("-", "_"): path for path in sorted(folder.rglob("*.ko"))}
    ordered: dict[str, Path] = {}

    def visit(name: str) -> None:
        if name in ordered or name not in files:
            return
        for needed in _dependencies(files[name]):
            visit(needed)
        ordered[name] = files[name]

    for name in wanted:
        visit(name.replace("-", "_"))
    return list(ordered.values())


def _dependencies(path: Path) -> list[str]:
    """What a module says itself: ``depends=`` in its section ``.modinfo``."""
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".modinfo")
        if section is None:
            raise ImageError("is not a kernel module: it has no .modinfo", where=str(path))
        facts = section.data().split(b"\0")
    named = [fact.removeprefix(b"depends=") for fact in facts if fact.startswith(b"depends=")]
    return [name.decode().replace("-", "_") for line in named for name in line.split(b",") if name]
