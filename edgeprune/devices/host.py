"""This machine as a device: the program's own C, compiled for the host. Wall time only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprune.closing import Closing
from edgeprune.devices.base import (
    Cost,
    DeviceInfo,
    Features,
    Pcm,
    Result,
    Scores,
    check_identity,
    checked_clip,
    checked_features,
)
from edgeprune.errors import DeviceError, IdentityError
from edgeprune.recipe import Frontend

__all__ = ["HostDevice", "HostFrontend", "HostManifest", "HostRunner", "HostSession"]


class HostManifest(Protocol):
    """What a host program says about itself."""

    @property
    def identity(self) -> str: ...

    @property
    def frontend_identity(self) -> str | None: ...

    @property
    def labels(self) -> tuple[str, ...]: ...


class HostRunner(Protocol):
    """A program compiled for this machine; :class:`edgeprune.codegen.HostProgram` is one."""

    @property
    def manifest(self) -> HostManifest: ...

    def infer_pcm(self, clips: Pcm, /) -> Scores:
        """Scores int8 [clips, labels] of clips int16 [clips, samples]."""


class HostFrontend(Protocol):
    """A front-end on this machine; :class:`edgeprune.frontend.FrontendLibrary` is one."""

    @property
    def frontend(self) -> Frontend: ...

    @property
    def identity(self) -> str: ...

    def features(self, clips: Pcm, /) -> NDArray[np.int16]:
        """Features int16 [clips, frames, features] of clips int16 [clips, samples]."""


@dataclass(frozen=True)
class HostDevice:
    """A program on this machine.

    Attributes:
        name: how reports and errors call it.
        program: the compiled program, its front-end included.
        frontend: the front-end that it was built with, by itself.
    """

    name: str
    program: HostRunner
    frontend: HostFrontend

    def open(self) -> HostSession:
        """Check that program and front-end belong together.

        Raises:
            IdentityError: they don't.
        """
        return HostSession(self)


class HostSession(Closing):
    """An open host program."""

    def __init__(self, device: HostDevice) -> None:
        """See :meth:`HostDevice.open`."""
        from edgeprune.frontend import fraction_bits

        self._device = device
        manifest, frontend = device.program.manifest, device.frontend.frontend
        self._info = DeviceInfo(
            device=device.name,
            core="host",
            clip_samples=frontend.clip_samples,
            frames=frontend.frames,
            features=frontend.features,
            fraction_bits=fraction_bits(frontend),
            labels=manifest.labels,
            frontend_identity=device.frontend.identity,
            model_identity=manifest.identity,
        )
        if manifest.frontend_identity != self._info.frontend_identity:
            raise IdentityError(
                f"the program has front-end {manifest.frontend_identity or '(none)'}, the recipe "
                f"has front-end {self._info.frontend_identity}",
                where=device.name,
                hint="build the program again from this recipe",
            )

    def info(self) -> DeviceInfo:
        """What runs here."""
        return self._info

    def infer_pcm(self, clip: Pcm, *, measure: bool = False, identity: str | None = None) -> Result:
        """See :meth:`edgeprune.devices.base.Session.infer_pcm`; the cost has wall time only."""
        check_identity(identity, self._info.frontend_identity, where=self._device.name)
        samples = checked_clip(clip, self._info.clip_samples, where=self._device.name)
        started = time.perf_counter()
        scores = self._device.program.infer_pcm(samples[np.newaxis])[0]
        cost = Cost(wall_s=time.perf_counter() - started) if measure else None
        return Result(scores, cost)

    def infer_clips(self, clips: Pcm) -> Scores:
        """See :meth:`edgeprune.devices.base.BatchSession.infer_clips`."""
        if clips.dtype != np.int16 or clips.shape[1:] != (self._info.clip_samples,):
            raise DeviceError(
                f"clips are int16 [clips, {self._info.clip_samples}]; these are {clips.dtype} "
                f"{list(clips.shape)}",
                where=self._device.name,
            )
        return self._device.program.infer_pcm(np.ascontiguousarray(clips))

    def infer_features(self, features: Features, identity: str, *, measure: bool = False) -> Result:
        """Refuse: the host program takes PCM only.

        Raises:
            IdentityError: the features are of another front-end.
            DeviceError: always otherwise.
        """
        shape = (self._info.frames, self._info.features)
        checked_features(features, shape, where=self._device.name)
        check_identity(identity, self._info.frontend_identity, where=self._device.name)
        raise DeviceError(
            "the host build takes PCM, not features",
            where=self._device.name,
            hint="give it the clip; it computes the same features",
        )

    def frontend_pcm(self, clip: Pcm) -> Features:
        """See :meth:`edgeprune.devices.base.Session.frontend_pcm`."""
        samples = checked_clip(clip, self._info.clip_samples, where=self._device.name)
        features: Features = self._device.frontend.features(samples[np.newaxis])[0]
        return features

    def close(self) -> None:
        """Do nothing: the library stays loaded."""
