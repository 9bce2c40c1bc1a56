"""Palettes and bitmaps: bit for bit the reference's, on this machine and on the cores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram, generate
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
    zeros,
)
from tests.codegen.sanitizers import execute
from tests.graph.networks import ACTIVATIONS, Network

_FORMS = ("palette4", "bitmap")
#: One of each family of dense kernels.
_CORES = ("cortex-m0plus", "cortex-m4", "cortex-m55")
_ZERO_POINTS = st.one_of(st.sampled_from([-128, -128, 0, 127]), st.integers(-128, 127))


@st.composite
def _networks(draw: st.DrawFn, *, multiple: int) -> tuple[bytes, int]:
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    depths = st.integers(2 // multiple + 1, 40 // multiple)
    shape = (1, draw(st.integers(1, 9)), 1, multiple * draw(depths))
    network = Network(rng, shape, scale=0.1, zero_point=draw(_ZERO_POINTS))
    tensor = 0
    for _ in range(draw(st.integers(1, 3))):
        tensor = network.conv_2d(
            tensor,
            multiple * draw(depths),
            activation=draw(st.sampled_from(["relu", *sorted(ACTIVATIONS)])),
            per_channel=draw(st.booleans()),
            gain=draw(st.sampled_from([1.0, 30.0])),
            zero_point=draw(_ZERO_POINTS),
        )
    change_weights(network, zeros(rng, draw(st.sampled_from([0.0, 0.3, 0.6]))))
    change_weights(network, few_values())
    return network.content(), seed


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
@pytest.mark.parametrize("core", _CORES)
@pytest.mark.parametrize("form", _FORMS)
def test_random_networks(
    form: str, core: str, data: st.DataObject, host_cc: Toolchain, build_cache: Path
) -> None:
    content, seed = data.draw(_networks(multiple=4 if core == "cortex-m4" else 1))
    program = program_with(content, form, core)
    assert form in encodings(program)
    assert_same_bits(content, program, host_cc, build_cache, seed=seed, count=2)


def _network(change: Change, *, depths: tuple[int, int] = (44, 36)) -> bytes:
    network = Network(np.random.default_rng(5), (1, 29, 1, depths[0]), scale=0.1, zero_point=-20)
    tensor = network.conv_2d(0, depths[1], activation="relu", zero_point=-128)
    network.conv_2d(tensor, 20, zero_point=11)
    change_weights(network, change)
    return network.content()


def _depths(core: str) -> tuple[int, int]:
    """Odd ones where the kernels take them."""
    return (44, 36) if CORES[core].dsp and not CORES[core].mve else (43, 37)


def _typical(rows: np.ndarray) -> np.ndarray:
    return few_values()(zeros(np.random.default_rng(7), 0.4)(rows))


@pytest.mark.parametrize("core", _CORES)
@pytest.mark.parametrize("form", _FORMS)
def test_nothing_is_undefined_or_out_of_bounds(
    form: str, core: str, host_cc: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    program = program_with(_network(_typical, depths=_depths(core)), form, core)
    inputs = some_inputs(program, seed=5, count=5)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    np.testing.assert_array_equal(execute("host", program, inputs, tmp_path), expected)


@pytest.mark.parametrize(
    "core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33", "cortex-m55"]
)
@pytest.mark.parametrize("form", _FORMS)
def test_cores_compute_what_this_machine_does(
    form: str,
    core: str,
    cross_compiler: Toolchain,
    host_cc: Toolchain,
    build_cache: Path,
    tmp_path: Path,
) -> None:
    program = program_with(_network(_typical, depths=_depths(core)), form, core)
    assert encodings(program) == [form, form]
    inputs = some_inputs(program, seed=6, count=3)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    with on_core(program, core, cross_compiler, tmp_path) as session:
        for values, output in zip(inputs, expected, strict=True):
            np.testing.assert_array_equal(session.invoke(values).reshape(-1), output)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("form", _FORMS)
def test_estimates(form: str, core: str, zig: Toolchain, tmp_path: Path) -> None:
    content = _network(_typical)
    program = program_with(content, form, core)
    with on_core(program, core, zig, tmp_path) as session:
        assert_estimates(content, program, session, core)


@pytest.mark.parametrize("core", _CORES)
def test_what_does_not_fit(core: str) -> None:
    many = offers(_network(lambda rows: rows), core)
    assert ["palette4" in layer for layer in many] == [False, False]
    assert ["bitmap" in layer for layer in many] == [True, True]
    network = Network(np.random.default_rng(5), (1, 4, 4, 6), scale=0.1, zero_point=0)
    network.conv_2d(network.conv_2d(network.conv_2d(0, 5), 6), 4, stride=(2, 2))
    change_weights(network, few_values())
    found = ["palette4" in layer for layer in offers(network.content(), core)]
    assert found == ([False] * 3 if core == "cortex-m4" else [True, True, False])


@pytest.mark.parametrize("core", _CORES)
def test_it_is_chosen_where_it_pays(core: CoreName) -> None:
    """By the build's own choice: both are stored small, as bytes outweigh the unpacking."""
    for change, encoding in ((few_values(), "palette4"), (lambda rows: rows, "dense")):
        program = generate(read_graph(_network(change)), labels=(), core=CORES[core])
        assert encodings(program) == [encoding] * 2


def test_a_fully_connected_layer(host_cc: Toolchain, build_cache: Path) -> None:
    """With MVE it is a matrix as a pointwise convolution is one."""
    network = Network(np.random.default_rng(5), (1, 50), scale=0.1, zero_point=3)
    network.fully_connected(0, 20, per_channel=False)
    weights = network.tensors[network.operators[0].inputs[1]]
    old = np.frombuffer(weights.data, dtype=np.int8).reshape(20, 50)
    weights.data = few_values()(old).astype(np.int8).tobytes()
    program = program_with(network.content(), "palette4", "cortex-m55")
    assert encodings(program) == ["palette4"]
    plain = generate(read_graph(network.content()), labels=(), core=CORES["cortex-m55"])
    inputs = some_inputs(program, seed=1, count=5)
    np.testing.assert_array_equal(
        HostProgram.build(program, host_cc, build_cache).invoke(inputs),
        HostProgram.build(plain, host_cc, build_cache).invoke(inputs),
    )
