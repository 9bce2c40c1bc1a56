"""Kernels for cores without SIMD, on this machine: bit for bit what the reference computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram, Options, Program, generate
from edgeprune.codegen.kernels.scalar_groups import STEPS, Arrangement, arrange
from edgeprune.cores import CORES
from edgeprune.graph import Graph, read_graph
from edgeprune.toolchain import Toolchain
from tests.codegen.case import Case
from tests.codegen.reference import Reference
from tests.graph.networks import ACTIVATIONS, Network

_CORES = ["cortex-m3", "cortex-m0plus"]
_DENSE = Options(encodings=())
_ZERO_POINTS = st.one_of(st.sampled_from([-128, -128, -1, 0, 127]), st.integers(-128, 127))
#: 0.02 makes shifts of 1 and less, which other kernels take; 1e9 makes multipliers of 0.
_GAINS = st.sampled_from([0.02, 0.3, 1.0, 1.0, 2.0, 30.0, 1e9])
_ACTIVATIONS = st.sampled_from(["relu", "relu", *sorted(ACTIVATIONS)])
_COST = {2: 6.0, 3: 5.2, 4: 4.8, 6: 4.5, 8: 4.3}


@st.composite
def _networks(draw: st.DrawFn) -> Case:
    """A chain of layers, so that they write over each other's memory; some images are rows."""
    seed = draw(st.integers(0, 2**31))
    width = draw(st.sampled_from([1, 1, 2, 3, 5, 9]))
    height = draw(st.integers(1, 40 if width == 1 else 9))
    network = Network(
        np.random.default_rng(seed),
        (draw(st.sampled_from([1, 1, 1, 2])), height, width, draw(st.integers(1, 13))),
        scale=0.1,
        zero_point=draw(_ZERO_POINTS),
    )
    source = 0
    for _ in range(draw(st.integers(2, 6))):
        source = _layer(draw, network, source)
    return Case(network.content(), seed)


