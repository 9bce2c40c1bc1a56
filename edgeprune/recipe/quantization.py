"""``[quantization]``: float to int8, by calibration or by training."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from edgeprune.declaration import Declaration, option

__all__ = ["Quantization"]


class Quantization(Declaration):
    """Full int8: weights per channel, activations per tensor, int8 in and out.

    With epochs, or with weights of 4 bits, the network is fine-tuned in fake int8 first, and
    converted to exactly that.
    """

    calibration_clips: int = option(
        "training clips that the activation ranges are read from",
        default=256,
        unit="clips",
        ge=1,
        le=100_000,
    )
    weights: Literal["int8", "int4"] = option(
        "255 values, or 15 that the compiler can store as palettes of 4 bits", default="int8"
    )
    int4_layers: tuple[str, ...] = option(
        "layers with weights of 4 bits, by name or by shell pattern; by default the convolutions "
        "with 1x1 kernels, which are those that are stored as palettes",
        default=(),
    )
    epochs: int = option(
        "epochs of quantization-aware fine-tuning; 0 is off",
        default=0,
        unit="epochs",
        ge=0,
        le=5000,
    )
    learning_rate: float = option("AdamW's highest rate", default=1e-3, gt=0, le=1)
    distillation: float = option(
        "weight of the dense float model's scores in the loss; 0 is off", default=0.9, ge=0, le=1
    )
    temperature: float = option("temperature of the distillation", default=2.0, gt=0, le=20)

    @model_validator(mode="after")
    def _layers_have_bits(self) -> Quantization:
        if self.int4_layers and self.weights == "int8":
            raise ValueError("int4_layers is read only with weights = 'int4'")
        return self

    @property
    def aware(self) -> bool:
        """Whether the network goes through fake int8 before it is converted."""
        return self.epochs > 0 or self.weights == "int4"
