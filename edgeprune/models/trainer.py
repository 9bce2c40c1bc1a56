"""One training step, one epoch, one evaluation: what training and fine-tuning share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.models.backend import keras, tf
from edgeprune.models.batches import Batch, one_hot

__all__ = [
    "BestWeights",
    "Distillation",
    "EpochRecord",
    "Penalty",
    "Score",
    "Trainer",
    "divergence",
    "evaluate",
    "rates",
    "shaped",
]

_EVALUATION_BATCH = 256

#: Decoupled weight decay of kernels (Loshchilov & Hutter 2019, "Decoupled Weight Decay
#: Regularization"); on a few thousand clips about a point of accuracy.
_WEIGHT_DECAY = 0.05

#: Share of the steps over which the rate rises from zero: high rates need it (Goyal et al. 2017).
_WARM_UP = 0.05


@dataclass(frozen=True)
class Score:
    """How a network does on one split.

    Attributes:
        loss: mean cross-entropy, in nats.
        accuracy: share of clips whose highest score is right.
        clips: how many there were.
    """

    loss: float
    accuracy: float
    clips: int


@dataclass(frozen=True)
class EpochRecord:
    """What happened in one epoch.

    Attributes:
        epoch: counted from 1.
        loss: mean training loss, of augmented and mixed clips.
        validation: after the epoch.
        sparsity: that the masks were asked for; 0 in dense training.
    """

    epoch: int
    loss: float
    validation: Score
    sparsity: float = 0.0

    @classmethod
    def restore(cls, table: Mapping[str, Any]) -> EpochRecord:
        """The inverse of :func:`dataclasses.asdict`."""
        return cls(**{**table, "validation": Score(**table["validation"])})

    def table(self) -> dict[str, Any]:
        """For a JSON summary."""
        return asdict(self)


@dataclass(frozen=True)
class Distillation:
    """Learning from another network's scores (Hinton et al. 2015).

    Attributes:
        teacher: a Keras network that gives logits.
        weight: of the teacher in the loss, from 0 to 1; the labels have the rest.
        temperature: that both networks' logits are divided by.
    """

    teacher: Any
    weight: float
    temperature: float


@dataclass(frozen=True)
class Penalty:
    """What the loss has on top, so that weights that hardly help become small.

    Attributes:
        paths: of the variables that are penalized.
        norm: the sum of their absolute values, or half the sum of their squares.
        weight: factor of it.
    """

    paths: tuple[str, ...]
    norm: Literal["l1", "l2"]
    weight: float


def rates(
    learning_rate: float, schedule: Literal["cosine", "constant"], steps: int
) -> Callable[[int], float]:
    """The learning rate of each step.

    It rises linearly over the first twentieth of the steps; then cosine falls to zero
    (Loshchilov & Hutter 2017, "SGDR").
    """
    rise = max(1.0, _WARM_UP * steps)

    def rate(step: int) -> float:
        risen = learning_rate * min(1.0, (step + 1) / rise)
        if schedule == "constant":
            return risen
        return risen * 0.5 * (1 + math.cos(math.pi * step / steps))

    return rate


class Trainer:
    """Trains one network with AdamW, keeping masked weights at zero.

    Args:
        network: a Keras network that gives logits.
        rate: step → learning rate.
        first_step: the step that the first batch is.
        distillation: the teacher, if there is one.
        penalty: on the weights, if there is one.
        tracked: paths of variables whose movement is summed up.
    """

    def __init__(
        self,
        network: Any,
        rate: Callable[[int], float],
        *,
        first_step: int = 0,
        distillation: Distillation | None = None,
        penalty: Penalty | None = None,
        tracked: Sequence[str] = (),
    ) -> None:
        self.network = network
        self.step = first_step
        self._rate = rate
        self._distillation = distillation
        self._weights = {weight.path: weight for weight in network.weights}
        self._masks: dict[str, Any] = {}
        self._penalty = penalty
        self._movement = {path: tf.Variable(tf.zeros_like(self._weights[path])) for path in tracked}
        self._optimizer = keras.optimizers.AdamW(rate(first_step), weight_decay=_WEIGHT_DECAY)
        self._optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        self._optimizer.build(network.trainable_variables)
        self._train_step = tf.function(self._one_step)

    def set_masks(self, masks: Mapping[str, NDArray[np.bool_]]) -> None:
        """Zero the weights where a mask is False, now and after each step from here on.

        Args:
            masks: path of a variable → bool array of its shape.
        """
        if set(masks) != set(self._masks):
            self._masks = {
                path: tf.Variable(np.ones(mask.shape, np.float32)) for path, mask in masks.items()
            }
            self._train_step = tf.function(self._one_step)
        for path, mask in masks.items():
            self._masks[path].assign(mask.astype(np.float32))
        self._apply_masks()

    @property
    def movement(self) -> dict[str, NDArray[np.float32]]:
        """Path → -Σ w ∂L/∂w over the steps so far, of the tracked variables (Sanh et al. 2020)."""
        return {path: total.numpy() for path, total in self._movement.items()}

    def set_penalty(self, penalty: Penalty | None) -> None:
        """Change the penalty from here on."""
        if penalty != self._penalty:
            self._penalty = penalty
            self._train_step = tf.function(self._one_step)

    def _apply_masks(self) -> None:
        for path, mask in self._masks.items():
            self._weights[path].assign(self._weights[path] * mask)

    def run(self, batches: Iterable[Batch]) -> float:
        """Train on batches; returns the mean loss.

        Raises:
            TrainingError: the loss is not finite any more.
        """
        return float(np.mean([self._run_one(*batch) for batch in batches]))

    def _run_one(self, inputs: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
        self._optimizer.learning_rate.assign(self._rate(self.step))
        loss = float(self._train_step(shaped(self.network, inputs), tf.constant(targets)))
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in step {self.step + 1}",
                hint="lower the learning_rate, and look for damaged clips in the data",
            )
        self.step += 1
        return loss

    def _one_step(self, inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = self._loss(inputs, targets)
            penalized = loss if self._penalty is None else loss + self._penalized(self._penalty)
        variables = self.network.trainable_variables
        gradients = tape.gradient(penalized, variables)
        self._track_movement(dict(zip((each.path for each in variables), gradients, strict=True)))
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._apply_masks()
        return loss

    def _penalized(self, penalty: Penalty) -> Any:
        norm = tf.abs if penalty.norm == "l1" else tf.nn.l2_loss
        values = [tf.convert_to_tensor(self._weights[path]) for path in penalty.paths]
        return penalty.weight * tf.add_n([tf.reduce_sum(norm(each)) for each in values])

    def _track_movement(self, gradients: Mapping[str, Any]) -> None:
        for path, total in self._movement.items():
            total.assign_sub(self._weights[path] * gradients[path])

    def _loss(self, inputs: Any, targets: Any) -> Any:
        student = self.network(inputs, training=True)
        hard = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, student))
        teaching = self._distillation
        if teaching is None:
            return hard
        taught = teaching.teacher(inputs, training=False)
        soft = divergence(taught, student, teaching.temperature)
        return (1 - teaching.weight) * hard + teaching.weight * soft


def divergence(wanted: Any, given: Any, temperature: float) -> Any:
    """How far softened scores are from a teacher's: Kullback & Leibler's divergence.

    Args:
        wanted: the teacher's logits [clips, labels].
        given: the student's.
        temperature: that both are divided by.

    Returns:
        The mean over the clips. The gradients of softened scores shrink with the square of the
        temperature; it is multiplied by that.
    """
    taught = tf.nn.log_softmax(wanted / temperature)
    learned = tf.nn.log_softmax(given / temperature)
    return temperature**2 * tf.reduce_mean(
        tf.reduce_sum(tf.exp(taught) * (taught - learned), axis=1)
    )


class BestWeights:
    """The weights of the epoch with the lowest validation loss, and how long ago that was."""

    def __init__(self) -> None:
        self.epochs_since = 0
        self._loss = math.inf
        self._weights: list[NDArray[np.float32]] | None = None

    def offer(self, network: Any, loss: float) -> None:
        """Keep the network's weights when they are the best so far."""
        self.epochs_since += 1
        if self._weights is None or loss < self._loss:
            self._loss, self.epochs_since = loss, 0
            self._weights = network.get_weights()

    def restore(self, network: Any) -> None:
        """Put the best weights into the network; nothing when none were offered."""
        if self._weights is not None:
            network.set_weights(self._weights)


