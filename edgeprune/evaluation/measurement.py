"""What is measured, as typed records: the part of ``report.json`` that every report reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from edgeprune.devices.agent_answers import Arithmetic, Conditions, Machine, Percentiles

__all__ = [
    "Accuracy",
    "Agreement",
    "Comparison",
    "Complexity",
    "Footprint",
    "Latency",
    "LinuxRun",
    "Measurement",
    "OperatingPoint",
    "Record",
    "RuntimeChoice",
    "confusion_matrix",
]

#: ``model`` is a network that came as a file.
Variant = Literal["dense", "pruned", "model"]


class Record(BaseModel):
    """A frozen record of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Accuracy(Record):
    """Share of clips whose highest score is their label's."""

    correct: int = Field(ge=0)
    clips: int = Field(gt=0)
    low: float = Field(description="lower end of the 95 % Wilson interval")
    high: float = Field(description="upper end of the 95 % Wilson interval")

    @property
    def fraction(self) -> float:
        return self.correct / self.clips

    @classmethod
    def of(cls, correct: int, clips: int) -> Accuracy:
        """Count to accuracy, with the score interval of Wilson (1927) at 95 %.

        Args:
            correct: clips that were right.
            clips: clips that were run; at least 1.
        """
        z = 1.959964
        share = correct / clips
        middle = (share + z * z / (2 * clips)) / (1 + z * z / clips)
        half = (
            z
            * math.sqrt(share * (1 - share) / clips + z * z / (4 * clips * clips))
            / (1 + z * z / clips)
        )
        # The exact ends are 0 and 1; rounding must not put the share outside.
        low = 0.0 if correct == 0 else middle - half
        high = 1.0 if correct == clips else middle + half
        return cls(correct=correct, clips=clips, low=low, high=high)

    @classmethod
    def from_scores(cls, scores: NDArray[np.int8], labels: NDArray[np.int16]) -> Accuracy:
        """Accuracy of int8 scores of shape [clips, labels] against labels of shape [clips]."""
        return cls.of(int(np.sum(np.argmax(scores, axis=1) == labels)), len(labels))


class Latency(Record):
    """From a clip's last sample to its scores: one front-end frame and one inference.

    Instructions are counted; cycles are estimated from them, and milliseconds from the cycles.
    """

    frame_instructions: int = Field(description="front-end and input quantization of one frame")
    inference_instructions: int = Field(description="the network, once")
    cycles_estimate: int = Field(description="estimated from instruction classes; not measured")
    ms_estimate: float = Field(description="cycles_estimate at the target's clock")
    clock_mhz: float

    @property
    def instructions(self) -> int:
        return self.frame_instructions + self.inference_instructions


class Footprint(Record):
    """Bytes, read from the linked image and from a run of it."""

    model_bytes: int = Field(description="the .tflite file")
    flash_bytes: int | None = Field(default=None, description="code, constants, initial data")
    ram_bytes: int | None = Field(default=None, description="static data, stack not included")
    stack_bytes: int | None = Field(default=None, description="deepest stack of the run")


class Agreement(Record):
    """Whether the device and the host gave the same bits."""

    clips: int
    identical: bool
    first_difference: str | None = Field(
        default=None, description="the first clip and layer that differ"
    )


class Complexity(Record):
    """The network, counted."""

    macs: int = Field(description="multiply-accumulates of one inference")
    weights: int = Field(description="int8 weights of its layers")
    nonzero: int = Field(description="those that are not zero")


class OperatingPoint(Record):
    """One level of a network with levels, on one target."""

    level: int = Field(ge=0, description="what edgeprune_set_level takes; 0 is the full network")
    macs: int = Field(description="multiply-accumulates of one inference")
    accuracy: Accuracy = Field(description="int8, all test clips, on the host build")
    device_accuracy: Accuracy | None = Field(description="int8, the sample that ran on the device")
    latency: Latency | None = Field(description="absent where the device can't count")
    agreement: Agreement | None = Field(description="absent where the device is the host")


