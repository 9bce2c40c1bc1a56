"""What to build: data, front-end, network, training, pruning, quantization, evaluation.

A recipe is a TOML file; every option is declared here, once, with its type, default, unit and
meaning. ``docs/reference.md`` is generated from these classes.
"""

from edgeprune.recipe.data import (
    SILENCE,
    UNKNOWN,
    Data,
    FolderData,
    SpeechCommandsData,
    SyntheticData,
)
from edgeprune.recipe.evaluation import Evaluation
from edgeprune.recipe.frontend import Frontend
from edgeprune.recipe.networks import (
    DsCnn,
    KerasNetwork,
    MatchboxNet,
    MlperfKws,
    Model,
    fixed_normalization,
    starts_trained,
)
from edgeprune.recipe.pruning import Pruning
from edgeprune.recipe.quantization import Quantization
from edgeprune.recipe.recipe import Recipe
from edgeprune.recipe.training import Augmentation, Training

__all__ = [
    "SILENCE",
    "UNKNOWN",
    "Augmentation",
    "Data",
    "DsCnn",
    "Evaluation",
    "FolderData",
    "Frontend",
    "KerasNetwork",
    "MatchboxNet",
    "MlperfKws",
    "Model",
    "Pruning",
    "Quantization",
    "Recipe",
    "SpeechCommandsData",
    "SyntheticData",
    "Training",
    "fixed_normalization",
    "starts_trained",
]
