"""The same bits on every core, within the bounds on instructions and RAM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.cores import CORES, CoreName
from edgeprune.errors import ToolchainError
from edgeprune.frontend import InputQuantization, fraction_bits, sources
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Job, Optimize, Toolchain, ToolchainName, find_toolchain
from tests.frontend import signals
from tests.frontend.bare_metal import BUFFERS, BareMetal, link
from tests.frontend.conftest import LOG_MEL, MFCC, Build

ARM: list[CoreName] = [name for name, core in CORES.items() if core.bare_metal]
#: The others run whole images, front-end included, in tests/devices/test_qemu.py.
EMULATED: list[CoreName] = [name for name in ARM if CORES[name].unicorn]
#: Instructions a frame, for 512 points, 40 mel bins and 10 coefficients; the issue allows 250,000
#: on the M0+ and 60,000 on the M4.
BOUNDS: dict[CoreName, int] = {
    "cortex-m0plus": 110_000,
    "cortex-m3": 50_000,
    "cortex-m4": 50_000,
    "cortex-m7": 50_000,
    "cortex-m33": 50_000,
}
RAM_BYTES = 6 * 1024
FEATURES = BUFFERS + (1 << 17)

TOOLCHAINS = pytest.mark.parametrize("toolchain", ["zig", "arm-none-eabi-gcc"])
ON_CORES = pytest.mark.parametrize("core", EMULATED)


def _toolchain(name: ToolchainName) -> Toolchain:
    try:
        return find_toolchain(name)
    except ToolchainError as error:
        pytest.skip(str(error))


def _texts(frontend: Frontend) -> dict[str, str]:
    count = frontend.features
    quantization = InputQuantization.derive(
        np.linspace(5, 20, count), np.linspace(1, 6, count), fraction_bits(frontend), 0.03, -7
    )
    return {**sources(frontend), **quantization.sources()}


def _run(machine: BareMetal, frontend: Frontend, clip: NDArray[np.int16]) -> NDArray[np.int16]:
    machine.write(BUFFERS, clip)
    machine.call("run_clip", BUFFERS, len(clip), FEATURES)
    count = frontend.frames * frontend.features
    return machine.read(FEATURES, count).reshape(frontend.frames, frontend.features)


@TOOLCHAINS
@ON_CORES
def test_bits_instructions_and_ram(
    core: CoreName, toolchain: ToolchainName, build: Build, tmp_path: Path
) -> None:
    clips = {**signals.ordinary(MFCC), **signals.extreme(MFCC)}
    chosen = [clips[name] for name in ("chirp", "faint noise", "square", "signs 0", "lowest")]
    expected = build(MFCC).features(np.stack(chosen))
    optimizations: tuple[Optimize, ...] = ("speed", "size")
    for optimize in optimizations:
        machine = _machine(MFCC, core, toolchain, tmp_path, optimize)
        for clip, features in zip(chosen, expected, strict=True):
            np.testing.assert_array_equal(_run(machine, MFCC, clip), features)
        arguments = (BUFFERS, MFCC.clip_samples, FEATURES)
        assert machine.count("run_clip", *arguments) / MFCC.frames <= BOUNDS[core]
        (state,) = (found.size for name, found in machine.symbols.items() if "stream" in name)
        assert state == build(MFCC).state_bytes
        stack = machine.stack("run_clip", *arguments)
        assert stack > 100
        assert state + stack <= RAM_BYTES


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
@pytest.mark.parametrize(
    "frontend",
    [
        LOG_MEL,
        Frontend(window_ms=64, hop_ms=64, mel_bins=80, low_hz=0, high_hz=8000),
        Frontend(sample_rate_hz=8000, window_ms=4.125, hop_ms=3.125, mel_bins=4, high_hz=4000),
        Frontend(window_ms=16, hop_ms=8, mel_bins=23, kind="mfcc", coefficients=23),
    ],
    ids=["log-mel", "1024", "64", "256"],
)
def test_other_sizes(frontend: Frontend, core: CoreName, build: Build, tmp_path: Path) -> None:
    """The core with the narrow multiply and one with the wide, transforms with an odd stage."""
    machine = _machine(frontend, core, "zig", tmp_path)
    for name in ("chirp", "square"):
        clip = signals.ordinary(frontend)[name]
        np.testing.assert_array_equal(
            _run(machine, frontend, clip), build(frontend).features(clip[None])[0]
        )


@ON_CORES
def test_real_speech(
    core: CoreName, build: Build, speech: NDArray[np.int16], tmp_path: Path
) -> None:
    machine = _machine(LOG_MEL, core, "zig", tmp_path)
    for clip, features in zip(speech[:6], build(LOG_MEL).features(speech[:6]), strict=True):
        np.testing.assert_array_equal(_run(machine, LOG_MEL, clip), features)


@ON_CORES
def test_quantization_on_the_core(core: CoreName, build: Build, tmp_path: Path) -> None:
    machine = _machine(LOG_MEL, core, "zig", tmp_path)
    features = build(LOG_MEL).features(signals.ordinary(LOG_MEL)["chirp"][None])[0]
    quantization = InputQuantization.derive(
        np.linspace(5, 20, 40), np.linspace(1, 6, 40), 8, 0.03, -7
    )
    for frame in features[::8]:
        machine.write(BUFFERS, frame)
        machine.call("edgeprune_input_quantize", BUFFERS, FEATURES)
        found = machine.read(FEATURES, 20).view(np.int8)
        np.testing.assert_array_equal(found, quantization.apply(frame))


@pytest.mark.parametrize(
    ("toolchain", "core"),
    [
        *(("zig", core) for core in CORES),
        *(("arm-none-eabi-gcc", core) for core in ARM),
        ("host", "host"),
    ],
)
def test_compiles_without_warnings(
    core: CoreName, toolchain: ToolchainName, tmp_path: Path
) -> None:
    """What the images above do not cover: log-mel, and a transform with a radix-2 stage."""
    compiler = _toolchain(toolchain)
    for frontend in (LOG_MEL, Frontend(window_ms=16, hop_ms=8, mel_bins=20)):
        for name, text in sources(frontend).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        for unit in ("frontend.c", "frontend_tables.c"):
            job = Job([Path(unit)], tmp_path / "unit.o", CORES[core], "object", tmp_path)
            assert compiler.build(job) == ""


def _machine(
    frontend: Frontend,
    core: CoreName,
    toolchain: ToolchainName,
    folder: Path,
    optimize: Optimize = "speed",
) -> BareMetal:
    compiler = _toolchain(toolchain)
    texts = _texts(frontend)
    return BareMetal(link(texts, compiler, core, folder / optimize, optimize=optimize), core)
