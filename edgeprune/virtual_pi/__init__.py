"""A Debian arm64 machine with systemd under QEMU, for those who have no Raspberry Pi at hand.

It is deployed to over SSH as a real one is. Its clock counts instructions, one a nanosecond, so
that what is measured there repeats on a busy computer; there are no caches, and nothing of a
Cortex-A72's timing.
"""

from __future__ import annotations

from edgeprune.virtual_pi.machine import Started, Status, VirtualPi, cache_folder
from edgeprune.virtual_pi.text import told

__all__ = ["Started", "Status", "VirtualPi", "cache_folder", "told"]
