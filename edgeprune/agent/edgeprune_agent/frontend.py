"""PCM to the network's int8 input: the trainer's own C, compiled for this device, by ctypes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import Bundle
from .errors import BundleError, FrontendError
from .library import FOREIGN, bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FrontEnd", "Settings", "Stream"]

_SETTINGS = "frontend.json"
_LIBRARY = "lib/libedgeprune_frontend.so"
_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """What ``frontend.json`` says.

    Attributes:
        identity: of the parameters and tables that the library was made of.
        sample_rate_hz: of the PCM.
        clip_samples: of what the network hears at once.
        window: samples of a frame.
        hop: samples from frame to frame.
        frames: of a clip.
        features: of a frame.
        multipliers: of the input quantization, int32 [features].
        offsets: of the input quantization, int32 [features].
        shift: of the input quantization.
        output_scale: of the scores.
        output_zero_point: of the scores.
    """

    identity: str
    sample_rate_hz: int
    clip_samples: int
    window: int
    hop: int
    frames: int
    features: int
    multipliers: NDArray[np.int32]
    offsets: NDArray[np.int32]
    shift: int
    output_scale: float
    output_zero_point: int

    @classmethod
    def read(cls, bundle: Bundle) -> Settings:
        """Those of a bundle.

        Raises:
            BundleError: they are not complete, or can't be.
        """
        values = bundle.json(_SETTINGS)
        try:
            numbers = {
                name: int(values[name])
                for name in ("sample_rate_hz", "clip_samples", "window", "hop", "frames")
            }
            features = int(values["features"])
            quantization = values["input"]
            output = values.get("output", {})
            settings = cls(
                identity=str(values["identity"]),
                features=features,
                multipliers=_int32(quantization["multipliers"]),
                offsets=_int32(quantization["offsets"]),
                shift=int(quantization["shift"]),
                # The int8 softmax of TFLite has these.
                output_scale=float(output.get("scale", 1 / 256)),
                output_zero_point=int(output.get("zero_point", -128)),
                **numbers,
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise BundleError(f"{bundle.folder / _SETTINGS}: is not complete: {error!r}") from error
        if not settings._possible():
            raise BundleError(f"{bundle.folder / _SETTINGS}: its numbers contradict each other")
        return settings

    @property
    def input_size(self) -> int:
        """Values of the network's input."""
        return self.frames * self.features

    def quantize(self, features: NDArray[np.int16]) -> NDArray[np.int8]:
        """``clamp((feature * multiplier + offset) >> shift)`` to -128 … 127, as quantize.c does it.

        Args:
            features: int16 [..., features].
        """
        values = (features.astype(np.int32) * self.multipliers + self.offsets) >> self.shift
        quantized: NDArray[np.int8] = np.clip(values, -128, 127).astype(np.int8)
        return quantized

    def _possible(self) -> bool:
        if not self.multipliers.shape == self.offsets.shape == (self.features,):
            return False
        multipliers, offsets = (a.astype(np.int64) for a in (self.multipliers, self.offsets))
        largest = np.abs(multipliers) * 2**15 + np.abs(offsets)
        samples = self.window + (self.frames - 1) * self.hop
        return (
            min(self.sample_rate_hz, self.window, self.hop, self.frames, self.features) > 0
            and samples <= self.clip_samples < samples + self.hop
            and 0 <= self.shift < 32
            and bool(largest.max() <= _LARGEST_INT32)
            and self.output_scale > 0
        )


class FrontEnd:
    """The front-end of a bundle.

    Attributes:
        settings: its numbers.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Load it.

        Raises:
            BundleError: the bundle has none.
            FrontendError: the library can't be loaded here, or is of another front-end.
        """
        self.settings = Settings.read(bundle)
        self._library = _load(bundle, self.settings.identity)

    def inputs(self, clips: NDArray[np.int16]) -> NDArray[np.int8]:
        """Clips to the network's inputs.

        Args:
            clips: int16 PCM [clips, clip_samples].

        Returns:
            int8 [clips, frames * features].

        Raises:
            FrontendError: for another type or shape.
        """
        settings = self.settings
        if clips.dtype != np.int16 or clips.ndim != 2 or clips.shape[1] != settings.clip_samples:
            raise FrontendError(
                f"clips are {clips.dtype} {list(clips.shape)}; "
                f"int16 [clips, {settings.clip_samples}] is needed"
            )
        pcm = np.ascontiguousarray(clips)
        out = np.empty((len(pcm), settings.frames, settings.features), dtype=np.int16)
        self._library.edgeprune_host_clips(pcm.ctypes.data, len(pcm), out.ctypes.data)
        return settings.quantize(out).reshape(len(pcm), settings.input_size)

    def stream(self) -> Stream:
        """A stream at its beginning."""
        return Stream(self._library, self.settings)


class Stream:
    """PCM in pieces of any length, frames as they are complete."""

    def __init__(self, library: ctypes.CDLL, settings: Settings) -> None:
        self._library = library
        self._settings = settings
        size = int(library.edgeprune_host_state_bytes())
        self._state = (ctypes.c_uint64 * (-(-size // 8)))()
        self._frame: NDArray[np.int16] = np.empty(settings.features, dtype=np.int16)
        self._library.edgeprune_frontend_reset(self._state)

    def push(self, pcm: NDArray[np.int16]) -> NDArray[np.int8]:
        """Push samples; returns the frames that they complete, int8 [frames, features]."""
        samples = np.ascontiguousarray(pcm, dtype=np.int16)
        frames: list[NDArray[np.int16]] = []
        ready = ctypes.c_bool(False)
        at = 0
        while at < len(samples):
            at += self._library.edgeprune_frontend_push(
                self._state,
                samples.ctypes.data + 2 * at,
                len(samples) - at,
                self._frame.ctypes.data,
                ctypes.byref(ready),
            )
            if ready.value:
                frames.append(self._frame.copy())
        found = np.array(frames, dtype=np.int16).reshape(-1, self._settings.features)
        return self._settings.quantize(found)


def _int32(values: Any) -> NDArray[np.int32]:
    wide = np.array(values, np.int64)
    if (np.abs(wide) > _LARGEST_INT32).any():
        raise ValueError("does not fit 32 bits")
    return wide.astype(np.int32)


def _load(bundle: Bundle, identity: str) -> ctypes.CDLL:
    path = bundle.path(_LIBRARY)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    ready = ctypes.POINTER(ctypes.c_bool)
    functions: dict[str, tuple[list[Any], Any]] = {
        "edgeprune_host_identity": ([], ctypes.c_char_p),
        "edgeprune_host_clips": ([pointer, size, pointer], None),
        "edgeprune_host_state_bytes": ([], size),
        "edgeprune_frontend_reset": ([pointer], None),
        "edgeprune_frontend_push": ([pointer, pointer, size, pointer, ready], size),
    }
    try:
        library = bound(path, functions)
    except (OSError, AttributeError) as error:
        raise FrontendError(f"{path}: can't be loaded: {error}", hint=FOREIGN) from error
    found = library.edgeprune_host_identity().decode(errors="replace")
    if found != identity:
        raise FrontendError(f"{path}: is of the front-end {found}; {identity} is needed")
    return library
