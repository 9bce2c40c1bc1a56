"""The host library: batches, threads, traces, the cache, PCM; and errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, Program, generate
from edgeprune.errors import CompileError, ModelError
from edgeprune.frontend import FrontendLibrary, InputQuantization, fraction_bits, sources
from edgeprune.graph import read_graph
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Toolchain
from tests.graph.networks import Network


@pytest.fixture(scope="module")
def network() -> Network:
    network = Network(np.random.default_rng(8), (1, 6, 5, 3), scale=0.1)
    tensor = network.conv_2d(0, 4, kernel=(3, 3))
    tensor = network.reshape(network.mean(tensor, [1, 2]), (1, 4))
    network.softmax(network.fully_connected(tensor, 3))
    return network


@pytest.fixture(scope="module")
def program(network: Network) -> Program:
    return generate(read_graph(network.content()), labels=("a", "b", "c"))


@pytest.fixture(scope="module")
def host(program: Program, zig: Toolchain, build_cache: Path) -> HostProgram:
    return HostProgram.build(program, zig, build_cache)


def _inputs(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (count, 1, 6, 5, 3), dtype=np.int8)


def test_a_batch_is_its_inferences(host: HostProgram) -> None:
    inputs = _inputs(150)
    outputs = host.invoke(inputs)
    assert outputs.shape == (150, 3)
    assert outputs.dtype == np.int8
    one_by_one = np.concatenate([host.invoke(each[np.newaxis]) for each in inputs])
    np.testing.assert_array_equal(outputs, one_by_one)
    assert len(np.unique(outputs)) > 3


def test_an_empty_batch(host: HostProgram) -> None:
    assert host.invoke(_inputs(0)).shape == (0, 3)


def test_inputs_in_any_memory_order(host: HostProgram) -> None:
    inputs = _inputs(9)
    np.testing.assert_array_equal(host.invoke(inputs[::-2]), host.invoke(inputs)[::-2])


def test_threads_do_not_disturb_each_other(host: HostProgram) -> None:
    batches = [_inputs(64, seed) for seed in range(8)]
    expected = [host.invoke(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, wanted in zip(pool.map(host.invoke, batches), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_a_trace_has_every_layer(host: HostProgram, program: Program) -> None:
    values = _inputs(1)[0]
    trace = host.trace(values)
    shapes = [layer.output.shape for layer in program.manifest.layers]
    assert [each.shape for each in trace] == shapes == [(1, 6, 5, 4), (1, 1, 1, 4), (1, 3), (1, 3)]
    np.testing.assert_array_equal(trace[-1], host.invoke(values))


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((2, 90), dtype=np.uint8),
        np.zeros((2, 89), dtype=np.int8),
        np.zeros((180,), dtype=np.int8),
        np.zeros((), dtype=np.int8),
    ],
)
def test_wrong_inputs(host: HostProgram, inputs: np.ndarray) -> None:
    with pytest.raises(ModelError, match="inputs"):
        host.invoke(inputs)


def test_built_once(program: Program, zig: Toolchain, tmp_path: Path) -> None:
    first = HostProgram.build(program, zig, tmp_path)
    written = first.path.stat().st_mtime_ns
    again = HostProgram.build(program, zig, tmp_path)
    assert again.path == first.path
    assert again.path.stat().st_mtime_ns == written
    assert [each.name for each in tmp_path.iterdir()] == [first.path.name]


def test_a_damaged_library_is_built_anew(program: Program, zig: Toolchain, tmp_path: Path) -> None:
    path = HostProgram.build(program, zig, tmp_path / "good").path
    damaged = tmp_path / "bad" / path.name
    damaged.parent.mkdir()
    damaged.write_bytes(path.read_bytes()[:100])
    host = HostProgram.build(program, zig, damaged.parent)
    assert host.path == damaged
    assert host.invoke(_inputs(2)).shape == (2, 3)


def test_a_failed_build_leaves_nothing(program: Program, zig: Toolchain, tmp_path: Path) -> None:
    broken = Program({**program.files, "model.c": "#error no\n"}, program.manifest)
    with pytest.raises(CompileError, match="#error no"):
        HostProgram.build(broken, zig, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_compilers_give_the_same_bits(
    program: Program, host: HostProgram, host_cc: Toolchain, build_cache: Path
) -> None:
    other = HostProgram.build(program, host_cc, build_cache)
    assert other.path != host.path
    np.testing.assert_array_equal(other.invoke(_inputs(50)), host.invoke(_inputs(50)))


# A front-end as the C interface has it: 6 frames of 15 features, each the sum of two samples.
_FRONTEND = {
    "frontend_config.h": """\
