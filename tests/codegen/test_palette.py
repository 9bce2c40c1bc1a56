"""Palettes and bitmaps: bit for bit the reference's, on this machine and on the cores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram
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
    sanitized,
    some_inputs,
    zeros,
)
from tests.graph.networks import ACTIVATIONS, Network

_FORMS = ("palette4", "bitmap")
_ZERO_POINTS = st.one_of(st.sampled_from([-128, -128, 0, 127]), st.integers(-128, 127))


@st.composite
def _networks(draw: st.DrawFn) -> tuple[bytes, int]:
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    shape = (1, draw(st.integers(1, 9)), 1, 4 * draw(st.integers(1, 10)))
    network = Network(rng, shape, scale=0.1, zero_point=draw(_ZERO_POINTS))
    tensor = 0
    for _ in range(draw(st.integers(1, 3))):
        tensor = network.conv_2d(
            tensor,
            4 * draw(st.integers(1, 6)),
            activation=draw(st.sampled_from(["relu", *sorted(ACTIVATIONS)])),
            per_channel=draw(st.booleans()),
            gain=draw(st.sampled_from([1.0, 30.0])),
            zero_point=draw(_ZERO_POINTS),
        )
    change_weights(network, zeros(rng, draw(st.sampled_from([0.0, 0.3, 0.6]))))
    change_weights(network, few_values())
    return network.content(), seed


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=_networks())
@pytest.mark.parametrize("form", _FORMS)
def test_random_networks(
    form: str, case: tuple[bytes, int], host_cc: Toolchain, build_cache: Path
) -> None:
    content, seed = case
    program = program_with(content, form)
    assert form in encodings(program)
    assert_same_bits(content, program, host_cc, build_cache, seed=seed, count=2)


def _network(change: Change) -> bytes:
    network = Network(np.random.default_rng(5), (1, 29, 1, 44), scale=0.1, zero_point=-20)
    tensor = network.conv_2d(0, 36, activation="relu", zero_point=-128)
    network.conv_2d(tensor, 20, zero_point=11)
    change_weights(network, change)
    return network.content()


def _typical(rows: np.ndarray) -> np.ndarray:
    return few_values()(zeros(np.random.default_rng(7), 0.4)(rows))


@pytest.mark.parametrize("form", _FORMS)
def test_nothing_is_undefined_or_out_of_bounds(
    form: str, host_cc: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    program = program_with(_network(_typical), form)
    inputs = some_inputs(program, seed=5, count=5)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    assert sanitized(program, inputs, host_cc, tmp_path) == expected.tobytes()


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
@pytest.mark.parametrize("form", _FORMS)
def test_cores_compute_what_this_machine_does(
    form: str,
    core: str,
    cross_compiler: Toolchain,
    host_cc: Toolchain,
    build_cache: Path,
    tmp_path: Path,
) -> None:
    program = program_with(_network(_typical), form, core)
    assert encodings(program) == [form, form]
    inputs = some_inputs(program, seed=6, count=3)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    with on_core(program, core, cross_compiler, tmp_path) as session:
        for values, output in zip(inputs, expected, strict=True):
            np.testing.assert_array_equal(session.invoke(values).reshape(-1), output)


@pytest.mark.parametrize("form", _FORMS)
def test_estimates(form: str, zig: Toolchain, tmp_path: Path) -> None:
    content = _network(_typical)
    program = program_with(content, form)
    with on_core(program, "cortex-m4", zig, tmp_path) as session:
        assert_estimates(content, program, session, "cortex-m4")


def test_what_does_not_fit() -> None:
    many = offers(_network(lambda rows: rows), "cortex-m4")
    assert ["palette4" in layer for layer in many] == [False, False]
    assert ["bitmap" in layer for layer in many] == [True, True]
    for core in ("cortex-m0plus", "cortex-m3", "cortex-m55"):
        assert not any(
            {"palette4", "bitmap"} & set(layer) for layer in offers(_network(_typical), core)
        )
    network = Network(np.random.default_rng(5), (1, 4, 4, 6), scale=0.1, zero_point=0)
    network.conv_2d(network.conv_2d(0, 5), 6)
    change_weights(network, few_values())
    assert not any(
        {"palette4", "bitmap"} & set(layer) for layer in offers(network.content(), "cortex-m4")
    )
