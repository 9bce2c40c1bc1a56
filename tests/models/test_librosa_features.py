"""What the fixed-point front-end costs a network that heard librosa's features: next to nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.datasets import make
from edgeprune.frontend import FrontendLibrary, fraction_bits
from edgeprune.models.normalization import Normalization
from edgeprune.progress import SilentProgress
from edgeprune.recipe import (
    Augmentation,
    Frontend,
    MatchboxNet,
    Recipe,
    SpeechCommandsData,
    Training,
)
from edgeprune.toolchain import find_toolchain
from tests.frontend import reference

KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
QUIET = Augmentation(time_shift_ms=0, gain_db=0.0, speed_percent=0.0, noise_percent=0.0)


def _librosa(frontend: Frontend, clips: NDArray[np.int16]) -> NDArray[np.int16]:
    scaled = reference.librosa_features(frontend, clips) * 2 ** fraction_bits(frontend)
    return np.rint(scaled).astype(np.int16)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_network_loses_at_most_half_a_point(shared_data: Path, build_cache: Path) -> None:
    """Trained on librosa's features, tested on librosa's and on ours."""
    from edgeprune.models.training import score, train

    recipe = Recipe(
        name="librosa",
        data=SpeechCommandsData(
            kind="speech-commands",
            keywords=KEYWORDS,
            source=str(shared_data / "speech_commands_mini_v0.02.tar.gz"),
        ),
        model=MatchboxNet(kind="matchbox", width=32, blocks=3),
        training=Training(epochs=12),
        augmentation=QUIET,
    )
    frontend = recipe.frontend
    dataset = make(
        recipe.data,
        sample_rate_hz=frontend.sample_rate_hz,
        clip_samples=frontend.clip_samples,
        seed=recipe.seed,
    )
    ours = FrontendLibrary.build(frontend, find_toolchain("zig"), build_cache).features

    def theirs(clips: NDArray[np.int16]) -> NDArray[np.int16]:
        return _librosa(frontend, clips)

    heard = theirs(dataset.train.pcm)
    normalization = Normalization.measure(heard, fraction_bits(frontend))
    model = train(recipe, dataset, theirs, normalization, SilentProgress())
    with_ours = score(model.network, dataset.test, ours, normalization)
    assert model.test.accuracy > 0.6, "the network learned too little for this to mean anything"
    assert with_ours.accuracy >= model.test.accuracy - 0.005
