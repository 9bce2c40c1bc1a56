"""A tiny program that has the C interface of a generated one, and what builds it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprune.cores import CORES
from edgeprune.errors import ToolchainError
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain, find_toolchain

FAKE_PROGRAM = Path(__file__).parent / "fake_program"
CORTEX_M = [name for name, core in CORES.items() if core.bare_metal]


@pytest.fixture(params=CORTEX_M)
def core(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["zig", "arm-none-eabi-gcc"])
def toolchain(request: pytest.FixtureRequest) -> Toolchain:
    try:
        return find_toolchain(request.param)
    except ToolchainError as error:
        if "EDGEPRUNE_REQUIRE_COMPILERS" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture
def zig() -> Toolchain:
    return find_toolchain("zig")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the tiny program, to be changed at will."""
    return Path(shutil.copytree(FAKE_PROGRAM, tmp_path / "program"))


def target(core: str = "cortex-m4", **memory: int) -> Target:
    emulated = bool(CORES[core].unicorn)
    # The board that QEMU has for a core says where its flash lies.
    origin = 0x08000000 if emulated else 0
    table = {
        "name": "test",
        "core": core,
        "clock_mhz": 64.0,
        "device": "emulator" if emulated else "qemu",
        "memory": {"flash_kib": 64, "ram_kib": 16, "flash_origin": origin, **memory},
    }
    return Target.model_validate_json(json.dumps(table))


@pytest.fixture
def make_target() -> Callable[..., Target]:
    return target


@pytest.fixture
def edit_manifest(program: Path) -> Callable[..., None]:
    def edit(**changes: Any) -> None:
        path = program / "program.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit
