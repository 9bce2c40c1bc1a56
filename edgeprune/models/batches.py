"""Training batches: augmented clips through the front-end, the next epoch's beside the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.augmentation import Augmenter
from edgeprune.models.normalization import Normalization

__all__ = ["Batch", "EpochFeatures", "FeatureFunction", "Mixing", "TrainingClips", "one_hot"]

#: int16 clips [clips, samples] → int16 features [clips, frames, features].
FeatureFunction = Callable[[NDArray[np.int16]], NDArray[np.int16]]

#: int16 features [clips, frames, features] of one epoch.
EpochFeatures = NDArray[np.int16]

#: Network inputs float32 [batch, frames, features] and targets float32 [batch, labels].
Batch = tuple[NDArray[np.float32], NDArray[np.float32]]

#: Clips that are augmented at a time: enough for the front-end, little memory.
_CHUNK = 256

#: Told apart in the seed sequence from the draws of the augmentation.
_ORDER = 3


@dataclass(frozen=True)
class Mixing:
    """How clips are put together.

    Attributes:
        batch: clips in a step.
        mixup: parameter of the Beta distribution of Zhang et al. 2018; 0 is off.
        label_smoothing: share of a target that is spread over all labels (Szegedy et al. 2016).
    """

    batch: int
    mixup: float = 0.0
    label_smoothing: float = 0.0


class TrainingClips:
    """The training split, augmented anew in every epoch.

    Args:
        pcm: int16 [clips, samples].
        labels: integers [clips].
        label_count: how many labels there are.
        features: the front-end.
        normalization: of the network's input.
        augmenter: what the clips go through.
        mixing: how they are put into batches.
        seed: the recipe's seed.
    """

    def __init__(
        self,
        pcm: NDArray[np.int16],
        labels: NDArray[np.integer],
        *,
        label_count: int,
        features: FeatureFunction,
        normalization: Normalization,
        augmenter: Augmenter,
        mixing: Mixing,
        seed: int,
    ) -> None:
        self._pcm = pcm
        self._features = features
        self._normalization = normalization
        self._augmenter = augmenter
        self._mixing = mixing
        self._seed = seed
        self._targets = _targets(labels, label_count, mixing.label_smoothing)
        self._plain: EpochFeatures | None = None

    @property
    def steps(self) -> int:
        """Batches in an epoch; an incomplete last one is left out, other clips each time."""
        return max(1, len(self._pcm) // self._mixing.batch)

    def prepare(self, epoch: int) -> EpochFeatures:
        """Augment the clips of an epoch and compute their features."""
        if not self._augmenter.changes_clips:
            if self._plain is None:
                self._plain = self._features(self._pcm)
            return self._plain
        draws = self._augmenter.draw(len(self._pcm), epoch)
        chunks = []
        for start in range(0, len(self._pcm), _CHUNK):
            rows = slice(start, start + _CHUNK)
            chunks.append(self._features(self._augmenter.apply(self._pcm[rows], draws[rows])))
        return np.concatenate(chunks)

    def batches(self, epoch: int, features: EpochFeatures) -> Iterator[Batch]:
        """Shuffle, normalize, mask and mix the features of an epoch."""
        rng = np.random.default_rng([self._seed, epoch, _ORDER])
        order = rng.permutation(len(features))
        for step in range(self.steps):
            rows = order[step * self._mixing.batch : (step + 1) * self._mixing.batch]
            inputs = self._normalization.apply(features[rows])
            inputs = self._augmenter.mask(inputs, epoch, step)
            yield _mixed(inputs, self._targets[rows], self._mixing.mixup, rng)

    @contextmanager
    def epochs(self, first: int, count: int) -> Iterator[Iterator[Iterator[Batch]]]:
        """Open the batches of ``count`` epochs; each epoch is prepared during the one before."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="augmentation") as worker:
            waiting: list[Future[EpochFeatures]] = []

            def run() -> Iterator[Iterator[Batch]]:
                last = first + count
                waiting.append(worker.submit(self.prepare, first))
                for epoch in range(first, last):
                    features = waiting.pop().result()
                    if epoch + 1 < last:
                        waiting.append(worker.submit(self.prepare, epoch + 1))
                    yield self.batches(epoch, features)

            try:
                yield run()
            finally:
                for future in waiting:
                    future.cancel()


def one_hot(labels: NDArray[np.integer], label_count: int) -> NDArray[np.float32]:
    """Labels [clips] → float32 [clips, label_count]."""
    targets: NDArray[np.float32] = np.eye(label_count, dtype=np.float32)[labels]
    return targets


def _targets(
    labels: NDArray[np.integer], label_count: int, smoothing: float
) -> NDArray[np.float32]:
    """Smoothed targets, weighted so that rare labels count somewhat more.

    The weight is the square root of how much rarer a label is than the mean, at most 2: enough
    to keep it from being ignored, too little to be guessed for everything.
    """
    counts = np.bincount(labels, minlength=label_count).astype(np.float32)
    weights = np.sqrt(counts.mean() / np.maximum(counts, 1)).clip(0.5, 2.0)
    smooth = one_hot(labels, label_count) * (1 - smoothing) + smoothing / label_count
    weighted: NDArray[np.float32] = (smooth * weights[labels, None]).astype(np.float32)
    return weighted


def _mixed(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    mixup: float,
    rng: np.random.Generator,
) -> Batch:
    """Blend each clip with another of the batch (mixup, Zhang et al. 2018)."""
    if not mixup:
        return inputs, targets
    share = rng.beta(mixup, mixup, len(inputs)).astype(np.float32)
    other = rng.permutation(len(inputs))
    inputs = inputs * share[:, None, None] + inputs[other] * (1 - share)[:, None, None]
    targets = targets * share[:, None] + targets[other] * (1 - share)[:, None]
    return inputs, targets
