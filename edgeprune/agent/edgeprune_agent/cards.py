"""What the kernel says of sound cards that record."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Recording", "recordings"]

#: A line of ``/proc/asound/pcm``: card, device, and at its end the directions that it has.
_LINE = re.compile(r"(\d+)-(\d+): .*\bcapture \d+")


@dataclass(frozen=True)
class Recording:
    """A device that records.

    Attributes:
        pcm: its name for alsa-lib, which converts rate, format and channels.
        node: its file.
    """

    pcm: str
    node: Path

    def permitted(self) -> bool:
        """Whether this user may open it."""
        return os.access(self.node, os.R_OK | os.W_OK)


def recordings(root: Path = Path("/")) -> list[Recording]:
    """All devices that record, in the kernel's order; none where it has no sound.

    Args:
        root: where ``proc`` and ``dev`` lie.
    """
    try:
        text = (root / "proc/asound/pcm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            card, device = map(int, match.groups())
            node = root / f"dev/snd/pcmC{card}D{device}c"
            found.append(Recording(f"plughw:CARD={_name(root, card)},DEV={device}", node))
    return found


def _name(root: Path, card: int) -> str:
    """The card's name, which unlike its number does not change when another one is plugged in."""
    try:
        name = (root / f"proc/asound/card{card}/id").read_text(encoding="utf-8").strip()
    except OSError:
        return str(card)
    return name or str(card)
