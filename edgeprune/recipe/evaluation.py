"""``[evaluation]``: what is run where."""

from __future__ import annotations

from edgeprune.declaration import Declaration, option

__all__ = ["Evaluation"]


class Evaluation(Declaration):
    """What is run where."""

    device_clips: int = option(
        "test clips sent through an emulated device, from PCM; this machine, and a device over "
        "SSH, run all of them",
        default=48,
        unit="clips",
        ge=1,
    )
    counted_clips: int = option(
        "of those, clips whose instructions are counted; the report gives the largest count",
        default=2,
        unit="clips",
        ge=1,
    )
