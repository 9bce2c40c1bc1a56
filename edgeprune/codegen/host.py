"""A generated program on this machine: compiled to a shared library, bound by ctypes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.codegen.manifest import Manifest
from edgeprune.codegen.program import Program, runtime_file
from edgeprune.errors import ModelError, ToolchainError
from edgeprune.shared_library import cached_library
from edgeprune.toolchain import Toolchain

__all__ = ["HostProgram", "library_sources"]

#: Inferences that one thread takes on at a time.
_CHUNK = 32


class HostProgram:
    """A program that runs on this machine, with the bits that every core gives.

    Made by :meth:`build`. Safe to call from several threads: all state is made anew for each call,
    and ctypes releases the interpreter lock.

    Attributes:
        manifest: of the program.
        path: the shared library.
        takes_pcm: whether the front-end is in it.
    """

    def __init__(self, manifest: Manifest, path: Path, *, takes_pcm: bool) -> None:
        self.manifest = manifest
        self.path = path
        self.takes_pcm = takes_pcm
        self._library = _load(path, takes_pcm=takes_pcm)

    @classmethod
    def build(
        cls,
        program: Program,
        toolchain: Toolchain,
        cache_dir: Path,
        frontend_sources: Mapping[str, str] | None = None,
    ) -> HostProgram:
        """Compile the program, or take it from the cache.

        Args:
            program: what to compile.
            toolchain: the compiler, for the core ``host``.
            cache_dir: where libraries are kept, one a content; created when missing. Several
                processes may build into it at once.
            frontend_sources: file name to text of the front-end and of its input quantization,
                as they lie in a program folder; makes :meth:`infer_pcm` work.

        Raises:
            CompileError: the compiler refused.
            ToolchainError: the compiler does not build for this machine.
            ModelError: a front-end file has the name of a program's file.
        """
        texts, units = library_sources(program, frontend_sources)
        takes_pcm = frontend_sources is not None
        return cached_library(
            "program",
            texts,
            units,
            toolchain,
            cache_dir,
            lambda path: cls(program.manifest, path, takes_pcm=takes_pcm),
        )

    def invoke(self, inputs: NDArray[Any], level: int = 0) -> NDArray[Any]:
        """Outputs of many inferences, each after a reset, computed on all processors.

        Args:
            inputs: ``[n, …]`` of the input's type, n inputs of ``manifest.input.elements`` values.
            level: the operating point; 0 is the full network.

        Returns:
            ``[n, manifest.output.elements]`` of the output's type.

        Raises:
            ModelError: for another type or size, or where there is no such level.
        """
        self.manifest.layers_of(level)
        rows, outputs = self._inputs(inputs), self._outputs(len(inputs))
        _in_parts(lambda part: self._run(rows[part], outputs[part], level=level), len(rows))
        return outputs

    def sequence(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Outputs of inferences one after the other, variables kept between them.

        Args:
            inputs: as :meth:`invoke` takes them; the first comes after a reset.

        Returns:
            As :meth:`invoke` does.

        Raises:
            ModelError: for another type or size.
        """
        rows, outputs = self._inputs(inputs), self._outputs(len(inputs))
        self._run(rows, outputs, sequence=True)
        return outputs

    def trace(self, inputs: NDArray[Any], level: int = 0) -> list[NDArray[np.int8]]:
        """The output of every layer of one inference after a reset.

        Args:
            inputs: one input of ``manifest.input.elements`` values, of any shape.
            level: the operating point; 0 is the full network.

        Returns:
            One array a layer of the level, in the shape of its tensor; int8 bytes where the
            tensor is of another type.

        Raises:
            ModelError: for another type or size, or where there is no such level.
        """
        return self.trace_sequence(inputs[np.newaxis], level)[0]

    def trace_sequence(self, inputs: NDArray[Any], level: int = 0) -> list[list[NDArray[np.int8]]]:
        """What :meth:`trace` returns, for every step of a :meth:`sequence`."""
        rows = self._inputs(inputs)
        layers = self.manifest.layers_of(level)
        sizes = [layer.output.size for layer in layers]
        traced = np.empty((len(rows), sum(sizes)), dtype=np.int8)
        self._run(rows, self._outputs(len(rows)), traced, sequence=True, level=level)
        return [
            [
                part.reshape(layer.output.shape) if layer.output.elements == part.size else part
                for part, layer in zip(np.split(step, np.cumsum(sizes)[:-1]), layers, strict=False)
            ]
            for step in traced
        ]

    def quantize_pcm(self, clips: NDArray[np.int16]) -> NDArray[np.int8]:
        """Clips through the front-end and the input quantization.

        Args:
            clips: int16 PCM ``[n, samples]``, as many samples as the front-end's clips have.

        Returns:
            int8 ``[n, manifest.input.size]``.

        Raises:
            ModelError: for another type or size, or without a front-end.
        """
        if not self.takes_pcm:
            raise ModelError(
                "the program was built without its front-end, so it takes no PCM",
                hint="give frontend_sources to HostProgram.build",
            )
        samples = self._library.edgeprune_host_clip_samples()
        rows = self._rows(clips, samples, np.dtype(np.int16), "clips")
        inputs = np.empty((len(rows), self.manifest.input.size), dtype=np.int8)

        def run(part: slice) -> None:
            state = ctypes.create_string_buffer(self._library.edgeprune_host_frontend_size())
            data, results = rows[part], inputs[part]
            self._library.edgeprune_host_quantize_clips(
                state, data.ctypes.data, len(data), results.ctypes.data
            )

        _in_parts(run, len(rows))
        return inputs

    def infer_pcm(self, clips: NDArray[np.int16], level: int = 0) -> NDArray[np.int8]:
        """Scores of clips, from PCM: :meth:`quantize_pcm`, then :meth:`invoke`."""
        return self.invoke(self.quantize_pcm(clips), level)

    def _run(
        self,
        inputs: NDArray[Any],
        outputs: NDArray[Any],
        traced: NDArray[np.int8] | None = None,
        *,
        sequence: bool = False,
        level: int = 0,
    ) -> None:
        state = ctypes.create_string_buffer(self._library.edgeprune_host_state_size())
        trace = None if traced is None else traced.ctypes.data
        self._library.edgeprune_host_invoke(
            state, inputs.ctypes.data, len(inputs), sequence, level, outputs.ctypes.data, trace
        )

    def _inputs(self, inputs: NDArray[Any]) -> NDArray[Any]:
        end = self.manifest.input
        return self._rows(inputs, end.elements, np.dtype(end.dtype), "inputs")

    def _outputs(self, count: int) -> NDArray[Any]:
        end = self.manifest.output
        return np.empty((count, end.elements), dtype=end.dtype)

    def _rows(
        self, values: NDArray[Any], size: int, dtype: np.dtype[Any], what: str
    ) -> NDArray[Any]:
        if values.dtype != dtype:
            raise ModelError(f"{what} are {values.dtype}; {dtype} is needed")
        if values.ndim == 0 or values[:1].size != size * len(values[:1]):
            raise ModelError(
                f"{what} have the shape {list(values.shape)}; [n, {size}] is needed",
                where=f"program {self.manifest.identity}",
            )
        return np.ascontiguousarray(values.reshape(len(values), size))


