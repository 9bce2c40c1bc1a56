"""Statistics of batch normalizations, measured anew after pruning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeprune.models.backend import keras
from edgeprune.models.batches import Batch
from edgeprune.models.trainer import shaped

__all__ = ["reestimate"]


def reestimate(network: Any, batches: Iterable[Batch]) -> None:
    """Replace the moving mean and variance of every batch normalization by those of some batches.

    Weights stay. Pruning shifts what every later layer gets; fine-tuning follows with moving
    averages, and without it this alone brings much back (Li, Wu, Su & Wang 2020, "EagleEye: Fast
    Sub-net Evaluation for Efficient Neural Network Pruning"). The result is the plain mean over the
    batches.

    Args:
        network: a Keras network; its statistics are changed.
        batches: of training clips.
    """
    layers = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in layers]
    try:
        for seen, (inputs, _) in enumerate(batches):
            for layer in layers:
                layer.momentum = seen / (seen + 1)
            network(shaped(network, inputs), training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
