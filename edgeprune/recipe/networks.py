"""``[model]``: the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgeprune.declaration import Declaration, option

__all__ = [
    "DsCnn",
    "KerasNetwork",
    "MatchboxNet",
    "MlperfKws",
    "Model",
    "fixed_normalization",
    "starts_trained",
]


class MatchboxNet(Declaration):
    """A 1-D residual network over time, mel bins as channels (after Majumdar & Ginsburg 2020)."""

    kind: Literal["matchbox"]
    width: int = option("channels of the stem and of every block", default=64, ge=4, le=512)
    blocks: int = option("residual blocks", default=5, ge=1, le=20)
    kernel: int = option("depthwise kernel, in frames", default=9, ge=1, le=31)
    stem_kernel: int = option("kernel of the first convolution, in frames", default=5, ge=1, le=31)
    stem_stride: int = option("stride of the first convolution, in frames", default=2, ge=1, le=8)
    dropout: float = option("dropout before the classifier", default=0.1, ge=0, lt=1)

    @property
    def summary(self) -> str:
        """A few words for tables."""
        return f"{self.kind} {self.width}×{self.blocks}"


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

    @property
    def summary(self) -> str:
        """A few words for tables."""
        return f"{self.kind} {self.width}×{self.blocks}"


class _Brought(Declaration):
    """A network that may come with weights, which were trained on inputs of a certain scale."""

    normalization: Literal["measured", "raw", "fixed"] | None = option(
        "scale of the network's input: mean 0 and deviation 1 on the training clips, features as"
        " they are, or (feature - input_mean) / input_std; by default measured for a network"
        " without weights",
        default=None,
    )
    input_mean: tuple[float, ...] | None = option(
        "what is subtracted under normalization = 'fixed': one value, or one a feature",
        default=None,
    )
    input_std: tuple[Annotated[float, Field(gt=0)], ...] | None = option(
        "what is divided by under normalization = 'fixed': one value, or one a feature",
        default=None,
    )

    @model_validator(mode="after")
    def _scale_is_whole(self) -> _Brought:
        given = [key for key in ("input_mean", "input_std") if getattr(self, key) is not None]
        if self.normalization == "fixed" and len(given) < 2:
            raise ValueError("normalization = 'fixed' needs input_mean and input_std")
        if self.normalization != "fixed" and given:
            raise ValueError(f"{given[0]} is read only under normalization = 'fixed'")
        return self


class MlperfKws(_Brought):
    """MLPerf Tiny's keyword network (Banbury et al. 2021), with its published weights or without.

    With weights, ``normalization`` is ``raw`` unless it is given.
    """

    kind: Literal["mlperf-kws"]
    width: int = option("channels of every convolution", default=64, ge=4, le=512)
    dropout: float = option("dropout before the classifier", default=0.0, ge=0, lt=1)
    weights: str | None = option(
        "`.npz` file that the weights are read from; without it they are random",
        default=None,
        min_length=1,
    )

    @property
    def summary(self) -> str:
        """A few words for tables."""
        return f"{self.kind} {self.width}×4"


class KerasNetwork(_Brought):
    """Your own Keras 3 network: a `.keras` file, or a function that returns a functional model."""

    kind: Literal["keras"]
    file: str | None = option("`.keras` file", default=None, min_length=1)
    entry: str | None = option(
        "`package.module:function`, called with frames, features, labels and seed",
        default=None,
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
    )
    weights: Literal["keep", "fresh"] = option(
        "start from the weights that the network comes with, or from random ones", default="keep"
    )
    labels: tuple[str, ...] | None = option(
        "what the scores of the network mean, in its order; by default the recipe's labels",
        default=None,
        min_length=1,
    )

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> KerasNetwork:
        if (self.file is None) == (self.entry is None):
            raise ValueError("needs one of file and entry")
        if self.weights == "fresh" and self.labels is not None:
            raise ValueError("labels is read only under weights = 'keep'")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels has the same label twice")
        if self.file is not None and self.weights == "keep" and self.normalization is None:
            raise ValueError(
                "normalization is missing; weights that are kept expect the input that they were"
                " trained on: 'raw', 'fixed' with input_mean and input_std, or 'measured'"
            )
        return self

    @property
    def summary(self) -> str:
        """A few words for tables."""
        return f"{self.kind} {self.file or self.entry}"


Model = Annotated[
    MatchboxNet | DsCnn | MlperfKws | KerasNetwork,
    Field(discriminator="kind"),
]


def starts_trained(model: Model) -> bool:
    """Whether the network may come with weights that were trained."""
    match model:
        case MlperfKws():
            return model.weights is not None
        case KerasNetwork():
            return model.weights == "keep"
        case _:
            return False


def fixed_normalization(model: Model) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation that the network's input is to be measured in, in real units.

    Returns:
        Each of one value, or of one a feature; None where they are measured on the training clips.
    """
    if not isinstance(model, _Brought):
        return None
    if model.input_mean is not None and model.input_std is not None:
        return model.input_mean, model.input_std
    published = isinstance(model, MlperfKws) and model.weights is not None
    if model.normalization == "raw" or (model.normalization is None and published):
        return (0.0,), (1.0,)
    return None
