"""The trainer's own C for a device: front-end and compiled model as shared libraries.

Their C ABI is the one that :class:`edgeprune.frontend.FrontendLibrary` and
:class:`edgeprune.codegen.HostProgram` bind on this machine. Both are stripped, hold no path of this
machine, and are the same bytes in every build.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeprune.codegen import Program
from edgeprune.codegen.host import library_sources
from edgeprune.cores import Core
from edgeprune.frontend import generate
from edgeprune.recipe import Frontend
from edgeprune.shared_library import compile_library
from edgeprune.toolchain import Toolchain

__all__ = ["FRONTEND", "MODEL", "build_frontend", "build_model"]

#: Where they lie in a bundle.
FRONTEND = "lib/libedgeprune_frontend.so"
MODEL = "lib/libedgeprune_model.so"


def build_frontend(frontend: Frontend, core: Core, toolchain: Toolchain, output: Path) -> None:
    """Compile a front-end.

    Args:
        frontend: its parameters.
        core: of the device.
        toolchain: what compiles it.
        output: the library; its folder is made when missing.

    Raises:
        FrontendError: for parameters that no front-end can be built from.
        CompileError: the compiler refused.
        ToolchainError: the compiler does not build for the core.
    """
    texts = generate.sources(frontend) | {n: generate.c_file(n) for n in ("host.c", "host.h")}
    units = [name for name in texts if name.endswith(".c")]
    compile_library(texts, units, toolchain, core, output)


def build_model(
    program: Program,
    frontend_sources: Mapping[str, str],
    core: Core,
    toolchain: Toolchain,
    output: Path,
) -> None:
    """Compile a network together with its front-end: PCM to scores.

    Args:
        program: the network's C, generated for the core.
        frontend_sources: of the front-end and of its input quantization.
        core: of the device.
        toolchain: what compiles it.
        output: the library; its folder is made when missing.

    Raises:
        CompileError: the compiler refused.
        ToolchainError: the compiler does not build for the core.
        ModelError: a front-end file has the name of a program's file.
    """
    texts, units = library_sources(program, frontend_sources)
    compile_library(texts, units, toolchain, core, output)
