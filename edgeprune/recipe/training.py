"""``[training]`` and ``[augmentation]``: how the dense network learns, and from what."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from edgeprune.declaration import Declaration, option

__all__ = ["Augmentation", "Training"]


class Training(Declaration):
    """The training loop of the dense model."""

    epochs: int = option(
        "passes over the training clips; 0 takes a network that comes trained as it is",
        default=80,
        unit="epochs",
        ge=0,
        le=5000,
    )
    batch: int = option("clips in a step", default=64, unit="clips", ge=1, le=4096)
    learning_rate: float = option("AdamW's highest rate", default=8e-3, gt=0, le=1)
    schedule: Literal["cosine", "constant"] = option(
        "how the rate falls after its rise", default="cosine"
    )
    patience: int = option(
        "epochs without a better validation loss before it stops; 0 never stops early",
        default=0,
        unit="epochs",
        ge=0,
    )
    mixup: float = option("Beta parameter of mixup; 0 is off", default=0.3, ge=0, le=10)
    label_smoothing: float = option("label smoothing", default=0.0, ge=0, lt=1)
    teacher: str | None = option(
        "`.npz` file with the published weights of MLPerf Tiny's keyword network, which teaches"
        " while hearing MLPerf's own features of the same clips; 30 ms windows every 20 ms only",
        default=None,
        min_length=1,
    )
    distillation: float = option(
        "weight of the teacher's scores in the loss; read only with a teacher",
        default=0.9,
        ge=0,
        le=1,
    )
    temperature: float = option(
        "temperature of the distillation; read only with a teacher", default=2.0, gt=0, le=20
    )


class Augmentation(Declaration):
    """What training clips go through; validation and test clips never do."""

    time_shift_ms: int = option("largest shift either way", default=100, unit="ms", ge=0, le=1000)
    gain_db: float = option("largest gain either way", default=6.0, unit="dB", ge=0, le=40)
    speed_percent: float = option("largest change of speed", default=12.0, unit="%", ge=0, le=30)
    noise_percent: float = option(
        "clips that get background noise", default=80.0, unit="%", ge=0, le=100
    )
    snr_low_db: float = option("lowest signal-to-noise ratio", default=5.0, unit="dB", ge=-20)
    snr_high_db: float = option("highest signal-to-noise ratio", default=40.0, unit="dB", le=100)
    time_masks: int = option("SpecAugment masks over time", default=0, ge=0, le=8)
    time_mask_frames: int = option("longest time mask", default=8, unit="frames", ge=1)
    frequency_masks: int = option("SpecAugment masks over features", default=0, ge=0, le=8)
    frequency_mask_bins: int = option("widest feature mask", default=6, unit="features", ge=1)

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Augmentation:
        if self.snr_low_db > self.snr_high_db:
            raise ValueError(
                f"snr_low_db = {self.snr_low_db:g} is above snr_high_db = {self.snr_high_db:g}"
            )
        return self