class RuntimeChoice(Record):
    """What ran the network on a device with an operating system."""

    name: str
    version: str
    resolver: str | None = Field(description="which kernels; absent of the compiled model")
    arithmetic: Arithmetic = Field(
        description="which bits come out: equal words, equal bits on every machine, but for "
        "no-delegates, which every architecture computes in its own way"
    )
    threads: int
    reason: str = Field(description="why it was chosen when the bundle was made")
    passed_over: dict[str, str] = Field(
        description="runtimes that the device tried before, and why they did not do"
    )


class Comparison(Record):
    """What this machine's scores were compared with the device's for."""

    kind: Literal["bits", "decisions"] = Field(
        description="bits where this machine has the same kernels; else the highest scores"
    )
    by: str = Field(description="what this machine ran")
    why: str = Field(description="why bits can't be compared; empty when they can")
    clips: int
    same: int = Field(description="clips with equal bits, or with an equal highest score")
    first_difference: str | None = None
    identical: int = Field(description="clips with equal bits")
    largest_difference: int = Field(description="between two scores of the same label")

    @property
    def fraction(self) -> float:
        return self.same / self.clips


class LinuxRun(Record):
    """A run on a device with an operating system, as its agent tells it.

    The latency is measured wall time from a clip's last sample to its scores: one front-end frame
    and one inference. It is not the same in every run.
    """

    host: str = Field(description="user, host and port")
    release: str
    machine: Machine
    runtime: RuntimeChoice
    comparison: Comparison
    warm_up: int = Field(description="clips before those that are timed")
    iterations: int = Field(description="clips that are timed")
    latency_ms: Percentiles
    frame_ms: Percentiles
    inference_ms: Percentiles
    frame_instructions: int | None = Field(
        description="of the whole program in user space, counted by the CPU; median"
    )
    inference_instructions: int | None = Field(description="likewise")
    instructions_reason: str = Field(description="why they were not counted; else empty")
    cpu_share: float = Field(description="CPU time over wall time; 1 is one core")
    peak_rss_bytes: int = Field(description="most memory that the agent had resident")
    bundle_bytes: int = Field(description="the sum of its files")
    before: Conditions = Field(description="before the latency was measured")
    after: Conditions = Field(description="after the last test clip")

    @property
    def instructions(self) -> int | None:
        if self.frame_instructions is None or self.inference_instructions is None:
            return None
        return self.frame_instructions + self.inference_instructions


class Measurement(Record):
    """One model on one target."""

    variant: Variant
    target: str
    device: str
    accuracy: Accuracy | None = Field(
        description="int8, all test clips, on the host build of the program; absent of a model "
        "file, which comes without front-end and clips"
    )
    device_accuracy: Accuracy | None = Field(description="int8, the sample that ran on the device")
    float_accuracy: Accuracy | None = Field(description="the Keras model before quantization")
    latency: Latency | None = Field(description="absent where the device can't count")
    wall_ms: float | None = Field(description="host only: median wall time of a clip, from PCM")
    footprint: Footprint
    agreement: Agreement | None = Field(description="absent where the device is the host")
    complexity: Complexity
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="test clips by true label (row) and by highest score (column)"
    )
    levels: tuple[OperatingPoint, ...] = Field(
        default=(),
        description="every operating point, the full network first; empty without pruning.levels",
    )
    linux: LinuxRun | None = Field(
        default=None,
        description="device = 'ssh' only; there accuracy is that of this machine's kernels that "
        "are most like the device's, and device_accuracy that of all test clips on the device",
    )


def confusion_matrix(
    scores: NDArray[np.int8], labels: NDArray[np.int16], count: int
) -> Sequence[Sequence[int]]:
    """Clips by true label (row) and highest score (column), shape [count, count]."""
    matrix = np.zeros((count, count), dtype=np.int64)
    np.add.at(matrix, (labels.astype(np.intp), np.argmax(scores, axis=1)), 1)
    return [[int(cell) for cell in row] for row in matrix]
