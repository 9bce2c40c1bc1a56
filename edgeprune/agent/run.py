"""Starts the agent of the bundle that this file lies in: ``python3 -I agent/run.py COMMAND``.

Bytecode is kept outside of the bundle: nothing that is not in its manifest is written into it, or
loaded from it.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

_BUNDLE = Path(__file__).resolve().parent.parent


def _start() -> int:
    sys.pycache_prefix = str(_bytecode_folder())
    sys.path.insert(0, str(_BUNDLE / "agent"))
    main = importlib.import_module("edgeprune_agent.main").main
    return int(main(sys.argv[1:], _BUNDLE))


def _bytecode_folder() -> Path:
    """Without that of bundles, and of packages, that were this one's neighbours and are gone."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(caches) / "edgeprune" / "bytecode"
    for neighbours in (_BUNDLE.parent, _BUNDLE.parent.parent / "packages"):
        # Python keeps the bytecode of /a/b.py in PREFIX/a.
        kept = folder / neighbours.relative_to(neighbours.anchor)
        try:
            gone = [path for path in kept.iterdir() if not (neighbours / path.name).exists()]
        except OSError:
            gone = []
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)
    return folder


if __name__ == "__main__":
    sys.exit(_start())
