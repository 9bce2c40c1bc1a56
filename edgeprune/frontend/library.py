"""The front-end on this machine: a shared library built from the same C, bound by ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import FrontendError
from edgeprune.frontend import generate
from edgeprune.recipe import Frontend
from edgeprune.shared_library import cached_library
from edgeprune.toolchain import Toolchain

__all__ = ["FrontendLibrary", "FrontendStream"]

_HOST_SOURCES = ("host.c", "host.h")


class FrontendLibrary:
    """The front-end of one recipe, compiled for this machine.

    Made by :meth:`build`. Safe to call from several threads at once: the library holds no state,
    and ctypes releases the interpreter lock.

    Attributes:
        frontend: the parameters.
        identity: see :func:`edgeprune.frontend.identity`.
        path: the shared library.
    """

    def __init__(self, frontend: Frontend, path: Path) -> None:
        self.frontend = frontend
        self.identity = generate.identity(frontend)
        self.path = path
        self._library = _load(path, self.identity)

    @classmethod
    def build(cls, frontend: Frontend, toolchain: Toolchain, cache_dir: Path) -> FrontendLibrary:
        """Compile the library, or take it from the cache.

        Args:
            frontend: the parameters.
            toolchain: the compiler, for the core ``host``.
            cache_dir: where libraries are kept, one a content; created when missing. Several
                processes may build into it at once.

        Raises:
            FrontendError: for parameters that no front-end can be built from.
            CompileError: the compiler refused.
            ToolchainError: the compiler does not build for this machine.
        """
        texts = generate.sources(frontend)
        texts.update((name, generate.c_file(name)) for name in _HOST_SOURCES)
        return cached_library(
            "frontend",
            texts,
            [name for name in texts if name.endswith(".c")],
            toolchain,
            cache_dir,
            lambda path: cls(frontend, path),
        )

    @property
    def state_bytes(self) -> int:
        """RAM that one stream needs, in bytes, on this machine; the same on every 32-bit core."""
        return int(self._library.edgeprune_host_state_bytes())

    def features(self, clips: NDArray[np.int16]) -> NDArray[np.int16]:
        """Features of whole clips.

        Args:
            clips: int16 PCM, [clips, samples] with ``frontend.clip_samples`` samples.

        Returns:
            int16, [clips, frames, features]: fixed point with
            :func:`edgeprune.frontend.fraction_bits` fraction bits.

        Raises:
            FrontendError: for another type or shape.
        """
        spec = self.frontend
        _require_pcm(clips)
        if clips.ndim != 2 or clips.shape[1] != spec.clip_samples:
            raise FrontendError(
                f"clips have the shape {list(clips.shape)}; [clips, {spec.clip_samples}] is needed",
                hint=f"pad or cut every clip to clip_ms = {spec.clip_ms}",
            )
        pcm = np.ascontiguousarray(clips)
        out = np.empty((len(pcm), spec.frames, spec.features), dtype=np.int16)
        self._library.edgeprune_host_clips(pcm.ctypes.data, len(pcm), out.ctypes.data)
        return out

    def stream(self) -> FrontendStream:
        """A stream of its own, at its beginning."""
        return FrontendStream(self)


class FrontendStream:
    """PCM in pieces of any length, features a frame at a time; see ``frontend.h``."""

    def __init__(self, library: FrontendLibrary) -> None:
        self._library = library._library
        self._features = library.frontend.features
        self._state = (ctypes.c_uint64 * (-(-library.state_bytes // 8)))()
        self.reset()

    def reset(self) -> None:
        """Begin anew: nothing of what was pushed is kept."""
        self._library.edgeprune_frontend_reset(self._state)

    def push(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Push samples; returns the frames that they complete, int16 [frames, features].

        Raises:
            FrontendError: unless ``pcm`` is a vector of int16.
        """
        _require_pcm(pcm)
        if pcm.ndim != 1:
            raise FrontendError(f"pcm has the shape {list(pcm.shape)}; a vector is needed")
        samples = np.ascontiguousarray(pcm)
        frames: list[NDArray[np.int16]] = []
        frame = np.empty(self._features, dtype=np.int16)
        ready = ctypes.c_bool(False)
        at = 0
        while at < len(samples):
            at += self._library.edgeprune_frontend_push(
                self._state,
                samples.ctypes.data + 2 * at,
                len(samples) - at,
                frame.ctypes.data,
                ctypes.byref(ready),
            )
            if ready.value:
                frames.append(frame.copy())
        return np.array(frames, dtype=np.int16).reshape(-1, self._features)


def _require_pcm(pcm: NDArray[Any]) -> None:
    if not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16:
        found = pcm.dtype if isinstance(pcm, np.ndarray) else type(pcm).__name__
        raise FrontendError(f"PCM is {found}; a NumPy array of int16 is needed")


def _load(path: Path, identity: str) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
        library.edgeprune_host_identity.restype = ctypes.c_char_p
        found = library.edgeprune_host_identity().decode()
    except (OSError, AttributeError) as error:
        raise FrontendError(f"can't be loaded: {error}", where=str(path)) from error
    if found != identity:
        raise FrontendError(
            f"was built for the front-end {found}; {identity} is needed", where=str(path)
        )
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.edgeprune_host_clips.argtypes = [pointer, size, pointer]
    library.edgeprune_host_clips.restype = None
    library.edgeprune_host_state_bytes.argtypes = []
    library.edgeprune_host_state_bytes.restype = size
    library.edgeprune_frontend_reset.argtypes = [pointer]
    library.edgeprune_frontend_reset.restype = None
    library.edgeprune_frontend_push.argtypes = [
        pointer,
        pointer,
        size,
        pointer,
        ctypes.POINTER(ctypes.c_bool),
    ]
    library.edgeprune_frontend_push.restype = size
    return library
