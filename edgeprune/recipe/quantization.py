"""``[quantization]``: float to int8."""

from __future__ import annotations

from edgeprune.declaration import Declaration, option

__all__ = ["Quantization"]


class Quantization(Declaration):
    """Full int8: weights per channel, activations per tensor, int8 in and out."""

    calibration_clips: int = option(
        "training clips that the activation ranges are read from",
        default=256,
        unit="clips",
        ge=1,
        le=100_000,
    )
