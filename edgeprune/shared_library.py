"""C compiled into shared libraries; those for this machine are kept by their sources' content."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from edgeprune.cores import CORES, Core
from edgeprune.errors import EdgepruneError
from edgeprune.toolchain import Job, Toolchain

__all__ = ["cached_library", "compile_library"]

_T = TypeVar("_T")


def cached_library(
    name: str,
    texts: Mapping[str, str],
    units: Collection[str],
    toolchain: Toolchain,
    cache_dir: Path,
    load: Callable[[Path], _T],
) -> _T:
    """Compile a library, or take it from the cache, and load it.

    Args:
        name: what its file name begins with.
        texts: file name to text of everything that is compiled or included.
        units: those that are compiled.
        toolchain: the compiler, for the core ``host``.
        cache_dir: where libraries are kept, one a content; made when missing. Several processes
            may build into it at once.
        load: binds the library; a cached one that it refuses is damaged and made again.

    Raises:
        CompileError: the compiler refused.
        ToolchainError: the compiler does not build for this machine.
        EdgepruneError: ``load`` refused a library that was just made.
    """
    path = cache_dir.resolve() / f"{name}-{_key(texts, toolchain)}.so"
    if path.exists():
        try:
            return load(path)
        except EdgepruneError:
            path.unlink(missing_ok=True)
    compile_library(texts, units, toolchain, CORES["host"], path)
    return load(path)


def compile_library(
    texts: Mapping[str, str],
    units: Collection[str],
    toolchain: Toolchain,
    core: Core,
    output: Path,
) -> None:
    """Compile a shared library that holds no path of this machine.

    Args:
        texts: file name to text of everything that is compiled or included.
        units: those that are compiled.
        toolchain: the compiler.
        core: the host, or a core that runs Linux.
        output: the library, written in one step; its folder is made when missing.

    Raises:
        CompileError: the compiler refused.
        ToolchainError: the compiler does not build for the core.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}-") as scratch:
        folder = Path(scratch).resolve()  # the compiler runs in it
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        made = folder / "library.so"
        sources = [Path(unit) for unit in sorted(units)]
        toolchain.build(Job(sources=sources, output=made, core=core, kind="shared", cwd=folder))
        made.replace(output)


def _key(texts: Mapping[str, str], toolchain: Toolchain) -> str:
    digest = hashlib.sha256(f"{toolchain.identity} {platform.machine()}".encode())
    for name, text in sorted(texts.items()):
        digest.update(f"\0{name}\0{text}".encode())
    return digest.hexdigest()[:32]
