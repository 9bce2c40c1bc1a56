"""Programs for TensorFlow Lite Micro as tests need them: generated, compiled, run on stand-ins."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeprune.codegen.tflm import generate_tflm
from edgeprune.cores import CORES
from edgeprune.frontend import InputQuantization, fraction_bits
from edgeprune.graph import Graph, read_graph
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Job, Toolchain
from tests.graph.networks import Network

STANDIN = Path(__file__).resolve().parent.parent / "data" / "tflm_standin"
CXX_FLAGS = ("-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")
INT8_ONLY = {"EDGEPRUNE_TFLM_INT8_ONLY": "1"}
OK, ERROR = 0, 1

#: Small, so that tests are fast: 24 frames of 10 features, a frame every 64 samples.
FRONTEND = Frontend(
    sample_rate_hz=8000, clip_ms=200, window_ms=16, hop_ms=8, mel_bins=10, high_hz=3600
)
SHAPE = (1, FRONTEND.frames, 1, FRONTEND.features)
LABELS = ("_silence_", "_unknown_", "yes", "no")


def residual() -> Network:
    """A stem, a residual block, and a mean over time."""
    network = Network(np.random.default_rng(1), SHAPE, scale=0.0625, zero_point=-5)
    stem = network.conv_2d(0, 16, kernel=(3, 1), stride=(2, 1), activation="relu")
    deep = network.depthwise_conv_2d(stem, kernel=(3, 1))
    deep = network.conv_2d(deep, 16)
    both = network.add(stem, deep, activation="relu")
    network.softmax(network.fully_connected(network.mean(both, (1, 2), keep=False), 4))
    return network


def pooled() -> Network:
    """Two convolutions of one kind, a pool, and a reshape."""
    network = Network(np.random.default_rng(2), SHAPE, scale=0.0625, zero_point=-5)
    deep = network.conv_2d(network.conv_2d(0, 8, kernel=(3, 1)), 4)
    average = network.average_pool_2d(deep, kernel=(24, 1), stride=(24, 1), padding="valid")
    network.softmax(network.reshape(average, (1, 4)))
    return network


def bare() -> Network:
    """One operator."""
    network = Network(np.random.default_rng(3), (1, FRONTEND.frames * FRONTEND.features))
    network.fully_connected(0, 4)
    return network


#: Network, what is registered for it, and what is with EDGEPRUNE_TFLM_INT8_ONLY.
NETWORKS: dict[str, tuple[Callable[[], Network], list[str], list[str]]] = {
    "residual": (
        residual,
        ["ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "SOFTMAX"],
        [
            "ADD_INT8",
            "CONV_2D_INT8",
            "DEPTHWISE_CONV_2D_INT8",
            "FULLY_CONNECTED_INT8",
            "MEAN",
            "SOFTMAX_INT8",
        ],
    ),
    "pooled": (
        pooled,
        ["AVERAGE_POOL_2D", "CONV_2D", "RESHAPE", "SOFTMAX"],
        ["AVERAGE_POOL_2D_INT8", "CONV_2D_INT8", "RESHAPE", "SOFTMAX_INT8"],
    ),
    "bare": (bare, ["FULLY_CONNECTED"], ["FULLY_CONNECTED_INT8"]),
}


def quantization_of(frontend: Frontend, graph: Graph) -> InputQuantization:
    features = frontend.features
    return InputQuantization.derive(
        np.linspace(20, 24, features),
        np.linspace(3, 5, features),
        fraction_bits(frontend),
        graph.input.scale,
        graph.input.zero_point,
    )


def generated(
    content: bytes,
    *,
    labels: Sequence[str] = LABELS,
    frontend: Frontend = FRONTEND,
    name: str = "test",
) -> dict[str, str]:
    graph = read_graph(content)
    return generate_tflm(
        content,
        graph,
        labels=labels,
        frontend=frontend,
        input_quantization=quantization_of(frontend, graph),
        name=name,
    )


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="ascii")
    return folder


def compile_object(
    toolchain: Toolchain,
    folder: Path,
    name: str,
    *,
    core: str = "host",
    defines: dict[str, str] | None = None,
    extra: Sequence[str] = (),
) -> Path:
    """One source to an object, as a firmware build would."""
    output = Path(f"{name}.{core}.{len(defines or {})}.o")
    flags = () if name.endswith(".c") else CXX_FLAGS
    toolchain.build(
        Job(
            sources=[Path(name)],
            output=output,
            core=CORES[core],
            kind="object",
            cwd=folder,
            include=[Path(), STANDIN],
            defines=defines or {},
            extra=[*flags, *extra],
        )
    )
    return output


def build_harness(
    zig: Toolchain, folder: Path, files: dict[str, str], defines: dict[str, str] | None = None
) -> ctypes.CDLL:
    """The generated sources and the harness as a library on this machine."""
    write(folder, files)
    (folder / "harness.cc").write_text((STANDIN / "harness.cc").read_text())
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".cc", ".c"))
    objects = [
        compile_object(zig, folder, name, defines=defines, extra=["-fPIC"]) for name in names
    ]
    output = folder / "harness.so"
    zig.build(
        Job(
            sources=objects,
            output=output,
            core=CORES["host"],
            kind="shared",
            cwd=folder,
        )
    )
    library = ctypes.CDLL(str(output))
    for name in ("harness_operator", "harness_label"):
        getattr(library, name).restype = ctypes.c_char_p
    for name in ("harness_model", "harness_fed", "runner_scores"):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("runner_push", "runner_best", "runner_arena", "harness_model_size"):
        getattr(library, name).restype = ctypes.c_size_t
    library.runner_ready.restype = ctypes.c_bool
    return library


def set_tflm(
    library: ctypes.CDLL,
    *,
    version: int = 3,
    input_bytes: int | None = None,
    used: int = 4096,
    fails: bool = False,
    tail: int = 200,
) -> None:
    """What TensorFlow Lite Micro is to be like from now on."""
    size = library.harness_input_size() if input_bytes is None else input_bytes
    library.harness_set(
        ctypes.c_uint32(version),
        ctypes.c_size_t(size),
        ctypes.c_size_t(used),
        ctypes.c_bool(fails),
        ctypes.c_size_t(tail),
    )


def registered(library: ctypes.CDLL) -> list[str]:
    found = []
    while (name := library.harness_operator(len(found))) is not None:
        found.append(name.decode())
    return found


@dataclass
class Runner:
    """One of the harness's runners."""

    library: ctypes.CDLL
    which: int

    def init(self, size: int = 4096) -> int:
        self.memory = (ctypes.c_uint8 * max(size, 1))()
        return int(self.library.runner_init(self.which, self.memory, ctypes.c_size_t(size)))

    def push(self, pcm: np.ndarray) -> int:
        return int(
            self.library.runner_push(
                self.which, ctypes.c_void_p(pcm.ctypes.data), ctypes.c_size_t(len(pcm))
            )
        )

    def scores(self) -> list[int] | None:
        address = self.library.runner_scores(self.which)
        return None if address is None else int8_at(address, len(LABELS)).tolist()

    def __getattr__(self, name: str) -> Callable[[], Any]:
        return lambda: getattr(self.library, f"runner_{name}")(self.which)


def int8_at(address: int, count: int) -> np.ndarray:
    return np.frombuffer(ctypes.string_at(address, count), dtype=np.int8)
