"""What infers: LiteRT, tflite-runtime, or the compiled model, behind one interface.

Which bits come out depends on the runtime and on its resolver. Names of arithmetic that gives the
same bits wherever it runs: ``reference``, LiteRT's BUILTIN_REF and tflite-runtime in every mode,
and ``native``, the compiled model. ``xnnpack``, LiteRT's default, gives them on one architecture,
and LiteRT without delegates is another one on each.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .bundle import Bundle
from .errors import BundleError, RuntimeUnavailable
from .library import FOREIGN, bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Runtime", "load"]

#: Ours to the name in ``OpResolverType``.
_RESOLVERS: Mapping[str, str] = {
    "default": "AUTO",
    "reference": "BUILTIN_REF",
    "no-delegates": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
}

_MODULES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
_MODEL = "model.tflite"
_LIBRARY = "lib/libedgeprune_model.so"


class Runtime(Protocol):
    """A loaded model.

    Attributes:
        name: of ``arguments.RUNTIMES``.
        version: of its package, or of the program.
        resolver: of ``arguments.RESOLVERS``; none of the compiled model.
        arithmetic: which bits it gives; see the module.
        threads: that it infers with.
    """

    name: str
    version: str
    resolver: str | None
    arithmetic: str
    threads: int

    def infer(self, values: NDArray[np.int8]) -> NDArray[np.int8]:
        """Scores of one input: int8 [input size] to int8 [labels]."""


def load(
    bundle: Bundle, name: str, *, resolver: str, threads: int, sizes: tuple[int, int]
) -> Runtime:
    """Load a bundle's model into a runtime.

    Args:
        bundle: with the model.
        name: of ``arguments.RUNTIMES``.
        resolver: of ``arguments.RESOLVERS``; the compiled model has none.
        threads: to infer with; the compiled model has one.
        sizes: values of the network's input and output.

    Raises:
        BundleError: the model is not in the bundle, or of other sizes.
        RuntimeUnavailable: the runtime is absent, or can't load the model.
    """
    if name == "native":
        return Native(bundle.path(_LIBRARY), sizes)
    return Interpreted(bundle.path(_MODEL), name, resolver, threads, sizes)


class Interpreted:
    """A model in a TFLite interpreter; see :class:`Runtime`."""

    def __init__(
        self, path: Path, name: str, resolver: str, threads: int, sizes: tuple[int, int]
    ) -> None:
        self.name, self.threads = name, threads
        self.resolver: str | None = resolver
        self.arithmetic = _arithmetic(name, resolver)
        module = _import(name)
        self.version = _version(name)
        # What a broken combination of packages raises here is not bound to any type:
        # tflite-runtime with numpy 2 gives SystemError.
        try:
            kind = getattr(module.OpResolverType, _RESOLVERS[resolver])
            self._interpreter = module.Interpreter(
                model_path=str(path), num_threads=threads, experimental_op_resolver_type=kind
            )
            self._interpreter.allocate_tensors()
            source = self._interpreter.get_input_details()[0]
            result = self._interpreter.get_output_details()[0]
        except Exception as error:
            raise RuntimeUnavailable(
                f"{name} {self.version} can be imported, but can't construct an interpreter: "
                f"{type(error).__name__}: {error}",
                hint="tflite-runtime needs numpy < 2" if name == "tflite-runtime" else "",
            ) from error
        self._shape = tuple(int(each) for each in source["shape"])
        self._source, self._result = source["index"], result["index"]
        _check_end(path, "input", source, sizes[0])
        _check_end(path, "output", result, sizes[1])

    def infer(self, values: NDArray[np.int8]) -> NDArray[np.int8]:
        self._interpreter.set_tensor(self._source, values.reshape(self._shape))
        self._interpreter.invoke()
        scores: NDArray[np.int8] = self._interpreter.get_tensor(self._result)
        return scores.reshape(-1)


class Native:
    """The compiled model; see :class:`Runtime`."""

    def __init__(self, path: Path, sizes: tuple[int, int]) -> None:
        self.name, self.version, self.arithmetic = "native", path.name, "native"
        self.resolver: str | None = None
        self.threads = 1
        self._input_size, self._output_size = sizes
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        functions: dict[str, tuple[list[Any], Any]] = {
            "edgeprune_host_state_size": ([], size),
            "edgeprune_host_invoke": (
                [pointer, pointer, size, ctypes.c_bool, ctypes.c_int32, pointer, pointer],
                None,
            ),
        }
        try:
            library = bound(path, functions)
        except (OSError, AttributeError) as error:
            raise RuntimeUnavailable(
                f"{path}: the compiled model can't be loaded: {error}", hint=FOREIGN
            ) from error
        self._library = library
        self._state = ctypes.create_string_buffer(library.edgeprune_host_state_size())

    def infer(self, values: NDArray[np.int8]) -> NDArray[np.int8]:
        if values.size != self._input_size:
            raise BundleError(f"an input has {values.size} values; {self._input_size} are needed")
        source = np.ascontiguousarray(values, dtype=np.int8)
        scores = np.empty(self._output_size, dtype=np.int8)
        self._library.edgeprune_host_invoke(
            self._state, source.ctypes.data, 1, False, 0, scores.ctypes.data, None
        )
        return scores


def _arithmetic(name: str, resolver: str) -> str:
    if name == "tflite-runtime":
        return "reference"
    return {"default": "xnnpack"}.get(resolver, resolver)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(f"{_MODULES[name]}.interpreter")
    except Exception as error:
        # An extension module for another CPU or C library raises what it likes.
        absent = isinstance(error, ModuleNotFoundError) and error.name == _MODULES[name]
        found = "is not installed" if absent else f"can't be imported: {type(error).__name__}: "
        raise RuntimeUnavailable(
            f"{name} {found}{'' if absent else error}",
            hint="deploy with a runtime that has a wheel for this Python, or with native",
        ) from error


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _check_end(path: Path, what: str, details: Mapping[str, Any], size: int) -> None:
    found = int(np.prod(details["shape"]))
    if details["dtype"] != np.int8 or found != size:
        raise BundleError(
            f"{path}: its {what} is {np.dtype(details['dtype'])} with {found} values; "
            f"int8 with {size} is needed"
        )
