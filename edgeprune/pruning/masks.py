"""Masks: what is taken out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprune.pruning.channels import ChannelMap

__all__ = ["Mask", "Masks", "channel_masks"]

#: True where a value stays.
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Masks:
    """What stays of a network.

    Attributes:
        variables: path of a weight tensor → bool array of its shape.
        channels: channel number → whether it stays, bool [count]; None when the structure takes
            out no channels, and surgery has nothing to do.
    """

    variables: Mapping[str, Mask]
    channels: Mask | None = None


def channel_masks(channels: ChannelMap, kept: Mask) -> Masks:
    """The masks under which a network computes what it will compute without the channels.

    A channel is silent when everything that makes it is zero: filters, biases, and what a
    normalization would add to it.

    Args:
        channels: of the network.
        kept: channel number → whether it stays.
    """
    variables = {}
    for variable in channels.variables.values():
        if variable.silenced is None:
            continue
        line = kept[variable.axes[variable.silenced]]
        along = [1] * len(variable.shape)
        along[variable.silenced] = len(line)
        variables[variable.path] = np.broadcast_to(line.reshape(along), variable.shape).copy()
    return Masks(variables=variables, channels=kept)
