"""A tiny dense network to prune."""

from __future__ import annotations

import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.training import train
from edgeprune.progress import SilentProgress
from tests.models import tiny


@pytest.fixture(scope="session")
def tones() -> Dataset:
    """Tones, noise and silence."""
    return tiny.dataset()


@pytest.fixture(scope="session")
def dense(tones: Dataset) -> TrainedModel:
    """The tiny network, trained."""
    normalization = tiny.normalization(tones)
    return train(tiny.recipe(), tones, tiny.features, normalization, SilentProgress())
