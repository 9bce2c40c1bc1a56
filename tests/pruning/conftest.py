"""Tiny dense networks to prune."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.backend import tf
from edgeprune.models.training import train
from edgeprune.progress import SilentProgress
from tests.models import tiny
from tests.pruning import small


@pytest.fixture(scope="session")
def tones() -> Dataset:
    """Tones, noise and silence."""
    return tiny.dataset()


@pytest.fixture(scope="session")
def dense(tones: Dataset) -> TrainedModel:
    """The tiny network, trained."""
    normalization = tiny.normalization(tones)
    return train(tiny.recipe(), tones, tiny.features, normalization, SilentProgress())


@pytest.fixture(scope="session")
def few() -> Dataset:
    """Clips for one step."""
    return small.clips()


@pytest.fixture(scope="session")
def start(few: Dataset) -> TrainedModel:
    """The smallest network; nothing changes it."""
    return small.trained(few)


@pytest.fixture
def eager() -> Iterator[None]:
    """Training steps run as they are written: for a few of them, compiling takes longer."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
