"""Archives that Linux takes as an initial file system.

The format is "newc" of ``Documentation/driver-api/early-userspace/buffer-format.rst`` in Linux.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Entry", "pack"]

_TRAILER = "TRAILER!!!"
_ALIGNMENT = 4


@dataclass(frozen=True)
class Entry:
    """A file or a folder; it belongs to root.

    Attributes:
        path: without a leading slash; folders come before what lies in them.
        content: of a file; none for a folder.
        executable: whether a file can be run.
    """

    path: str
    content: bytes | None = None
    executable: bool = False

    @property
    def mode(self) -> int:
        """Type and permissions, as ``stat`` gives them."""
        if self.content is None:
            return stat.S_IFDIR | 0o755
        return stat.S_IFREG | (0o755 if self.executable else 0o644)


def pack(entries: Iterable[Entry]) -> bytes:
    """An archive of the entries, in their order; equal entries make equal bytes."""
    packed = [
        _member(number, entry.path, entry.mode, entry.content or b"")
        for number, entry in enumerate(entries, start=1)
    ]
    return b"".join([*packed, _member(0, _TRAILER, 0, b"")])


def _member(inode: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    user = group = changed = device = checksum = 0
    fields = (
        *(inode, mode, user, group, links, changed, len(content)),
        *(device, device, device, device, len(name), checksum),
    )
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _ALIGNMENT)
