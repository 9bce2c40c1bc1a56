"""Text that comes from a device."""

from __future__ import annotations

__all__ = ["plain"]


def plain(text: str, limit: int | None = None) -> str:
    """A line without what would steer a terminal; at most ``limit`` characters of it."""
    return "".join(
        each if each.isprintable() or each == "\t" else "\ufffd" for each in text[:limit]
    )
