"""Sparse weights: bit for bit the reference's, on this machine and on the cores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram, Options, generate
from edgeprune.codegen.encodings.advice import Zeros, advice
from edgeprune.codegen.selection import select
from edgeprune.cores import CORES, CoreName
from edgeprune.graph import read_graph
from edgeprune.toolchain import Toolchain
from tests.codegen.compressed import (
    Change,
    assert_estimates,
    assert_same_bits,
    change_weights,
    encodings,
    few_values,
    offers,
    on_core,
    program_with,
    some_inputs,
    ties,
    zeros,
)
from tests.codegen.sanitizers import execute
from tests.graph.networks import ACTIVATIONS, Network

_FORMS = ("delta", "sparse_palette4", "block1x4")
#: One of those with a long multiply, and the one without.
_CORES = ("cortex-m4", "cortex-m0plus")
_ZERO_POINTS = st.one_of(st.sampled_from([-128, -128, 0, 127]), st.integers(-128, 127))


@st.composite
def _networks(draw: st.DrawFn) -> tuple[bytes, int]:
    """Chains of pointwise convolutions, so that they write over each other's memory."""
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    shape = (1, draw(st.integers(1, 21)), 1, 4 * draw(st.integers(1, 17)))
    network = Network(rng, shape, scale=0.1, zero_point=draw(_ZERO_POINTS))
    tensor = 0
    for _ in range(draw(st.integers(1, 3))):
        tensor = network.conv_2d(
            tensor,
            4 * draw(st.integers(1, 6)),
            activation=draw(st.sampled_from(["relu", *sorted(ACTIVATIONS)])),
            per_channel=draw(st.booleans()),
            gain=draw(st.sampled_from([1.0, 2.0, 30.0, 1e5])),
            zero_point=draw(_ZERO_POINTS),
        )
    change_weights(network, zeros(rng, draw(st.sampled_from([0.1, 0.5, 0.8, 0.97, 1.0]))))
    change_weights(network, few_values())
    return network.content(), seed


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=_networks())
@pytest.mark.parametrize("core", _CORES)
@pytest.mark.parametrize("form", _FORMS)
def test_random_networks(
    form: str, core: str, case: tuple[bytes, int], host_cc: Toolchain, build_cache: Path
) -> None:
    content, seed = case
    program = program_with(content, form, core)
    assert form in encodings(program)
    assert_same_bits(content, program, host_cc, build_cache, seed=seed, count=2)


def _network(
    change: Change, *, shape: tuple[int, ...] = (1, 29, 1, 44), outputs: int = 36
) -> bytes:
    """Two layers: a ReLU, and outputs on both sides of the zero point."""
    network = Network(np.random.default_rng(5), shape, scale=0.1, zero_point=-20)
    tensor = network.conv_2d(0, outputs, activation="relu", zero_point=-128)
    network.conv_2d(tensor, 20, zero_point=11)
    change_weights(network, change)
    return network.content()


def _one_weight_a_row(rows: np.ndarray) -> np.ndarray:
    return np.eye(*rows.shape)


def _sparse(share: float) -> Change:
    sparse, few = zeros(np.random.default_rng(7), share), few_values()
    return lambda rows: few(sparse(rows))


@pytest.mark.parametrize("core", _CORES)
@pytest.mark.parametrize("form", _FORMS)
def test_odd_shapes(form: str, core: str, host_cc: Toolchain, build_cache: Path) -> None:
    """Columns that are no fours, a single pixel, a single channel; the most negative weight."""
    for shape, outputs in (((1, 7, 1, 13), 3), ((1, 1, 1, 1), 1), ((2, 3, 5, 6), 5)):
        content = _network(lambda rows: np.where(rows > 0, 0, -128), shape=shape, outputs=outputs)
        program = program_with(content, form, core)
        if form != "block1x4":
            assert encodings(program) == [form, form]
        assert_same_bits(content, program, host_cc, build_cache, seed=1, count=5)


