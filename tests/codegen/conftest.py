"""What the tests of generated code share: compilers, and a program on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeprune.codegen import HostProgram, Program, generate
from edgeprune.errors import ToolchainError
from edgeprune.graph import read_graph
from edgeprune.toolchain import Toolchain, find_toolchain


def _compiler(name: str) -> Toolchain:
    try:
        return find_toolchain(name)
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def zig() -> Toolchain:
    return find_toolchain("zig")


@pytest.fixture(scope="session")
def host_cc() -> Toolchain:
    return _compiler("host")


@pytest.fixture(scope="session", params=["zig", "arm-none-eabi-gcc"])
def cross_compiler(request: pytest.FixtureRequest) -> Toolchain:
    return _compiler(request.param)


@pytest.fixture(scope="session")
def kws_model(shared_models: Path) -> Path:
    return shared_models / "mlperf_tiny_kws_ref.tflite"


@pytest.fixture(scope="session")
def kws_program(kws_model: Path) -> Program:
    return generate(read_graph(kws_model), labels=())


@pytest.fixture(scope="session")
def kws_host(kws_program: Program, zig: Toolchain, build_cache: Path) -> HostProgram:
    return HostProgram.build(kws_program, zig, build_cache)
