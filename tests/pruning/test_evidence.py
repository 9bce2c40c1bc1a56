"""Evidence: gradients against differences of the loss, gates, movement over steps."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.backend import keras, tf
from edgeprune.models.batches import Batch
from edgeprune.models.trainer import Penalty, Trainer, shaped
from edgeprune.pruning.criteria import Taylor, criteria
from edgeprune.pruning.evidence import gather, gradients, moving_paths
from edgeprune.pruning.surgery import clone, map_channels, map_kernels
from tests.pruning import small
from tests.pruning.test_recovery import batch

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def network(start: TrainedModel, few: Dataset) -> keras.Model:
    """The smallest network with factors and offsets of its own."""
    copy = clone(start.network)
    rng = np.random.default_rng(4)
    for name in ("stem_norm", "pointwise_norm"):
        copy.get_layer(name).gamma.assign(rng.uniform(0.5, 1.5, small.WIDTH))
        copy.get_layer(name).beta.assign(rng.uniform(-0.5, 0.5, small.WIDTH))
    return copy


def loss(network: keras.Model, given: Batch) -> float:
    inputs, targets = given
    logits = network(shaped(network, inputs), training=False)
    return float(tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits)))


def test_gradients_are_slopes_of_the_loss_a_batch_each(network: keras.Model, few: Dataset) -> None:
    inputs, targets = batch(few)
    halves = [(inputs[:8], targets[:8]), (inputs[8:], targets[8:])]
    found = gradients(network, ["pointwise/kernel"], halves)["pointwise/kernel"]
    assert found.shape == (2, 1, 1, small.WIDTH, small.WIDTH)
    kernel = network.get_layer("pointwise").kernel
    values, step = kernel.numpy(), np.zeros(kernel.shape, np.float32)
    step[0, 0, 2, 3] = 1e-2
    for half, slopes in zip(halves, found, strict=True):
        sides = []
        for side in (1, -1):
            kernel.assign(values + side * step)
            sides.append(loss(network, half))
        kernel.assign(values)
        assert slopes[0, 0, 2, 3] == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=0.05, abs=1e-4)


def test_the_gate_of_a_channel_is_its_slope_of_the_loss(network: keras.Model, few: Dataset) -> None:
    """Scaling what the normalization gives scales the channel, as the layer's own filter can't."""
    channels = map_channels(network)
    given = batch(few)
    evidence = gather(
        network, channels.kernels, Taylor(), by_channel=True, batches=[given], movement={}
    )
    gates = {each.layer: each.gates for each in evidence}
    norm = network.get_layer("pointwise_norm")
    old = norm.gamma.numpy(), norm.beta.numpy()
    sides = []
    for side in (1.01, 0.99):
        factor = np.ones(small.WIDTH, np.float32)
        factor[5] = side
        norm.gamma.assign(old[0] * factor)
        norm.beta.assign(old[1] * factor)
        sides.append(loss(network, given))
    slopes = gates["pointwise"]
    assert slopes is not None
    assert slopes.shape == (1, small.WIDTH)
    assert slopes[0, 5] == pytest.approx((sides[0] - sides[1]) / 0.02, rel=0.05, abs=1e-4)


def test_kernels_know_what_normalizes_them(network: keras.Model) -> None:
    for channels in (map_channels(network), map_kernels(network)):
        found = {each.layer: (each.scale, each.gates) for each in channels.kernels}
        assert found == {
            "stem": ("stem_norm/gamma", ("stem_norm/gamma", "stem_norm/beta")),
            "pointwise": ("pointwise_norm/gamma", ("pointwise_norm/gamma", "pointwise_norm/beta")),
            "classifier": (None, ("classifier/kernel", "classifier/bias")),
        }


def test_evidence_is_only_what_is_asked_for(network: keras.Model) -> None:
    kernels = map_kernels(network).kernels
    for each in gather(
        network, kernels, criteria(1)["l1"], by_channel=False, batches=[], movement={}
    ):
        assert each.gradients is each.gates is each.movement is None


def test_movement_adds_up_what_every_step_would_do(network: keras.Model, few: Dataset) -> None:
    """With a rate of nothing every step sees the same weights: the sum is steps × -w ∂L/∂w."""
    kernel = network.get_layer("classifier").kernel
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # statistics as in deployment, so that the slopes are equal
    given = batch(few)
    expected = -kernel.numpy() * gradients(network, [kernel.path], [given])[kernel.path][0]
    trainer = Trainer(network, lambda step: 0.0, tracked=[kernel.path])
    trainer.run([given] * 3)
    assert trainer.movement[kernel.path] == pytest.approx(3 * expected, rel=1e-3, abs=1e-5)


def test_movement_of_channels_is_that_of_their_gates(network: keras.Model) -> None:
    kernels = map_channels(network).kernels[1:]
    paths = moving_paths(kernels, by_channel=True)
    assert paths == sorted(path for kernel in kernels for path in kernel.gates)
    movement = {
        "pointwise_norm/gamma": np.arange(8, dtype=np.float32),
        "pointwise_norm/beta": np.full(8, 10, np.float32),
        "classifier/kernel": np.ones((8, 4), np.float32),
        "classifier/bias": np.arange(4, dtype=np.float32),
    }
    found = gather(
        network,
        kernels,
        criteria(1)["movement"],
        by_channel=True,
        batches=[],
        movement=movement,
    )
    assert [each.movement.tolist() for each in found if each.movement is not None] == [
        [list(range(10, 18))],
        [[8, 9, 10, 11]],
    ]


@pytest.mark.parametrize(("norm", "power"), [("l1", 0), ("l2", 1)])
def test_a_penalty_adds_its_slope(
    network: keras.Model, few: Dataset, norm: str, power: int
) -> None:
    """λ sign(w) or λ w on top of the loss's; the reported loss is without it."""
    kernel = network.get_layer("pointwise").kernel
    given = batch(few)
    steps = []
    for weight in (0.0, 2.0):
        copy = clone(network)
        penalty = Penalty(("pointwise/kernel",), norm, weight)  # type: ignore[arg-type]
        trainer = Trainer(copy, lambda step: 0.0, penalty=penalty, tracked=["pointwise/kernel"])
        reported = trainer.run([given])
        steps.append((reported, trainer.movement["pointwise/kernel"]))
    values = kernel.numpy()
    added = -2.0 * values * np.sign(values) * np.abs(values) ** power
    assert steps[1][0] == steps[0][0]
    assert steps[1][1] - steps[0][1] == pytest.approx(added, rel=1e-3, abs=1e-5)