def _in_parts(run: Callable[[slice], None], count: int) -> None:
    parts = [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]
    workers = min(len(parts), os.cpu_count() or 1)
    if workers <= 1:
        for part in parts:
            run(part)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, parts))


def library_sources(
    program: Program, frontend_sources: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """What a program's shared library is compiled from.

    Args:
        program: what to compile.
        frontend_sources: see :meth:`HostProgram.build`.

    Returns:
        File name to text, and the names of those that are compiled.

    Raises:
        ModelError: a front-end file has the name of a program's file.
    """
    texts = dict(program.files)
    texts["host_model.c"] = runtime_file("host_model.c")
    if frontend_sources is not None:
        texts["host_pcm.c"] = runtime_file("host_pcm.c")
        both = sorted(set(texts) & set(frontend_sources))
        if both:
            raise ModelError(f"the front-end has a file of the program's name, {both[0]}")
        texts.update(frontend_sources)
    # host_model.c includes model.c.
    return texts, [name for name in texts if name.endswith(".c") and name != "model.c"]


def _load(path: Path, *, takes_pcm: bool) -> ctypes.CDLL:
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    functions: dict[str, tuple[list[Any], Any]] = {
        "edgeprune_host_state_size": ([], size),
        "edgeprune_host_invoke": (
            [pointer, pointer, size, ctypes.c_bool, ctypes.c_int32, pointer, pointer],
            None,
        ),
    }
    if takes_pcm:
        functions |= {
            "edgeprune_host_frontend_size": ([], size),
            "edgeprune_host_clip_samples": ([], size),
            "edgeprune_host_quantize_clips": ([pointer, pointer, size, pointer], None),
        }
    try:
        library = ctypes.CDLL(str(path))
        for name, (arguments, result) in functions.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, result
    except (OSError, AttributeError) as error:
        raise ToolchainError(f"can't be loaded: {error}", where=str(path)) from error
    return library
