"""``[pruning]``: what is taken out, and how the network recovers."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from edgeprune.declaration import Declaration, option

__all__ = ["Pruning"]


class Pruning(Declaration):
    """What is taken out of the trained network, and how it recovers."""

    structure: Literal["none", "channel", "unstructured"] = option(
        "whole channels, single weights, or nothing", default="channel"
    )
    criterion: Literal["l1", "l2", "magnitude"] | None = option(
        "how a channel (l1, l2) or a weight (magnitude) is scored; by default l1 or magnitude",
        default=None,
    )
    sparsity: float = option(
        "share of the channels, or of the weights, taken out of each layer",
        default=0.4,
        ge=0,
        le=0.98,
    )
    channel_multiple: int = option(
        "kept channels are rounded to a multiple of this; read only for channels",
        default=4,
        unit="channels",
        ge=1,
        le=64,
    )
    exclude: tuple[str, ...] = option("layers left alone, by name or by shell pattern", default=())
    schedule: Literal["one-shot", "cubic"] = option(
        "all at once, or along the cubic ramp of Zhu & Gupta 2017", default="cubic"
    )
    ramp_percent: float = option(
        "share of the epochs over which the ramp runs", default=50.0, unit="%", gt=0, le=100
    )
    epochs: int = option(
        "epochs of pruning and fine-tuning", default=40, unit="epochs", ge=0, le=5000
    )
    learning_rate: float = option("AdamW's highest rate", default=4e-3, gt=0, le=1)
    distillation: float = option(
        "weight of the dense model's scores in the loss; 0 is off", default=0.9, ge=0, le=1
    )
    temperature: float = option("temperature of the distillation", default=2.0, gt=0, le=20)

    @model_validator(mode="after")
    def _criterion_fits(self) -> Pruning:
        allowed = {"channel": ("l1", "l2"), "unstructured": ("magnitude",)}.get(self.structure)
        if allowed and self.criterion is not None and self.criterion not in allowed:
            raise ValueError(
                f"criterion = {self.criterion!r} does not score a structure = "
                f"{self.structure!r}; allowed: {', '.join(allowed)}"
            )
        return self
