"""From posteriors to detections: smoothing, a threshold for each keyword, a refractory time.

The smoothing is that of Chen, Parada and Heigold, "Small-footprint keyword spotting using deep
neural networks" (ICASSP 2014), equation 2: the mean over the last inferences of a window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BACKGROUND", "Detection", "Detector"]

#: Labels that are never detected.
BACKGROUND = ("silence", "unknown", "_silence_", "_unknown_", "background", "noise")


@dataclass(frozen=True)
class Detection:
    """A keyword that was heard.

    Attributes:
        label: which.
        score: the smoothed posterior.
        at_s: the end of the audio that decided, in seconds of the stream.
    """

    label: str
    score: float
    at_s: float


class Detector:
    """Decides after every inference.

    A keyword is heard when its smoothed posterior is the highest of all keywords and reaches its
    threshold. Then no keyword is heard for the refractory time, and this one not before its
    posterior was below the threshold.

    Attributes:
        keywords: the labels that can be detected.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        thresholds: Mapping[str, float],
        threshold: float,
        smoothing: int,
        refractory_s: float,
    ) -> None:
        """Begin.

        Args:
            labels: of the posteriors.
            thresholds: keyword to its own threshold.
            threshold: of all others.
            smoothing: inferences that are averaged, 1 … .
            refractory_s: seconds after a detection without another one.
        """
        self._labels = list(labels)
        self.keywords = [label for label in labels if label not in BACKGROUND]
        self._keywords = np.array([label not in BACKGROUND for label in labels])
        self._thresholds = np.array([thresholds.get(label, threshold) for label in labels])
        self._window: deque[NDArray[np.float64]] = deque(maxlen=smoothing)
        self._refractory_s = refractory_s
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._window.clear()
        self._quiet_until = -np.inf
        self._armed = np.ones(len(self._labels), dtype=bool)

    def push(self, posteriors: NDArray[np.float64], at_s: float) -> Detection | None:
        """The posteriors [labels] of one inference, at a time of the stream in seconds."""
        self._window.append(posteriors)
        smoothed = np.mean(self._window, axis=0)
        over = self._keywords & (smoothed >= self._thresholds)
        self._armed |= ~over
        if at_s < self._quiet_until or not over.any():
            return None
        best = int(np.argmax(np.where(self._keywords, smoothed, -1.0)))
        if not (over[best] and self._armed[best]):
            return None
        self._armed[best] = False
        self._quiet_until = at_s + self._refractory_s
        return Detection(self._labels[best], round(float(smoothed[best]), 4), at_s)
