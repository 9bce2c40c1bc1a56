"""Nothing overflows, and the two forms of the multiply are one function."""

from __future__ import annotations

import ctypes
import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.cores import CORES
from edgeprune.errors import CompileError, ProcessError
from edgeprune.frontend import FrontendLibrary, InputQuantization, sources
from edgeprune.frontend.generate import c_file
from edgeprune.process import run
from edgeprune.recipe import Frontend
from edgeprune.toolchain import C_STANDARD, WARNINGS, Job, Toolchain
from tests.frontend import signals
from tests.frontend.conftest import LOG_MEL, MFCC, Build

#: One of each length of transform, with a window as long as the transform: the largest sums.
FULL = [
    Frontend(window_ms=4, hop_ms=4, mel_bins=6, low_hz=0, high_hz=8000),
    Frontend(
        window_ms=8, hop_ms=8, mel_bins=8, low_hz=0, high_hz=8000, kind="mfcc", coefficients=8
    ),
    Frontend(window_ms=16, hop_ms=16, mel_bins=20, low_hz=0, high_hz=8000),
    Frontend(window_ms=32, hop_ms=32, mel_bins=40, low_hz=0, high_hz=8000, kind="mfcc"),
    Frontend(
        window_ms=64, hop_ms=64, mel_bins=80, low_hz=0, high_hz=8000, kind="mfcc", coefficients=80
    ),
]

_MAIN = """
#include <stdio.h>
#include "frontend.h"
#include "quantize.h"

/* Reads PCM, writes features; sums them and their quantized values so that nothing is left out. */
int main(int argc, char **argv)
{
    static edgeprune_frontend state;
    static int16_t pcm[EDGEPRUNE_FRONTEND_HOP];
    int16_t frame[EDGEPRUNE_FRONTEND_FEATURES];
    int8_t quantized[EDGEPRUNE_FRONTEND_FEATURES];
    volatile int provoked = argc == 4 ? 0x7FFFFFFF : 0;
    FILE *in = argc >= 3 ? fopen(argv[1], "rb") : NULL;
    FILE *out = argc >= 3 ? fopen(argv[2], "wb") : NULL;
    if (in == NULL || out == NULL) {
        return 1;
    }
    provoked = provoked + 1;
    edgeprune_frontend_reset(&state);
    for (size_t count; (count = fread(pcm, 2, EDGEPRUNE_FRONTEND_HOP, in)) > 0;) {
        for (size_t at = 0; at < count;) {
            bool ready = false;
            at += edgeprune_frontend_push(&state, pcm + at, count - at, frame, &ready);
            if (ready) {
                edgeprune_input_quantize(frame, quantized);
                fwrite(frame, 2, EDGEPRUNE_FRONTEND_FEATURES, out);
            }
        }
    }
    return fclose(in) + fclose(out);
}
"""

SANITIZERS = {
    "zig": ["-target", "native", "-fsanitize=undefined", "-fsanitize-trap=undefined"],
    "host": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}


class Sanitized:
    """A program that turns PCM to features and dies of undefined behaviour."""

    def __init__(
        self, toolchain: Toolchain, frontend: Frontend, folder: Path, narrow: bool = False
    ) -> None:
        self._features, self._folder = frontend.features, folder
        quantization = InputQuantization.derive(
            np.full(frontend.features, 10.0), np.full(frontend.features, 0.5), 8, 0.03, 0
        )
        texts = {**sources(frontend), **quantization.sources(), "main.c": _MAIN}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        driver = [*toolchain.program, "cc"] if toolchain.name == "zig" else [*toolchain.program]
        options = [C_STANDARD, *WARNINGS, "-O1", f"-DEDGEPRUNE_FRONTEND_NARROW={int(narrow)}"]
        units = sorted(name for name in texts if name.endswith(".c"))
        command = [*driver, *options, *SANITIZERS[toolchain.name], *units, "-o", "program"]
        run(command, cwd=folder, error=CompileError)

    def features(self, pcm: NDArray[np.int16], *provoke: str) -> NDArray[np.int16]:
        (self._folder / "pcm").write_bytes(pcm.tobytes())
        run([self._folder / "program", "pcm", "features", *provoke], cwd=self._folder)
        content = (self._folder / "features").read_bytes()
        return np.frombuffer(content, np.int16).reshape(-1, self._features)


