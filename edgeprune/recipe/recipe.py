"""A recipe: all its tables together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from edgeprune.declaration import Declaration, load, option
from edgeprune.recipe.data import Data
from edgeprune.recipe.evaluation import Evaluation
from edgeprune.recipe.frontend import Frontend
from edgeprune.recipe.networks import (
    MatchboxNet,
    Model,
    fixed_normalization,
    starts_trained,
)
from edgeprune.recipe.pruning import Pruning
from edgeprune.recipe.quantization import Quantization
from edgeprune.recipe.training import Augmentation, Training

__all__ = ["Recipe"]


class Recipe(Declaration):
    """A recipe: ``recipes/<name>.toml``."""

    schema_version: Literal[1] = option("version of this layout", default=1)
    name: str = option("a short name", pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)
    description: str = option("one line for people", default="")
    seed: int = option("seed of everything that is drawn", default=1, ge=0, lt=2**31)
    data: Data = option("where clips come from")
    frontend: Frontend = option("PCM to features", default=Frontend())
    model: Model = option("the network", default=MatchboxNet(kind="matchbox"))
    training: Training = option("training", default=Training())
    augmentation: Augmentation = option("augmentation", default=Augmentation())
    pruning: Pruning = option("pruning", default=Pruning())
    quantization: Quantization = option("quantization", default=Quantization())
    evaluation: Evaluation = option("evaluation", default=Evaluation())

    @property
    def pruning_mixup(self) -> float:
        """Beta parameter of mixup while the network is pruned."""
        return self.training.mixup if self.pruning.mixup is None else self.pruning.mixup

    @model_validator(mode="after")
    def _masks_fit(self) -> Recipe:
        spec = self.augmentation
        if spec.time_masks and spec.time_mask_frames >= self.frontend.frames:
            raise ValueError("augmentation.time_mask_frames covers the whole clip")
        if spec.frequency_masks and spec.frequency_mask_bins >= self.frontend.features:
            raise ValueError("augmentation.frequency_mask_bins covers the whole frame")
        return self

    @model_validator(mode="after")
    def _weights_come_from_somewhere(self) -> Recipe:
        if self.training.epochs == 0 and not starts_trained(self.model):
            raise ValueError("training.epochs = 0 needs a [model] that comes with weights")
        return self

    @model_validator(mode="after")
    def _levels_are_calibrated(self) -> Recipe:
        if self.pruning.levels and self.quantization.aware:
            raise ValueError(
                "pruning.levels share int8 weights that are calibrated: leave quantization.epochs"
                " at 0 and quantization.weights at 'int8'"
            )
        return self

    @model_validator(mode="after")
    def _normalization_fits(self) -> Recipe:
        features = self.frontend.features
        for values in fixed_normalization(self.model) or ():
            if len(values) not in (1, features):
                raise ValueError(
                    f"model.input_mean and model.input_std hold {len(values)} values;"
                    f" allowed: 1, or {features}, one a feature"
                )
        return self

    @classmethod
    def read(cls, path: Path, settings: Mapping[str, object] | None = None) -> Recipe:
        """Read ``path`` with ``--set`` overrides laid over it.

        Raises:
            DeclarationError: naming file and key.
        """
        return load(cls, path, settings)
