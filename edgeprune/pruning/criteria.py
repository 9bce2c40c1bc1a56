"""Criteria: how much each weight matters.

A criterion gives one score for each weight; a structure (:mod:`edgeprune.pruning.structures`) adds
them up over what it takes out at once. So every criterion goes with every structure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["CRITERIA", "L1", "L2", "Criterion", "Evidence", "Magnitude"]

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """What is known about the kernel of one layer.

    Attributes:
        layer: its name.
        weights: float32, the kernel in Keras' layout: output channels last.
        gradients: float32 of the same shape, of the loss by the weights, for criteria that ask
            for them; otherwise None.
    """

    layer: str
    weights: NDArray[np.float32]
    gradients: NDArray[np.float32] | None = None


class Criterion(Protocol):
    """Scores weights.

    Attributes:
        name: as recipes write it.
        needs_gradients: whether :attr:`Evidence.gradients` must be there.
    """

    name: str
    needs_gradients: bool

    def scores(self, evidence: Evidence) -> Scores:
        """float32 of the kernel's shape, none negative; a weight with a lower one goes first."""


class L1:
    """|w|; summed over a filter it is the filter's L1 norm.

    Li, Kadav, Durdanovic, Samet & Graf 2017, "Pruning Filters for Efficient ConvNets".
    """

    name = "l1"
    needs_gradients = False

    def scores(self, evidence: Evidence) -> Scores:
        """Absolute values."""
        return np.abs(evidence.weights)


class L2:
    """w²; summed over a filter it is the square of the filter's L2 norm, which orders alike.

    He, Kang, Dong, Fu & Yang 2018, "Soft Filter Pruning for Accelerating Deep Convolutional Neural
    Networks".
    """

    name = "l2"
    needs_gradients = False

    def scores(self, evidence: Evidence) -> Scores:
        """Squares."""
        return np.square(evidence.weights)


class Magnitude(L1):
    """|w| of single weights.

    Han, Pool, Tran & Dally 2015, "Learning both Weights and Connections for Efficient Neural
    Networks".
    """

    name = "magnitude"


#: Every criterion by its name in recipes.
CRITERIA: Mapping[str, Criterion] = {each.name: each for each in (L1(), L2(), Magnitude())}
