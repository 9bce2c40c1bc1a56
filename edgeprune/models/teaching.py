"""A published teacher that hears its own features of the very clips that its pupil hears.

Distillation (Hinton et al. 2015) from a network that expects another front-end: both front-ends'
features of an augmented clip travel side by side in one input, so that mixup blends them alike,
and each network reads its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.models import mlperf_kws, mlperf_mfcc
from edgeprune.models.backend import keras
from edgeprune.models.batches import FeatureFunction
from edgeprune.models.files import model_file
from edgeprune.models.normalization import Normalization
from edgeprune.models.trainer import Distillation
from edgeprune.recipe import MlperfKws, Recipe

__all__ = ["Lesson", "lesson"]

_KEY = "training.teacher"


@dataclass(frozen=True)
class Lesson:
    """What a network and its teacher are trained with.

    Attributes:
        pupil: the network, reading its share of an input; it has the same variables.
        distillation: from the teacher, reading the other share.
        features: int16 clips [clips, samples] → int16 features [clips, frames, both].
        normalization: of both.
    """

    pupil: Any
    distillation: Distillation
    features: FeatureFunction
    normalization: Normalization


def lesson(
    network: Any,
    recipe: Recipe,
    labels: tuple[str, ...],
    features: FeatureFunction,
    normalization: Normalization,
) -> Lesson:
    """Put a network beside the teacher that ``recipe.training.teacher`` names.

    Args:
        network: the pupil, that gives logits.
        recipe: with a teacher.
        labels: what the network's scores mean, in order.
        features: the front-end.
        normalization: of the front-end's features.

    Raises:
        ModelError: the teacher's file is missing, damaged, or of another network, or the teacher
            does not know a label.
        TrainingError: the recipe's clips or frames are not those that the teacher expects, or the
            recipe masks features.
    """
    _check(recipe)
    own = recipe.frontend.features
    frames = (mlperf_mfcc.FRAMES, own + mlperf_mfcc.COEFFICIENTS)
    both = keras.Input((*frames, 1), name="features")
    heard = keras.layers.Reshape(network.input_shape[1:])(both[:, :, :own])
    teacher = keras.Model(both, _published(recipe, labels)(both[:, :, own:]), name="teacher")
    teacher.trainable = False
    spec = recipe.training

    def side_by_side(clips: NDArray[np.int16]) -> NDArray[np.int16]:
        theirs = mlperf_mfcc.mfcc(clips) * 2.0**normalization.fraction_bits
        info = np.iinfo(np.int16)
        rounded = np.clip(np.rint(theirs), info.min, info.max).astype(np.int16)
        return np.concatenate([features(clips), rounded], axis=2)

    more = mlperf_mfcc.COEFFICIENTS
    return Lesson(
        pupil=keras.Model(both, network(heard), name="pupil"),
        distillation=Distillation(teacher, spec.distillation, spec.temperature),
        features=side_by_side,
        normalization=Normalization(
            mean=np.concatenate([normalization.mean, np.zeros(more)]),
            std=np.concatenate([normalization.std, np.ones(more)]),
            fraction_bits=normalization.fraction_bits,
        ),
    )


def _published(recipe: Recipe, labels: tuple[str, ...]) -> Any:
    path = model_file(str(recipe.training.teacher), _KEY)
    declaration = MlperfKws(kind="mlperf-kws")
    network = mlperf_kws.build(
        declaration, mlperf_mfcc.FRAMES, mlperf_mfcc.COEFFICIENTS, len(labels), seed=0
    )
    mlperf_kws.load_weights(network, path, labels)
    return network


def _check(recipe: Recipe) -> None:
    frontend = recipe.frontend
    found = (frontend.sample_rate_hz, frontend.clip_samples, frontend.frames)
    needed = (mlperf_mfcc.SAMPLE_RATE_HZ, mlperf_mfcc.CLIP_SAMPLES, mlperf_mfcc.FRAMES)
    if found != needed:
        raise TrainingError(
            f"the front-end makes {found[2]} frames of clips of {found[1]} samples at {found[0]} "
            f"Hz; the teacher hears {needed[2]} frames of {needed[1]} samples at {needed[0]} Hz",
            where=_KEY,
            hint="frontend.window_ms = 30 and hop_ms = 20 with clips of a second, or no teacher",
        )
    if recipe.augmentation.time_masks or recipe.augmentation.frequency_masks:
        raise TrainingError(
            "masks of the features would blank out what the teacher hears",
            where="augmentation.time_masks, augmentation.frequency_masks",
            hint="set both to 0, or train without a teacher",
        )
