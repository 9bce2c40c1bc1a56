"""edgeprune on a device: opens a bundle, infers, measures, listens.

Python 3.9 and numpy; nothing of the rest of edgeprune.
"""

from __future__ import annotations

__all__ = ["VERSION"]

#: Raised when a command's lines change their meaning.
VERSION = 1
