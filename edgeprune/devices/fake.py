"""A device for tests of code that uses devices: answers what it is told to, and records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprune.closing import Closing
from edgeprune.devices.base import (
    Cost,
    DeviceInfo,
    Features,
    Pcm,
    Result,
    Work,
    check_identity,
    checked_clip,
    checked_features,
)
from edgeprune.errors import DeviceError, EdgepruneError

__all__ = ["Call", "FakeDevice", "FakeSession"]

_INFO = DeviceInfo(
    device="fake",
    core="cortex-m4",
    clip_samples=16000,
    frames=49,
    features=40,
    fraction_bits=8,
    labels=("_silence_", "_unknown_", "yes", "no"),
    frontend_identity="0" * 16,
    model_identity="1" * 16,
)
_COST = Cost(
    frontend_frame=Work(50_000, 60_000), inference=Work(1_000_000, 1_200_000), stack_bytes=512
)


@dataclass(frozen=True)
class Call:
    """A request that the fake received, with a copy of the samples or features."""

    kind: Literal["open", "infer_pcm", "infer_features", "frontend_pcm", "close"]
    data: NDArray[np.int16] | None = None
    measure: bool = False


def _first_label(clip: NDArray[np.int16]) -> list[int]:
    return [127, *[-128] * (len(_INFO.labels) - 1)]


@dataclass
class FakeDevice:
    """A device without a program.

    Attributes:
        reported: what :meth:`FakeSession.info` tells, and what shapes are checked against.
        scores: from a clip or features to one score a label.
        cost: what a measured clip is said to cost.
        failures: number of an inference, from 0, to the error that it raises.
        calls: what was asked, in order.
    """

    reported: DeviceInfo = _INFO
    scores: Callable[[NDArray[np.int16]], Any] = _first_label
    cost: Cost | None = _COST
    failures: dict[int, EdgepruneError] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.reported.device

    @property
    def inferences(self) -> list[Call]:
        """The calls that asked for scores."""
        return [call for call in self.calls if call.kind.startswith("infer")]

    def open(self) -> FakeSession:
        """Record, and open."""
        self.calls.append(Call("open"))
        return FakeSession(self)


class FakeSession(Closing):
    """An open fake; it refuses the same shapes and identities as a real one."""

    def __init__(self, device: FakeDevice) -> None:
        """Answer as ``device`` says."""
        self._device = device
        self._open = True

    def info(self) -> DeviceInfo:
        """What the fake was told to report."""
        return self._device.reported

    def infer_pcm(self, clip: Pcm, *, measure: bool = False, identity: str | None = None) -> Result:
        """Record the clip and answer."""
        info = self._device.reported
        check_identity(identity, info.frontend_identity, where=info.device)
        samples = self._clip(clip)
        return self._answer(Call("infer_pcm", samples, measure), samples)

    def infer_features(self, features: Features, identity: str, *, measure: bool = False) -> Result:
        """Record the features and answer."""
        self._require_open()
        info = self._device.reported
        rows = checked_features(features, (info.frames, info.features), where=info.device).copy()
        check_identity(identity, info.frontend_identity, where=info.device)
        return self._answer(Call("infer_features", rows, measure), rows)

    def frontend_pcm(self, clip: Pcm) -> Features:
        """Record the clip and answer silence: features that are all zero."""
        self._device.calls.append(Call("frontend_pcm", self._clip(clip)))
        info = self._device.reported
        return np.zeros((info.frames, info.features), np.int16)

    def close(self) -> None:
        """Record the first closing."""
        if self._open:
            self._device.calls.append(Call("close"))
        self._open = False

    def _require_open(self) -> None:
        if not self._open:
            raise DeviceError("the session is closed", where=self._device.name)

    def _clip(self, clip: Pcm) -> Pcm:
        self._require_open()
        info = self._device.reported
        return checked_clip(clip, info.clip_samples, where=info.device).copy()

    def _answer(self, call: Call, data: NDArray[np.int16]) -> Result:
        device = self._device
        number = len(device.inferences)
        device.calls.append(call)
        if number in device.failures:
            raise device.failures[number]
        scores = np.asarray(device.scores(data), np.int8)
        if scores.shape != (len(device.reported.labels),):
            raise ValueError(f"scores gave the shape {scores.shape}, not one score a label")
        return Result(scores, device.cost if call.measure else None)
