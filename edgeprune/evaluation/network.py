"""A network alone, without front-end and clips: its cost on a device, and its bits against ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.codegen import HostProgram
from edgeprune.codegen.manifest import Endpoint
from edgeprune.devices import ImageDevice
from edgeprune.devices.base import Work
from edgeprune.evaluation.measurement import Agreement

__all__ = ["OnDevice", "compare_network", "random_inputs"]

#: Steps that are run on the device; a network with variables keeps them from step to step.
_STEPS = 16


@dataclass(frozen=True)
class OnDevice:
    """A run of a network on a device.

    Attributes:
        work: of the first inference, on the image's fixed input.
        stack_bytes: its deepest stack.
        agreement: with this machine, bit for bit, over random inputs.
    """

    work: Work
    stack_bytes: int
    agreement: Agreement


def random_inputs(end: Endpoint, count: int, seed: int = 0) -> NDArray[Any]:
    """``count`` inputs of uniformly drawn values, in the input's type and shape."""
    dtype = np.dtype(end.dtype)
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(info.min, info.max, (count, *end.shape), dtype=dtype, endpoint=True)


def compare_network(device: ImageDevice, host: HostProgram) -> OnDevice:
    """Count an inference, then run a sequence of random inputs on both.

    Args:
        device: with an image of the network alone on it.
        host: the same network on this machine.

    Raises:
        DeviceFault: the image crashed.
        DeviceTimeout: it did not answer in time.
    """
    inputs = random_inputs(host.manifest.input, _STEPS)
    expected = host.sequence(inputs)
    with device.open_network() as session:
        profile = session.profile()
        session.reset()
        outputs = np.stack([session.invoke(each) for each in inputs])
        differing = np.flatnonzero((outputs.view(np.int8) != expected.view(np.int8)).any(axis=1))
        place = None
        if len(differing):
            first = int(differing[0])
            session.reset()
            for each in inputs[:first]:
                session.invoke(each)
            traced = session.trace(inputs[first])
            computed = host.trace_sequence(inputs[: first + 1])[first]
            place = _first_difference(device, traced, host, computed)
            place = f"{len(differing)} of {_STEPS} inputs, first number {first}: {place}"
    return OnDevice(
        work=profile.inference.work,
        stack_bytes=profile.stack_bytes,
        agreement=Agreement(clips=_STEPS, identical=place is None, first_difference=place),
    )


def _first_difference(
    device: ImageDevice, traced: list[bytes], host: HostProgram, computed: list[NDArray[np.int8]]
) -> str:
    """The first tensor that both programs write and that differs."""
    on_host = {
        layer.tensor: values.tobytes()
        for layer, values in zip(host.manifest.layers, computed, strict=True)
    }
    for layer, values in zip(device.manifest.layers, traced, strict=True):
        if on_host.get(layer.tensor, values) != values:
            return f"layer {layer.index}, {layer.op}, {layer.name}"
    return "after the last layer"
