"""C compiled for this machine into shared libraries, kept by the content of their sources."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from edgeprune.cores import CORES
from edgeprune.errors import EdgepruneError
from edgeprune.toolchain import Job, Toolchain

__all__ = ["cached_library"]

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
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{name}-") as scratch:
        folder = Path(scratch)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        output = folder / "library.so"
        sources = [Path(unit) for unit in sorted(units)]
        toolchain.build(
            Job(sources=sources, output=output, core=CORES["host"], kind="shared", cwd=folder)
        )
        output.replace(path)
    return load(path)


def _key(texts: Mapping[str, str], toolchain: Toolchain) -> str:
    digest = hashlib.sha256(f"{toolchain.identity} {platform.machine()}".encode())
    for name, text in sorted(texts.items()):
        digest.update(f"\0{name}\0{text}".encode())
    return digest.hexdigest()[:32]
