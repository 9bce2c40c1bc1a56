"""Running a model: all test clips on this machine, a sample on the device, and both compared."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprune.codegen import HostProgram
from edgeprune.datasets.dataset import Split
from edgeprune.devices import HostDevice, ImageDevice, Result, run_clips
from edgeprune.evaluation.measurement import (
    Accuracy,
    Agreement,
    Footprint,
    Latency,
    OperatingPoint,
    confusion_matrix,
)
from edgeprune.firmware import Sizes
from edgeprune.progress import Progress
from edgeprune.recipe import Evaluation

__all__ = ["Host", "OnDevice", "OnHost", "measure_device", "measure_host", "measure_levels"]

#: Clips that the wall time on the host is the median of.
_TIMED_CLIPS = 51


@dataclass(frozen=True)
class Host:
    """The same program on this machine: what a device is compared with.

    Attributes:
        device: for scores and features.
        program: for the outputs of every layer.
    """

    device: HostDevice
    program: HostProgram


@dataclass(frozen=True)
class OnHost:
    """All test clips on this machine.

    Attributes:
        accuracy: int8.
        confusion: clips by true label and highest score.
        wall_ms: median wall time of a clip, from PCM.
    """

    accuracy: Accuracy
    confusion: tuple[tuple[int, ...], ...]
    wall_ms: float

    def footprint(self, model_bytes: int) -> Footprint:
        """The host has no image whose sections would mean anything."""
        return Footprint(model_bytes=model_bytes)


@dataclass(frozen=True)
class OnDevice:
    """A sample of the test clips on the device.

    Attributes:
        accuracy: int8, of the sample.
        latency: the largest counts of the clips that were counted.
        agreement: with the host, bit for bit.
        sizes: of the image.
        stack_bytes: the deepest stack of the clips that were counted.
    """

    accuracy: Accuracy
    latency: Latency
    agreement: Agreement
    sizes: Sizes
    stack_bytes: int

    def footprint(self, model_bytes: int) -> Footprint:
        """Bytes of the image and of its run."""
        return Footprint(
            model_bytes=model_bytes,
            flash_bytes=self.sizes.flash,
            ram_bytes=self.sizes.ram,
            stack_bytes=self.stack_bytes,
        )


def measure_host(host: Host, test: Split, progress: Progress) -> OnHost:
    """Run every test clip through the host build of the program, from PCM."""
    results = run_clips(
        host.device,
        test.pcm,
        workers=1,
        progress=progress,
        description="run the test clips on the host",
    )
    scores = np.stack([result.scores for result in results])
    with host.device.open() as session:
        costs = [session.infer_pcm(clip, measure=True).cost for clip in test.pcm[:_TIMED_CLIPS]]
    rows = confusion_matrix(scores, test.labels, scores.shape[1])
    return OnHost(
        accuracy=Accuracy.from_scores(scores, test.labels),
        confusion=tuple(tuple(row) for row in rows),
        wall_ms=1000 * statistics.median(cost.wall_s for cost in costs if cost and cost.wall_s),
    )


def measure_device(
    device: ImageDevice,
    sizes: Sizes,
    host: Host,
    test: Split,
    *,
    evaluation: Evaluation,
    clock_mhz: float,
    seed: int,
    progress: Progress,
) -> OnDevice:
    """Run a sample of the test clips through the image, from PCM, and compare with the host.

    Args:
        device: with the image on it.
        sizes: of the image.
        host: the same program here.
        test: where the sample is drawn from.
        evaluation: how many clips are run, and of how many the instructions are counted.
        clock_mhz: that milliseconds are computed for.
        seed: of the draw.
        progress: where to report.

    Raises:
        DeviceFault: the image crashed.
        DeviceTimeout: it did not answer in time.
        IdentityError: the image has another front-end than the host.
    """
    chosen = _sample(test.labels, evaluation.device_clips, seed)
    clips = np.ascontiguousarray(test.pcm[chosen])
    results = run_clips(
        device,
        clips,
        measured=min(evaluation.counted_clips, len(clips)),
        identity=host.device.frontend.identity,
        progress=progress,
        description=f"run clips on {device.name}{_at(device.level)}",
    )
    scores = np.stack([result.scores for result in results])
    names = [test.names[index] for index in chosen]
    return OnDevice(
        accuracy=Accuracy.from_scores(scores, test.labels[chosen]),
        latency=_latency(results, clock_mhz),
        agreement=_agreement(device, host, clips, scores, names),
        sizes=sizes,
        stack_bytes=max(result.cost.stack_bytes or 0 for result in results if result.cost),
    )


def _at(level: int) -> str:
    return f" at level {level}" if level else ""


def measure_levels(
    host: Host,
    test: Split,
    on_host: OnHost,
    on_device: OnDevice | None,
    run_device: Callable[[int], OnDevice] | None,
) -> tuple[OperatingPoint, ...]:
    """Measure every level of a network with levels.

    Args:
        host: the program on this machine.
        test: the clips.
        on_host: what was measured at level 0.
        on_device: the same; None where the device is this machine.
        run_device: measures another level on the device, if there is one.

    Returns:
        The full network first; nothing for a program without levels.
    """
    points = []
    for level, made in enumerate(host.program.manifest.levels):
        accuracy = on_host.accuracy
        there = on_device
        if level:
            scores = host.program.infer_pcm(test.pcm, level)
            accuracy = Accuracy.from_scores(scores, test.labels)
            there = run_device(level) if run_device else None
        points.append(
            OperatingPoint(
                level=level,
                macs=made.macs,
                accuracy=accuracy,
                device_accuracy=there.accuracy if there else None,
                latency=there.latency if there else None,
                agreement=there.agreement if there else None,
            )
        )
    return tuple(points)


def _sample(labels: NDArray[np.int16], count: int, seed: int) -> NDArray[np.intp]:
    """Clips of every label alike, as far as there are any; drawn by seed, ascending."""
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.intp)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    by_rank = order[np.argsort(rank[order], kind="stable")]
    return np.sort(by_rank[:count])


def _latency(results: Sequence[Result], clock_mhz: float) -> Latency:
    costs = [result.cost for result in results if result.cost]
    frames = [cost.frontend_frame for cost in costs if cost.frontend_frame]
    inferences = [cost.inference for cost in costs if cost.inference]
    cycles = max(each.cycles_estimate for each in frames) + max(
        each.cycles_estimate for each in inferences
    )
    return Latency(
        frame_instructions=max(each.instructions for each in frames),
        inference_instructions=max(each.instructions for each in inferences),
        cycles_estimate=cycles,
        ms_estimate=cycles / (1000 * clock_mhz),
        clock_mhz=clock_mhz,
    )


def _agreement(
    device: ImageDevice,
    host: Host,
    clips: NDArray[np.int16],
    scores: NDArray[np.int8],
    names: Sequence[str],
) -> Agreement:
    computed = host.program.infer_pcm(clips, device.level)
    differing = np.flatnonzero((computed != scores).any(axis=1))
    if not len(differing):
        return Agreement(clips=len(clips), identical=True)
    first = int(differing[0])
    place = _first_difference(device, host, clips[first])
    return Agreement(
        clips=len(clips),
        identical=False,
        first_difference=f"{len(differing)} of {len(clips)} clips, first {names[first]}: {place}",
    )


def _first_difference(device: ImageDevice, host: Host, clip: NDArray[np.int16]) -> str:
    """Where host and device part: in the front-end, or in a layer."""
    with device.open() as there, host.device.open() as here:
        if not np.array_equal(there.frontend_pcm(clip), here.frontend_pcm(clip)):
            return "the front-end"
        traced = there.trace(clip)
    layers = device.manifest.layers_of(device.level)
    computed = host.program.trace(host.program.quantize_pcm(clip[np.newaxis])[0], device.level)
    for layer, on_device, on_host in zip(layers, traced, computed, strict=True):
        if on_device != on_host.tobytes():
            return f"layer {layer.index}, {layer.op}, {layer.name}"
    return "after the last layer"
