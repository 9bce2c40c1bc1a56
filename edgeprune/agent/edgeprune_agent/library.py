"""A bundle's shared libraries, bound by ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["FOREIGN", "bound"]

#: What to try when a library can't be bound.
FOREIGN = "the bundle is made for another architecture or an older C library"


def bound(path: Path, functions: Mapping[str, tuple[Sequence[Any], Any]]) -> ctypes.CDLL:
    """Load a library and declare what is called in it.

    Args:
        path: the library.
        functions: name to the types of its arguments and of its result.

    Raises:
        OSError: it can't be loaded.
        AttributeError: it lacks a function.
    """
    library = ctypes.CDLL(str(path))
    for name, (arguments, result) in functions.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library
