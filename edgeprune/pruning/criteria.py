"""Criteria: how much each weight, block or channel matters.

A criterion scores what a structure (:mod:`edgeprune.pruning.structures`) takes out at once. It adds
up over that through the structure's ``pool``, so that it need not know which structure it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import UnsupportedError

__all__ = [
    "L1",
    "L2",
    "BatchNormScale",
    "Criterion",
    "Evidence",
    "Gradient",
    "L1Penalty",
    "L2Penalty",
    "Magnitude",
    "Movement",
    "Pool",
    "Random",
    "Regularization",
    "Scores",
    "Taylor",
    "comparable_scores",
    "criteria",
]

#: Float32 or float64 of the shape that the structure's pool gives.
Scores = NDArray[np.floating]

#: Values of a kernel's shape → their sums over what is taken out at once.
Pool = Callable[[NDArray[np.floating]], Scores]

#: Told apart in the seed sequence from the other things that are drawn.
_RANDOM = 5


@dataclass(frozen=True)
class Evidence:
    """What is known about the kernel of one layer; what a criterion does not ask for is None.

    Attributes:
        layer: its name.
        weights: float32, the kernel in Keras' layout: output channels last.
        gradients: float32 [batches, …], of the loss by the weights, one for each of some batches of
            training clips.
        gates: float32 [batches, channels], of the loss by a factor of 1 on each output channel;
            only for structures that take out channels.
        movement: float32 of the kernel's shape, the sum of -w ∂L/∂w over the steps of training; for
            structures that take out channels [1, channels], of the gates.
        scale: float32 [channels], the factors of the batch normalization behind the layer; None
            also where there is none.
    """

    layer: str
    weights: NDArray[np.float32]
    gradients: NDArray[np.float32] | None = None
    gates: NDArray[np.float32] | None = None
    movement: NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Regularization:
    """A penalty in the loss until the final sparsity is reached.

    Attributes:
        norm: sum of absolute values, or half the sum of squares.
        of: what is penalized: the kernels, or the factors of the batch normalizations behind them.
    """

    norm: Literal["l1", "l2"]
    of: Literal["kernels", "scales"]


class Criterion(Protocol):
    """Scores what can be taken out.

    Attributes:
        name: as recipes write it.
        needs_gradients: whether :attr:`Evidence.gradients` or :attr:`Evidence.gates` are read.
        needs_movement: whether :attr:`Evidence.movement` is read.
        regularization: what the network is trained with before anything is scored.
        comparable: whether scores of different layers have one unit. Weights have none: a batch
            normalization undoes any factor on the kernel before it, so their scale differs from
            layer to layer and means nothing; their scores are divided by the layer's mean.
    """

    name: str
    needs_gradients: bool
    needs_movement: bool
    regularization: Regularization | None
    comparable: bool

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """What has a lower score goes first."""


class _OfWeights:
    """Scores that follow from the weights alone."""

    needs_gradients = False
    needs_movement = False
    regularization: Regularization | None = None
    comparable = False


class L1(_OfWeights):
    """Σ|w| of a filter or a block, its L1 norm.

    Li, Kadav, Durdanovic, Samet & Graf 2017, "Pruning Filters for Efficient ConvNets".
    """

    name = "l1"

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """Sums of absolute values."""
        return pool(np.abs(evidence.weights))


class L2(_OfWeights):
    """Σw² of a filter or a block: the square of its L2 norm, which orders alike.

    He, Kang, Dong, Fu & Yang 2018, "Soft Filter Pruning for Accelerating Deep Convolutional Neural
    Networks".
    """

    name = "l2"

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """Sums of squares."""
        return pool(np.square(evidence.weights))


class Magnitude(L1):
    """|w| of single weights.

    Han, Pool, Tran & Dally 2015, "Learning both Weights and Connections for Efficient Neural
    Networks".
    """

    name = "magnitude"


class L1Penalty(L1):
    """Σ|w| after training with λΣ|w| in the loss, which pulls weights that hardly help to zero.

    Han, Pool, Tran & Dally 2015, section 3.1, compares the penalties; the threshold below which
    weights go is the one that gives the wanted sparsity.
    """

    name = "l1-penalty"
    regularization: Regularization | None = Regularization("l1", "kernels")


class L2Penalty(L2):
    """Σw² after training with λΣw²/2 in the loss.

    Han, Pool, Tran & Dally 2015, section 3.1, where it does better than L1 after fine-tuning.
    """

    name = "l2-penalty"
    regularization: Regularization | None = Regularization("l2", "kernels")


class BatchNormScale(_OfWeights):
    """|γ| of the batch normalization behind a layer, after training with λΣ|γ| in the loss.

    Liu, Li, Shen, Huang, Yan & Zhang 2017, "Learning Efficient Convolutional Networks through
    Network Slimming". What γ scales has a deviation of 1 in every layer, so one threshold serves
    all of them, as in the paper. The paper knows channels alone; of less than a channel the score
    is the mean of |γ| times |w| over the filter's mean |w|, which of a whole channel is |γ|.
    """

    name = "batchnorm"
    regularization: Regularization | None = Regularization("l1", "scales")
    comparable = True

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """Absolute factors, and of less than a channel its part of them.

        Raises:
            UnsupportedError: no batch normalization with factors follows the layer.
        """
        if evidence.scale is None:
            raise UnsupportedError(
                "no batch normalization with a scale follows, so there is nothing to score",
                where=f"layer {evidence.layer}",
                hint="exclude the layer in pruning.exclude, or choose another pruning.criterion",
            )
        sizes = np.abs(evidence.weights).astype(np.float64)
        means = sizes.reshape(-1, sizes.shape[-1]).mean(axis=0)
        parts = np.divide(sizes, means, out=np.zeros_like(sizes), where=means > 0)
        scores: Scores = pool(np.abs(evidence.scale) * parts) / pool(np.ones_like(sizes))
        return scores


class _OfGradients:
    """Scores that follow from the gradients of the loss on training clips."""

    needs_gradients = True
    needs_movement = False
    regularization: Regularization | None = None


class Taylor(_OfGradients):
    """(Σ w ∂L/∂w)², to first order the square of what the loss changes by when it goes.

    The mean over batches; for a channel the sum is the gradient at a gate behind it. Molchanov,
    Mallya, Tyree, Frosio & Kautz 2019, "Importance Estimation for Neural Network Pruning"; the
    absolute value in Molchanov, Tyree, Karras, Aila & Kautz 2017, "Pruning Convolutional Neural
    Networks for Resource Efficient Inference". Its unit is that of the loss in every layer.
    """

    name = "taylor"
    comparable = True

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """Mean squares of what the loss changes by."""
        if evidence.gates is not None:
            changes = list(evidence.gates)
        else:
            changes = [pool(evidence.weights * each) for each in _gradients(evidence)]
        scores: Scores = np.square(changes).mean(axis=0)
        return scores


class Gradient(_OfGradients):
    """Σ|∂L/∂w|: what the loss does not depend on goes first.

    The ranking of Evci, Gale, Menick, Castro & Elsen 2020, "Rigging the Lottery", which chooses by
    it what grows back; the gradient is the mean over batches.
    """

    name = "gradient"
    comparable = False

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """Sums of absolute mean gradients."""
        return pool(np.abs(_gradients(evidence).mean(axis=0)))


class Movement:
    """-Σ w ∂L/∂w, summed over the steps of training: what moves towards zero goes first.

    Sanh, Wolf & Rush 2020, "Movement Pruning: Adaptive Sparsity by Fine-Tuning"; of blocks
    and filters as Lagunas, Charlaix, Sanh & Rush 2021, "Block Pruning For Faster
    Transformers". Its unit is that of the loss in every layer.
    """

    name = "movement"
    needs_gradients = False
    needs_movement = True
    regularization: Regularization | None = None
    comparable = True

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """Sums of the movement; negative for what shrinks.

        Raises:
            ValueError: the evidence has none.
        """
        if evidence.movement is None:
            raise ValueError(f"no movement is known of layer {evidence.layer}")
        return pool(evidence.movement)


class Random(_OfWeights):
    """Drawn by seed: the control that every other criterion must beat.

    Mittal, Bhardwaj, Khapra & Ravindran 2018, "Recovering from Random Pruning", shows how close it
    comes after fine-tuning.

    Args:
        seed: the recipe's; the same seed orders a layer in the same way every time.
    """

    name = "random"
    comparable = True

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def scores(self, evidence: Evidence, pool: Pool) -> Scores:
        """Uniform from 0 to 1."""
        rng = np.random.default_rng([self._seed, _RANDOM, *evidence.layer.encode()])
        return rng.random(pool(evidence.weights).shape)


def _gradients(evidence: Evidence) -> NDArray[np.float32]:
    if evidence.gradients is None:
        raise ValueError(f"no gradients are known of layer {evidence.layer}")
    return evidence.gradients


def criteria(seed: int) -> Mapping[str, Criterion]:
    """Every criterion by its name in recipes.

    Args:
        seed: the recipe's, for the one that is drawn.
    """
    every: tuple[Criterion, ...] = (
        L1(),
        L2(),
        Magnitude(),
        Taylor(),
        Gradient(),
        Movement(),
        BatchNormScale(),
        L1Penalty(),
        L2Penalty(),
        Random(seed),
    )
    return {each.name: each for each in every}


def comparable_scores(criterion: Criterion, evidence: Evidence, pool: Pool) -> NDArray[np.float64]:
    """Scores that can be added to, and ranked against, those of other layers.

    Those of a criterion whose scores are not comparable are divided by the layer's mean; a layer
    without any score stays without.
    """
    scores = np.asarray(criterion.scores(evidence, pool), dtype=np.float64)
    if criterion.comparable or not scores.size:
        return scores
    mean = scores.mean()
    return scores / mean if mean > 0 else scores