def _layer(draw: st.DrawFn, network: Network, source: int) -> int:
    _, height, width, _ = network.shape(source)
    weighted = {
        "activation": draw(_ACTIVATIONS),
        "per_channel": draw(st.booleans()),
        "gain": draw(_GAINS),
        "zero_point": draw(_ZERO_POINTS),
    }
    kind = draw(st.sampled_from(["conv", "pointwise", "depthwise", "depthwise"]))
    if kind == "pointwise":
        return network.conv_2d(source, draw(st.integers(1, 18)), **weighted)
    dilation = (draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([1, 1, 2])))
    kernel = (draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 3, 3, 5, 7, 9])))
    if draw(st.booleans()):
        kernel = kernel[::-1]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    fits = reach[0] <= height and reach[1] <= width
    window = {
        "kernel": kernel,
        "stride": (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        "dilation": dilation,
        "padding": draw(st.sampled_from(["same", "valid"])) if fits else "same",
    }
    if kind == "depthwise":
        return network.depthwise_conv_2d(source, **window, **weighted)
    return network.conv_2d(source, draw(st.integers(1, 9)), **window, **weighted)


def _inputs(graph: Graph, seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    random = rng.integers(-128, 128, (count, *graph.input.shape), dtype=np.int8)
    extremes = [np.full(graph.input.shape, value, dtype=np.int8) for value in (-128, 127)]
    extremes.append(rng.choice(np.array([-128, 127], dtype=np.int8), graph.input.shape))
    return np.concatenate([np.stack(extremes), random])


def _assert_same_bits(
    content: bytes, core: str, toolchain: Toolchain, cache: Path, *, seed: int = 0, count: int = 3
) -> Program:
    graph = read_graph(content)
    program = generate(graph, labels=(), core=CORES[core], options=_DENSE)
    host = HostProgram.build(program, toolchain, cache)
    reference = Reference(content)
    operators = {operator.output.index: operator for operator in graph.operators}
    for values in _inputs(graph, seed, count):
        reference.invoke(values)
        for layer, actual in zip(program.manifest.layers, host.trace(values), strict=True):
            expected = reference.tensor(layer.tensor)
            np.testing.assert_array_equal(actual, expected, err_msg=str(operators[layer.tensor]))
    return program


def _scalar_layers(program: Program) -> list[str]:
    kernels = [layer.kernel for layer in program.manifest.layers]
    return [kernel for kernel in kernels if kernel.startswith("edgeprune_scalar_")]


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.parametrize("core", _CORES)
@given(case=_networks())
def test_random_networks(core: str, case: Case, zig: Toolchain, build_cache: Path) -> None:
    _assert_same_bits(case.content, core, zig, build_cache, seed=case.seed)


@pytest.mark.parametrize("core", _CORES)
def test_every_kernel_is_taken(core: str, zig: Toolchain, build_cache: Path) -> None:
    network = Network(np.random.default_rng(1), (1, 13, 4, 3), scale=0.1, zero_point=4)
    tensor = network.conv_2d(0, 11, kernel=(4, 3), stride=(2, 1), activation="relu6")
    tensor = network.depthwise_conv_2d(tensor, kernel=(3, 3), zero_point=-3)
    tensor = network.conv_2d(tensor, 17, activation="relu_n1_to_1", zero_point=70)
    network.conv_2d(tensor, 9, activation="relu", zero_point=-128)
    program = _assert_same_bits(network.content(), core, zig, build_cache, count=60)
    assert _scalar_layers(program) == [
        "edgeprune_scalar_conv_2d",
        "edgeprune_scalar_depthwise_conv_2d",
        "edgeprune_scalar_pointwise_conv_2d",
        "edgeprune_scalar_pointwise_conv_2d",
    ]


@pytest.mark.parametrize("core", _CORES)
def test_ties_round_away_from_zero(core: str, zig: Toolchain, build_cache: Path) -> None:
    """A real multiplier of 2**-9: every 512th accumulator lies half way."""
    network = Network(np.random.default_rng(1), (1, 256, 1, 1), scale=0.5)
    network.conv_2d(0, 40, per_channel=False)
    network.tensors[1].scales = [0.25]
    network.tensors[-1].scales = [64.0]
    network.tensors[1].data = np.arange(-120, 120, 6, dtype=np.int8).tobytes()
    network.tensors[2].data = np.tile(np.array([0, 256], dtype=np.int32), 20).tobytes()
    graph = read_graph(network.content())
    program = generate(graph, labels=(), core=CORES[core], options=_DENSE)
    values = np.arange(-128, 128).astype(np.int8)
    (found,) = HostProgram.build(program, zig, build_cache).invoke(values.reshape(1, 256))
    reference = Reference(network.content())
    reference.invoke(values.reshape(1, 256, 1, 1))
    np.testing.assert_array_equal(found, reference.tensor(graph.output.index).reshape(-1))
    assert len(_scalar_layers(program)) == 1
    products = np.arange(-120, 120, 6) * (
        values[:, np.newaxis].astype(int) - graph.input.zero_point
    )
    assert np.any(products % 512 == 256)


def test_the_published_networks(shared_models: Path, zig: Toolchain, build_cache: Path) -> None:
    content = (shared_models / "mlperf_tiny_kws_ref.tflite").read_bytes()
    program = generate(read_graph(content), labels=(), core=CORES["cortex-m3"], options=_DENSE)
    assert len(_scalar_layers(program)) == 9
    assert program.manifest.arena_bytes < 9500
    kws = HostProgram.build(program, zig, build_cache)
    plain = HostProgram.build(generate(read_graph(content), labels=()), zig, build_cache)
    inputs = _inputs(read_graph(content), 1, 20)
    np.testing.assert_array_equal(kws.invoke(inputs), plain.invoke(inputs))


def _groups(arrangement: Arrangement) -> list[list[int]]:
    """The values of each group."""
    looped = arrangement.turns * STEPS[arrangement.group]
    starts = [*range(0, looped, arrangement.group), *range(looped, arrangement.taps, 2)]
    ends = [*starts[1:], arrangement.taps]
    return [arrangement.order[start:end].tolist() for start, end in zip(starts, ends, strict=True)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    depth=st.integers(1, 90),
    outputs=st.integers(1, 40),
    largest=st.sampled_from([4, 20, 30, 60, 90, 128]),
    seed=st.integers(0, 2**31),
)
def test_groups_fit_16_bits(depth: int, outputs: int, largest: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-largest, largest, (outputs, depth), dtype=np.int8)
    rows = np.maximum(rows, -127)
    arrangement = arrange(rows, _COST)
    assert arrangement is not None
    groups = _groups(arrangement)
    met = [value for group in groups for value in group]
    assert sorted(value for value in met if value < depth) == list(range(depth))
    weights = np.abs(arrangement.arrange(rows).astype(int))
    at = 0
    for group in groups:
        assert weights[:, at : at + len(group)].sum(axis=1).max() <= 255
        at += len(group)
    assert weights.sum() == np.abs(rows.astype(int)).sum()
    assert max(arrangement.indices().view(np.uint8)) < depth


def test_small_weights_lie_in_large_groups() -> None:
    sizes = []
    for largest in (30, 40, 60, 80, 127):
        arrangement = arrange(np.full((2, 48), largest, dtype=np.int8), _COST)
        assert arrangement is not None
        assert not arrangement.is_ordered
        sizes.append(arrangement.group)
    assert sizes == [8, 6, 4, 3, 2]


def test_heavy_taps_are_spread() -> None:
    """In the natural order one group would be too heavy."""
    rows = np.full((3, 24), 30, dtype=np.int8)
    rows[:, :4] = 127
    arrangement = arrange(rows, _COST)
    assert arrangement is not None
    assert arrangement.is_ordered
    assert arrangement.group > 2


def test_a_filter_too_long_is_left_to_others() -> None:
    assert arrange(np.full((1, 2000), 127, dtype=np.int8), _COST) is None
