"""Mean and spread of each feature: what the network's input is measured in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeprune.errors import StoreError, TrainingError

__all__ = ["Normalization"]

#: A feature that never changes would be divided by zero.
_SMALLEST_STD = 1e-3


@dataclass(frozen=True, eq=False)
class Normalization:
    """x = (f · 2^-fraction_bits - mean) / std, for each feature.

    Attributes:
        mean: float64 [features], of real-valued features.
        std: float64 [features], of real-valued features; positive.
        fraction_bits: of the front-end's int16 features.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    fraction_bits: int

    @classmethod
    def measure(cls, features: NDArray[np.int16], fraction_bits: int) -> Self:
        """Measure the features of the training clips, not augmented.

        Args:
            features: int16 [clips, frames, features].
            fraction_bits: of the features.

        Raises:
            TrainingError: there are none.
        """
        if features.ndim != 3 or not features.size:
            raise TrainingError(
                f"features of shape {list(features.shape)} have no mean",
                hint="the data set needs training clips",
            )
        rows = features.reshape(-1, features.shape[2])
        unit = 2.0**-fraction_bits
        mean = rows.mean(axis=0, dtype=np.float64) * unit
        std = rows.std(axis=0, dtype=np.float64) * unit
        return cls(mean=mean, std=np.maximum(std, _SMALLEST_STD), fraction_bits=fraction_bits)

    @classmethod
    def fixed(cls, mean: ArrayLike, std: ArrayLike, *, features: int, fraction_bits: int) -> Self:
        """A normalization that is not measured.

        Args:
            mean: one value, or [features], in real units.
            std: one value, or [features], in real units; positive.
            features: in a frame.
            fraction_bits: of the features.
        """
        means, stds = (
            np.broadcast_to(np.asarray(values, dtype=np.float64), (features,))
            for values in (mean, std)
        )
        return cls(mean=means, std=stds, fraction_bits=fraction_bits)

    def apply(self, features: NDArray[np.int16]) -> NDArray[np.float32]:
        """Network inputs: float32, of the same shape [clips, frames, features]."""
        scale = (2.0**-self.fraction_bits / self.std).astype(np.float32)
        offset = (self.mean / self.std).astype(np.float32)
        inputs = features.astype(np.float32)
        inputs *= scale
        inputs -= offset
        return inputs

    def save(self, path: Path) -> None:
        """Write JSON; floats are written so that reading gives the same bits."""
        table = {
            "fraction_bits": self.fraction_bits,
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
        }
        path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            StoreError: the file is missing or damaged.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            mean = np.array(table["mean"], dtype=np.float64)
            std = np.array(table["std"], dtype=np.float64)
            fraction_bits = int(table["fraction_bits"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"is not a normalization: {error}", where=str(path)) from error
        if mean.ndim != 1 or mean.shape != std.shape or not (std > 0).all():
            raise StoreError("holds means and deviations that don't fit", where=str(path))
        return cls(mean=mean, std=std, fraction_bits=fraction_bits)