@pytest.mark.parametrize("core", _CORES)
@pytest.mark.parametrize("form", _FORMS)
def test_nothing_is_undefined_or_out_of_bounds(
    form: str, core: str, host_cc: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    program = program_with(_network(_sparse(0.8)), form, core)
    inputs = some_inputs(program, seed=5, count=5)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    np.testing.assert_array_equal(execute("host", program, inputs, tmp_path), expected)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33"])
@pytest.mark.parametrize("form", _FORMS)
def test_cores_compute_what_this_machine_does(
    form: str,
    core: str,
    cross_compiler: Toolchain,
    host_cc: Toolchain,
    build_cache: Path,
    tmp_path: Path,
) -> None:
    program = program_with(_network(_sparse(0.7)), form, core)
    assert encodings(program) == [form, form]
    inputs = some_inputs(program, seed=6, count=3)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    with on_core(program, core, cross_compiler, tmp_path) as session:
        for values, output in zip(inputs, expected, strict=True):
            np.testing.assert_array_equal(session.invoke(values).reshape(-1), output)


@pytest.mark.parametrize("core", _CORES)
def test_halves_are_rounded_away_from_zero(
    core: str, zig: Toolchain, host_cc: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    program = program_with(ties(), "delta", core)
    assert encodings(program) == ["delta"]
    assert_same_bits(ties(), program, host_cc, build_cache, seed=3, count=2)
    inputs = some_inputs(program, seed=3, count=2)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    with on_core(program, core, zig, tmp_path) as session:
        for values, output in zip(inputs, expected, strict=True):
            np.testing.assert_array_equal(session.invoke(values).reshape(-1), output)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4"])
@pytest.mark.parametrize("form", _FORMS)
def test_estimates(form: str, core: str, zig: Toolchain, tmp_path: Path) -> None:
    for share, shape in ((0.5, (1, 5, 25, 64)), (0.9, (1, 48, 1, 32))):
        content = _network(_sparse(share), shape=shape, outputs=32)
        folder = tmp_path / f"{share}"
        folder.mkdir()
        program = program_with(content, form, core)
        with on_core(program, core, zig, folder) as session:
            assert_estimates(content, program, session, core)


# What fits, and what is chosen.


def test_what_does_not_fit() -> None:
    dense = _network(lambda rows: np.where(rows == 0, 1, rows))
    sparse = _network(_sparse(0.9))
    for core in _CORES:
        assert not any(set(_FORMS) & set(layer) for layer in offers(dense, core))
        assert all(set(_FORMS) <= set(layer) for layer in offers(sparse, core))
    assert not any(set(_FORMS) & set(layer) for layer in offers(sparse, "cortex-m55"))
    network = Network(np.random.default_rng(5), (1, 8, 8, 4), scale=0.1, zero_point=0)
    network.conv_2d(network.conv_2d(network.conv_2d(0, 4, kernel=(3, 3)), 4, stride=(2, 2)), 4)
    network.conv_2d(network.outputs[0], 4, gain=0.001)
    change_weights(network, _one_weight_a_row)
    for core in _CORES:
        found = offers(network.content(), core)
        assert ["delta" in layer for layer in found] == [False, False, True, False]


@pytest.mark.parametrize(("core", "most"), [("cortex-m4", 1 << 22), ("cortex-m0plus", 1 << 20)])
def test_accumulators_that_do_not_fit(core: str, most: int) -> None:
    """Beyond it the sums of two vectors would mix, or products with a multiplier overflow."""
    for bias, fits in ((most // 2, True), (most, False)):
        network = Network(np.random.default_rng(5), (1, 8, 8, 4), scale=0.1, zero_point=0)
        network.conv_2d(0, 2)
        change_weights(network, _one_weight_a_row)
        values = np.array([bias, 0], dtype=np.int32)
        network.tensors[network.operators[0].inputs[2]].data = values.tobytes()
        assert ("delta" in offers(network.content(), core)[0]) == fits


def test_scales_that_do_not_fit(host_cc: Toolchain, build_cache: Path) -> None:
    """Without a long multiply: a shift by 14 at most, but for outputs that all vanish."""
    for gain, fits in ((10, True), (1e2, False), (1e4, True), (1e9, True)):
        network = Network(np.random.default_rng(5), (1, 8, 8, 16), scale=0.1, zero_point=0)
        network.conv_2d(0, 4, gain=gain)
        change_weights(network, lambda rows: np.where(rows > 0, 0, rows))
        values = np.array([1 << 18] * 4, dtype=np.int32)
        network.tensors[network.operators[0].inputs[2]].data = values.tobytes()
        assert ("delta" in offers(network.content(), "cortex-m0plus")[0]) == fits
        if fits:
            program = program_with(network.content(), "delta", "cortex-m0plus")
            assert_same_bits(network.content(), program, host_cc, build_cache, seed=1, count=2)


@pytest.mark.parametrize("core", _CORES)
@pytest.mark.parametrize("share", [0.0, 0.8])
def test_it_is_chosen_where_it_pays(share: float, core: CoreName) -> None:
    """By the build's own choice: zeros are what makes the difference."""
    content = _network(zeros(np.random.default_rng(7), share), shape=(1, 5, 25, 64), outputs=64)
    program = generate(
        read_graph(content),
        labels=(),
        core=CORES[core],
        options=Options(objective="speed"),
    )
    assert encodings(program) == (["delta"] * 2 if share else ["dense"] * 2)


@pytest.mark.parametrize(
    ("core", "form", "where"),
    [
        *((core, "delta", "unstructured") for core in (*_CORES, "cortex-m3")),
        *((core, "block1x4", "block1x4") for core in (*_CORES, "cortex-m3")),
        ("cortex-m55", "bitmap", "unstructured"),
        ("cortex-m55", "bitmap", "block1x4"),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_advice_is_what_the_build_estimates(
    form: str, where: Zeros, core: CoreName, share: float
) -> None:
    """Pruning is told what the kernels take of the layer that was measured."""
    network = Network(np.random.default_rng(3), (1, 5, 25, 64), scale=0.1, zero_point=-128)
    network.conv_2d(0, 64, activation="relu", zero_point=-128)
    dense = select(read_graph(network.content()).operators[0], CORES[core], Options(encodings=()))
    blocks = np.random.default_rng(4).permutation(64 * 16).reshape(64, 16) >= share * 64 * 16
    kept = np.repeat(blocks, 4, axis=1)
    if where == "unstructured":
        kept = np.random.default_rng(4).permutation(kept.reshape(-1)).reshape(64, 64)
    change_weights(network, lambda rows: np.where(kept, np.where(rows == 0, 1, rows), 0))
    sparse = offers(network.content(), core)[0][form].estimate
    told = advice(core, where, share)
    assert sparse is not None
    assert dense.dense.estimate is not None
    assert told.instructions == pytest.approx(
        sparse.instructions / dense.dense.estimate.instructions, rel=0.1
    )
    assert told.flash_bytes == pytest.approx(
        sparse.flash_bytes / dense.dense.estimate.flash_bytes, rel=0.05
    )


def test_advice() -> None:
    assert 0.35 < advice("cortex-m4", "unstructured", 0.8).pays_from < 0.45
    assert advice("cortex-m4", "block1x4", 0.8).pays_from < 0.35
    assert advice("cortex-m3", "unstructured", 0.1).instructions < 1
    assert 0.1 < advice("cortex-m0plus", "unstructured", 0.8).pays_from < 0.2
    assert advice("cortex-m0plus", "block1x4", 0.8).pays_from < 0.1
    told = advice("cortex-m55", "unstructured", 0.8)
    assert told.pays_from == 1
    assert told.instructions < 1.15
    assert told.flash_bytes < 0.45
    assert advice("host", "unstructured", 0.9).flash_bytes == 1
