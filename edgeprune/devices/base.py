"""What every device offers, and the records that its answers come in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import DeviceError, IdentityError

__all__ = [
    "BatchSession",
    "Cost",
    "Device",
    "DeviceInfo",
    "Features",
    "Pcm",
    "Result",
    "Scores",
    "Session",
    "Work",
    "check_identity",
    "checked_clip",
    "checked_features",
]

#: int16 samples, shape [samples] or [clips, samples].
Pcm = NDArray[np.int16]
#: int16 front-end features, shape [frames, features].
Features = NDArray[np.int16]
#: int8 scores, shape [labels] or [clips, labels].
Scores = NDArray[np.int8]


@dataclass(frozen=True)
class DeviceInfo:
    """What runs on the device.

    Attributes:
        device: the device's name.
        core: the processor core.
        clip_samples: samples of one clip.
        frames: feature frames of one clip.
        features: features of one frame.
        fraction_bits: of a feature: its value is the integer times 2^-fraction_bits.
        labels: in the order of the scores.
        frontend_identity: 16 hex digits.
        model_identity: 16 hex digits.
    """

    device: str
    core: str
    clip_samples: int
    frames: int
    features: int
    fraction_bits: int
    labels: tuple[str, ...]
    frontend_identity: str
    model_identity: str


@dataclass(frozen=True)
class Work:
    """Instructions, counted exactly, and the cycles that are *estimated* from them."""

    instructions: int
    cycles_estimate: int


@dataclass(frozen=True)
class Cost:
    """What a clip cost; None is what the device can't measure.

    Attributes:
        frontend_frame: the push of samples that completes the last frame, front-end and input
            quantization; None for an inference from features.
        inference: one inference, from the full clip window to the scores.
        stack_bytes: deepest stack of the clip.
        wall_s: wall time of the whole clip in seconds, on a device that is real.
    """

    frontend_frame: Work | None = None
    inference: Work | None = None
    stack_bytes: int | None = None
    wall_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The same as dictionaries."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Result:
    """Scores of one clip, int8 [labels], and what they cost where that was asked for."""

    scores: Scores
    cost: Cost | None = None


class Session(Protocol):
    """An open device. Not for use from several threads at once."""

    def info(self) -> DeviceInfo:
        """What runs on the device."""

    def infer_pcm(self, clip: Pcm, *, measure: bool = False, identity: str | None = None) -> Result:
        """Scores of a clip.

        Args:
            clip: int16 [clip_samples].
            measure: also tell the cost, which may be slower; the scores are the same.
            identity: of the front-end that the clip was cut for; None is not checked.

        Raises:
            IdentityError: the device's front-end is another one.
            DeviceError: the clip has another type or length.
            DeviceFault: the firmware crashed.
            DeviceTimeout: it did not answer in time.
        """

    def infer_features(self, features: Features, identity: str, *, measure: bool = False) -> Result:
        """Scores of a clip's front-end features.

        Args:
            features: int16 [frames, features].
            identity: of the front-end that computed them.
            measure: also tell the cost.

        Raises:
            IdentityError: the device's front-end is another one.
            DeviceError: the features have another type or shape.
        """

    def frontend_pcm(self, clip: Pcm) -> Features:
        """The features that the device computes of a clip: int16 [frames, features]."""

    def close(self) -> None:
        """Let go of the device; closing twice does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class BatchSession(Protocol):
    """A session that is faster with many clips at once."""

    def infer_clips(self, clips: Pcm) -> Scores:
        """Scores int8 [clips, labels] of clips int16 [clips, clip_samples]."""


class Device(Protocol):
    """Where an image or a program runs. Devices are small and can be pickled; sessions can't."""

    @property
    def name(self) -> str:
        """How reports and errors call it."""

    def open(self) -> Session:
        """Start it.

        Raises:
            DeviceError: it can't be started.
            IdentityError: it runs another program than it should.
        """


def check_identity(identity: str | None, own: str, *, where: str) -> None:
    """Refuse what was made for another front-end.

    Args:
        identity: of the front-end that something was made for; None is not checked.
        own: of the device's front-end.
        where: the device's name.

    Raises:
        IdentityError: they differ.
    """
    if identity is not None and identity != own:
        raise IdentityError(
            f"what was sent is for front-end {identity}, the device has front-end {own}",
            where=where,
            hint="prepare clips and features again, or build again, from the same recipe",
        )


def checked_clip(clip: Pcm, samples: int, *, where: str) -> Pcm:
    """The clip as a contiguous array.

    Raises:
        DeviceError: it is not int16 [samples].
    """
    if clip.dtype != np.int16 or clip.shape != (samples,):
        raise DeviceError(
            f"a clip is int16 [{samples}]; this one is {clip.dtype} {list(clip.shape)}",
            where=where,
        )
    return np.ascontiguousarray(clip)


def checked_features(features: Features, shape: tuple[int, int], *, where: str) -> Features:
    """The features as a contiguous array.

    Raises:
        DeviceError: they are not int16 of that shape.
    """
    if features.dtype != np.int16 or features.shape != shape:
        raise DeviceError(
            f"features are int16 {list(shape)}; these are {features.dtype} {list(features.shape)}",
            where=where,
        )
    return np.ascontiguousarray(features)