def shaped(network: Any, inputs: NDArray[np.float32]) -> Any:
    """Inputs [clips, frames, features] as a tensor of the shape that the network takes."""
    return tf.constant(inputs.reshape(-1, *network.input_shape[1:]))


def evaluate(network: Any, inputs: NDArray[np.float32], labels: NDArray[np.integer]) -> Score:
    """Cross-entropy and accuracy over a split.

    Args:
        network: a Keras network that gives logits.
        inputs: float32 [clips, frames, features], normalized.
        labels: integers [clips].

    Raises:
        TrainingError: there are no clips.
    """
    if not len(labels):
        raise TrainingError(
            "there are no clips to measure the accuracy on",
            hint="check the percentages and lists that the data set is split by",
        )
    scores = np.concatenate(
        [
            network(shaped(network, inputs[start : start + _EVALUATION_BATCH])).numpy()
            for start in range(0, len(inputs), _EVALUATION_BATCH)
        ]
    )
    wanted = one_hot(labels, scores.shape[1])
    losses = tf.nn.softmax_cross_entropy_with_logits(wanted, scores).numpy()
    accuracy = float(np.mean(scores.argmax(axis=1) == labels))
    return Score(loss=float(losses.mean(dtype=np.float64)), accuracy=accuracy, clips=len(labels))
