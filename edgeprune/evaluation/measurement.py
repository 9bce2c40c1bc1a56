"""What is measured, as typed records: the part of ``report.json`` that every report reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Accuracy",
    "Agreement",
    "Complexity",
    "Footprint",
    "Latency",
    "Measurement",
    "OperatingPoint",
    "Record",
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


def confusion_matrix(
    scores: NDArray[np.int8], labels: NDArray[np.int16], count: int
) -> Sequence[Sequence[int]]:
    """Clips by true label (row) and highest score (column), shape [count, count]."""
    matrix = np.zeros((count, count), dtype=np.int64)
    np.add.at(matrix, (labels.astype(np.intp), np.argmax(scores, axis=1)), 1)
    return [[int(cell) for cell in row] for row in matrix]
