"""``[model]``: the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgeprune.declaration import Declaration, option

__all__ = ["DsCnn", "MatchboxNet", "Model"]


class MatchboxNet(Declaration):
    """A 1-D residual network over time, mel bins as channels (after Majumdar & Ginsburg 2020)."""

    kind: Literal["matchbox"]
    width: int = option("channels of the stem and of every block", default=64, ge=4, le=512)
    blocks: int = option("residual blocks", default=5, ge=1, le=20)
    kernel: int = option("depthwise kernel, in frames", default=9, ge=1, le=31)
    stem_kernel: int = option("kernel of the first convolution, in frames", default=5, ge=1, le=31)
    stem_stride: int = option("stride of the first convolution, in frames", default=2, ge=1, le=8)
    dropout: float = option("dropout before the classifier", default=0.1, ge=0, lt=1)


class DsCnn(Declaration):
    """Depthwise-separable CNN over time and frequency (Zhang et al. 2017, "Hello Edge")."""

    kind: Literal["ds-cnn"]
    width: int = option("channels of every convolution", default=64, ge=4, le=512)
    blocks: int = option("depthwise-separable blocks", default=4, ge=1, le=20)
    kernel: tuple[int, int] = option("depthwise kernel: frames, features", default=(3, 3))
    stem_kernel: tuple[int, int] = option(
        "kernel of the first convolution: frames, features", default=(10, 4)
    )
    stem_stride: tuple[int, int] = option(
        "stride of the first convolution: frames, features", default=(2, 2)
    )
    dropout: float = option("dropout before the classifier", default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _sizes_are_positive(self) -> DsCnn:
        for key in ("kernel", "stem_kernel", "stem_stride"):
            for value in getattr(self, key):
                if not 1 <= value <= 31:
                    raise ValueError(f"{key} holds {value}; each must be from 1 to 31")
        return self


Model = Annotated[MatchboxNet | DsCnn, Field(discriminator="kind")]