#define EDGEPRUNE_FRONTEND_FRAMES 6
#define EDGEPRUNE_FRONTEND_FEATURES 15
#define EDGEPRUNE_FRONTEND_CLIP_SAMPLES 200
""",
    "frontend.h": """\
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef struct edgeprune_frontend { size_t taken; } edgeprune_frontend;
void edgeprune_frontend_reset(edgeprune_frontend *state);
size_t edgeprune_frontend_push(edgeprune_frontend *state, const int16_t *pcm, size_t count,
                               int16_t *frame, bool *ready);
""",
    "frontend.c": """\
#include "frontend.h"
void edgeprune_frontend_reset(edgeprune_frontend *state) { state->taken = 0; }
size_t edgeprune_frontend_push(edgeprune_frontend *state, const int16_t *pcm, size_t count,
                               int16_t *frame, bool *ready)
{
    *ready = count >= 30;
    if (!*ready) {
        return count;
    }
    for (size_t i = 0; i < 15; i++) {
        frame[i] = (int16_t)(pcm[2 * i] + pcm[2 * i + 1]);
    }
    state->taken += 30;
    return 30;
}
""",
    "quantize.h": """\
#include <stdint.h>
void edgeprune_input_quantize(const int16_t *frame, int8_t *out);
""",
    "model_input.c": """\
#include "quantize.h"
void edgeprune_input_quantize(const int16_t *frame, int8_t *out)
{
    for (int i = 0; i < 15; i++) {
        out[i] = (int8_t)(frame[i] % 100);
    }
}
""",
}


def test_pcm_to_scores(
    program: Program, host: HostProgram, zig: Toolchain, build_cache: Path
) -> None:
    with_frontend = HostProgram.build(program, zig, build_cache, _FRONTEND)
    assert with_frontend.takes_pcm
    clips = np.random.default_rng(2).integers(-5000, 5000, (40, 200), dtype=np.int16)
    sums = clips[:, :180].reshape(40, 90, 2).sum(axis=2)
    expected = np.fmod(sums, 100).astype(np.int8)
    np.testing.assert_array_equal(with_frontend.quantize_pcm(clips), expected)
    np.testing.assert_array_equal(with_frontend.infer_pcm(clips), host.invoke(expected))


def test_pcm_needs_a_frontend(host: HostProgram) -> None:
    assert not host.takes_pcm
    with pytest.raises(ModelError, match="without its front-end"):
        host.infer_pcm(np.zeros((1, 200), dtype=np.int16))


def test_wrong_clips(program: Program, zig: Toolchain, build_cache: Path) -> None:
    with_frontend = HostProgram.build(program, zig, build_cache, _FRONTEND)
    with pytest.raises(ModelError, match="clips"):
        with_frontend.infer_pcm(np.zeros((1, 199), dtype=np.int16))
    with pytest.raises(ModelError, match="clips are float32"):
        with_frontend.infer_pcm(np.zeros((1, 200), dtype=np.float32))


def test_a_frontend_of_another_size_does_not_compile(
    program: Program, zig: Toolchain, tmp_path: Path
) -> None:
    config = _FRONTEND["frontend_config.h"].replace("FRAMES 6", "FRAMES 7")
    with pytest.raises(CompileError, match="do not fill"):
        HostProgram.build(program, zig, tmp_path, {**_FRONTEND, "frontend_config.h": config})


def test_a_frontend_file_does_not_replace_ours(
    program: Program, zig: Toolchain, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"model\.h"):
        HostProgram.build(program, zig, tmp_path, {**_FRONTEND, "model.h": ""})


def test_the_real_frontend(zig: Toolchain, build_cache: Path) -> None:
    recipe = Frontend()
    clips = np.random.default_rng(3).integers(-9000, 9000, (3, recipe.clip_samples), dtype=np.int16)
    features = FrontendLibrary.build(recipe, zig, build_cache).features(clips).astype(np.int64)
    real = features * 2.0 ** -fraction_bits(recipe)
    quantization = InputQuantization.derive(
        mean=real.mean(axis=(0, 1)),
        std=real.std(axis=(0, 1)),
        fraction_bits=fraction_bits(recipe),
        scale=0.03,
        zero_point=-5,
    )
    sums = features * np.array(quantization.multipliers) + np.array(quantization.offsets)
    expected = np.clip(sums >> quantization.shift, -128, 127).astype(np.int8).reshape(3, -1)
    network = Network(np.random.default_rng(8), (1, recipe.frames, 1, recipe.features), scale=0.03)
    network.conv_2d(0, 4, kernel=(3, 1))
    program = generate(read_graph(network.content()), labels=())
    files = {**sources(recipe), **quantization.sources()}
    host = HostProgram.build(program, zig, build_cache, files)
    np.testing.assert_array_equal(host.quantize_pcm(clips), expected)
    np.testing.assert_array_equal(host.infer_pcm(clips), host.invoke(expected))
    assert len(np.unique(expected)) > 20
