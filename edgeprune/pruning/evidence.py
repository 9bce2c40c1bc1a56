"""Evidence for criteria: weights, and gradients on batches of training clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.models.backend import tf
from edgeprune.models.batches import Batch
from edgeprune.models.trainer import shaped
from edgeprune.pruning.channels import Kernel
from edgeprune.pruning.criteria import Criterion, Evidence

__all__ = ["gather", "gradients", "moving_paths"]

Gradients = Mapping[str, NDArray[np.float32]]


def gather(
    network: Any,
    kernels: Sequence[Kernel],
    criterion: Criterion,
    *,
    by_channel: bool,
    batches: Iterable[Batch],
    movement: Gradients,
) -> list[Evidence]:
    """What a criterion asks for, of every kernel.

    Args:
        network: a Keras network that gives logits.
        kernels: of the network.
        criterion: what asks.
        by_channel: whether whole channels are scored.
        batches: of training clips; read only for gradients.
        movement: path → movement so far, of :func:`moving_paths`; empty when it is not tracked.
    """
    values: dict[str, NDArray[np.float32]] = {
        weight.path: weight.numpy() for weight in network.weights
    }
    slopes: Gradients = {}
    if criterion.needs_gradients:
        paths = {kernel.path for kernel in kernels}
        paths.update(moving_paths(kernels, by_channel=by_channel))
        slopes = gradients(network, sorted(paths), batches)
    return [
        Evidence(
            layer=kernel.layer,
            weights=values[kernel.path],
            gradients=slopes.get(kernel.path),
            gates=_slopes_at_gates(kernel, values, slopes) if by_channel and slopes else None,
            movement=_movement(kernel, movement, by_channel=by_channel) if movement else None,
            scale=values[kernel.scale] if kernel.scale else None,
        )
        for kernel in kernels
    ]


def moving_paths(kernels: Sequence[Kernel], *, by_channel: bool) -> list[str]:
    """The variables that say how kernels, or their output channels, matter and move."""
    if by_channel:
        return sorted({path for kernel in kernels for path in kernel.gates})
    return [kernel.path for kernel in kernels]


def gradients(network: Any, paths: Iterable[str], batches: Iterable[Batch]) -> Gradients:
    """Gradients of the cross-entropy, batch by batch.

    The network runs as in deployment: dropout off, and normalization by the moving statistics;
    under a batch's own statistics the kernel before it could be scaled freely, and a filter's
    w ∂L/∂w would add up to zero.

    Args:
        network: a Keras network that gives logits; it is not changed.
        paths: of its variables.
        batches: inputs and targets.

    Returns:
        Path → float32 [batches, …] of the variable's shape.
    """
    variables = {weight.path: weight for weight in network.weights}
    wanted = {path: variables[path] for path in paths}
    found: dict[str, list[NDArray[np.float32]]] = {path: [] for path in wanted}
    for inputs, targets in batches:
        with tf.GradientTape() as tape:
            logits = network(shaped(network, inputs), training=False)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        slopes = tape.gradient(loss, list(wanted.values()))
        for path, slope in zip(wanted, slopes, strict=True):
            found[path].append(slope.numpy())
    return {path: np.stack(each) for path, each in found.items()}


def _slopes_at_gates(
    kernel: Kernel, values: Mapping[str, NDArray[np.float32]], slopes: Gradients
) -> NDArray[np.float32]:
    """∂L/∂z of a factor z = 1 on each channel: Σ v ∂L/∂v over all that scales with it."""
    total = np.zeros((len(slopes[kernel.path]), kernel.shape[-1]), np.float32)
    for path in kernel.gates:
        products = values[path] * slopes[path]
        total += products.reshape(len(products), -1, kernel.shape[-1]).sum(axis=1)
    return total


def _movement(kernel: Kernel, movement: Gradients, *, by_channel: bool) -> NDArray[np.float32]:
    """Of a kernel; of channels at their gates, [1, channels].

    A filter before a batch normalization does not move as a whole: the loss does not depend on its
    scale, so its w ∂L/∂w add up to zero in training.
    """
    if not by_channel:
        return movement[kernel.path]
    parts = [movement[path].reshape(-1, kernel.shape[-1]).sum(axis=0) for path in kernel.gates]
    total: NDArray[np.float32] = np.sum(parts, axis=0, keepdims=True)
    return total