@pytest.mark.parametrize("compiler", ["zig", "host"])
def test_the_sanitizers_are_awake(
    compiler: str, zig: Toolchain, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    toolchain = zig if compiler == "zig" else request.getfixturevalue("host")
    program = Sanitized(toolchain, FULL[0], tmp_path)
    silence = np.zeros(16_000, np.int16)
    assert len(program.features(silence)) == 250
    with pytest.raises(ProcessError):
        program.features(silence, "provoke")


@pytest.mark.parametrize(
    ("frontend", "narrow"),
    [*((frontend, False) for frontend in (*FULL, MFCC)), (FULL[0], True), (FULL[4], True)],
    ids=lambda value: f"{value.window}" if isinstance(value, Frontend) else f"narrow={value}",
)
def test_torture(
    frontend: Frontend, narrow: bool, build: Build, zig: Toolchain, tmp_path: Path
) -> None:
    """The loudest samples there are overflow nowhere, with either form of the multiply."""
    program = Sanitized(zig, frontend, tmp_path, narrow)
    clips = {**signals.extreme(frontend), "noise": signals.ordinary(frontend)["loud noise"]}
    pcm = signals.stacked(clips).ravel()
    np.testing.assert_array_equal(program.features(pcm), build(frontend).stream().push(pcm))


@pytest.mark.parametrize("frontend", [MFCC, FULL[2]], ids=["480", "256"])
def test_torture_with_address_sanitizer(
    frontend: Frontend, build: Build, host: Toolchain, tmp_path: Path
) -> None:
    program = Sanitized(host, frontend, tmp_path)
    pcm = signals.stacked(signals.extreme(frontend)).ravel()
    np.testing.assert_array_equal(program.features(pcm), build(frontend).stream().push(pcm))


def test_narrow_library_has_the_same_bits(build: Build, zig: Toolchain, tmp_path: Path) -> None:
    for frontend in (LOG_MEL, MFCC):
        narrow = _shared(
            zig,
            {**sources(frontend), "host.c": c_file("host.c"), "host.h": c_file("host.h")},
            tmp_path / frontend.kind,
            narrow=True,
        )
        clips = signals.stacked({**signals.ordinary(frontend), **signals.extreme(frontend)})
        np.testing.assert_array_equal(
            FrontendLibrary(frontend, narrow).features(clips), build(frontend).features(clips)
        )


_PRIMITIVES = """
#include <stddef.h>
#include "frontend_arithmetic.h"

void half_products(const int32_t *x, const int32_t *q15, int32_t *out, size_t count);
void powers(const int32_t *re, const int32_t *im, uint64_t *out, size_t count);
void weights(const uint32_t *value, const uint32_t *weight, uint64_t *out, size_t count);
void products(const int16_t *a, const int16_t *b, int64_t *out, size_t count);

void half_products(const int32_t *x, const int32_t *q15, int32_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = half_product(x[i], factor(q15[i]));
    }
}

void powers(const int32_t *re, const int32_t *im, uint64_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = power_of(re[i], im[i]);
    }
}

void weights(const uint32_t *value, const uint32_t *weight, uint64_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = weighted(value[i], weight[i]);
    }
}

void products(const int16_t *a, const int16_t *b, int64_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = product(a[i], b[i]);
    }
}
"""


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_primitives_are_exact(narrow: bool, zig: Toolchain, tmp_path: Path) -> None:
    """Both forms against exact integers: at every edge, and for a million random arguments."""
    header = "frontend_arithmetic.h"
    texts = {header: c_file(header), "primitives.c": _PRIMITIVES}
    library = ctypes.CDLL(str(_shared(zig, texts, tmp_path, narrow=narrow)))
    words = _arguments(-(2**31), 2**31 - 1)
    q15 = _arguments(-32768, 32767)
    bins = _arguments(-(2**24), 2**24)
    unsigned = _arguments(0, 2**32 - 1)
    weight = _arguments(0, 2**15)

    x, w = _pairs(words, q15)
    found = _call(library.half_products, x.astype(np.int32), w.astype(np.int32), np.int32)
    np.testing.assert_array_equal(found, (x * w) >> 16)
    re, im = _pairs(bins, bins)
    found = _call(library.powers, re.astype(np.int32), im.astype(np.int32), np.uint64)
    np.testing.assert_array_equal(found, (re * re + im * im).astype(np.uint64))
    value, by = _pairs(unsigned, weight)
    found = _call(library.weights, value.astype(np.uint32), by.astype(np.uint32), np.uint64)
    np.testing.assert_array_equal(found, (value * by).astype(np.uint64))
    a, b = _pairs(q15, q15)
    found = _call(library.products, a.astype(np.int16), b.astype(np.int16), np.int64)
    np.testing.assert_array_equal(found, a * b)


def _arguments(low: int, high: int) -> NDArray[np.int64]:
    """Edges of a range and of the halves that a narrow multiply splits into; then random values."""
    near = [sign * (1 << bit) for bit in (0, 11, 12, 15, 16, 23, 24, 31) for sign in (-1, 1)]
    edges = {edge + step for edge in (low, high, 0, *near) for step in (-1, 0, 1)}
    chosen = sorted(edge for edge in edges if low <= edge <= high)
    random = np.random.default_rng(9).integers(low, high, 1_000_000, endpoint=True)
    return np.concatenate([np.array(chosen, np.int64), random])


def _pairs(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every edge with every edge, then random with random."""
    edges = np.array(list(itertools.product(first[:-1_000_000], second[:-1_000_000])), np.int64)
    other = np.roll(second[-1_000_000:], 1)
    return (
        np.concatenate([edges[:, 0], first[-1_000_000:]]),
        np.concatenate([edges[:, 1], other]),
    )


def _call(
    function: ctypes._NamedFuncPointer,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    kind: type[np.generic],
) -> NDArray[np.generic]:
    out = np.empty(len(first), kind)
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_size_t]
    function(first.ctypes.data, second.ctypes.data, out.ctypes.data, len(first))
    return out


def _shared(toolchain: Toolchain, texts: dict[str, str], folder: Path, *, narrow: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    units = [Path(name) for name in sorted(texts) if name.endswith(".c")]
    defines = {"EDGEPRUNE_FRONTEND_NARROW": str(int(narrow))}
    output = folder / "library.so"
    toolchain.build(Job(units, output, CORES["host"], "shared", folder, defines=defines))
    return output
