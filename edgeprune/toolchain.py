"""Compilers: one way to compile, one way to fail.

``zig`` (clang from PyPI's ``ziglang``) is the default and builds for every core, those that run
Linux and the host included; ``arm-none-eabi-gcc`` is what firmware teams ship with; ``host`` is the
machine's own ``cc``. Warnings are errors with all three.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgeprune.cores import Core
from edgeprune.errors import CompileError, ToolchainError
from edgeprune.process import run

__all__ = ["Job", "Toolchain", "ToolchainName", "find_toolchain"]

ToolchainName = Literal["zig", "arm-none-eabi-gcc", "host"]
Optimize = Literal["speed", "size"]

#: -Wconversion is the one that finds silent narrowing in fixed-point code.
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wundef")
C_STANDARD = "-std=c99"
CXX_STANDARD = "-std=c++17"

_INSTALL = {
    "zig": "pip install 'ziglang>=0.14'",
    "arm-none-eabi-gcc": "apt-get install gcc-arm-none-eabi, or set toolchain = 'zig'",
    "host": "apt-get install gcc, or set toolchain = 'zig'",
}
_OLDEST = {"zig": (0, 14), "arm-none-eabi-gcc": (10, 0), "host": (8, 0)}


@dataclass(frozen=True)
class Job:
    """What to compile and link.

    Attributes:
        sources: C files (``.c``) or C++ files (``.cc``); relative paths are relative to ``cwd``.
        output: the file to write.
        core: the core to build for.
        kind: ``image`` (bare-metal ELF), ``shared`` (a library for this machine or, stripped, for
            another that runs Linux) or ``object`` (one source).
        cwd: the folder to compile in. Paths relative to it keep the output free of this
            machine's paths, which is what makes a second build byte-identical.
        include: folders of headers.
        defines: macro to value.
        linker_script: for an image.
        entry: an image's entry symbol.
        optimize: ``speed`` (-O2) or ``size`` (-Os).
        debug: emit DWARF line tables; symbols are there in any case.
        extra: more arguments for the compiler, such as ``-fsanitize=undefined``.
    """

    sources: Sequence[Path]
    output: Path
    core: Core
    kind: Literal["image", "shared", "object"]
    cwd: Path
    include: Sequence[Path] = ()
    defines: Mapping[str, str] = field(default_factory=dict)
    linker_script: Path | None = None
    entry: str | None = None
    optimize: Optimize = "speed"
    debug: bool = False
    extra: Sequence[str] = ()

    def arguments(self) -> list[str]:
        """The arguments that every compiler takes alike, sources and output included."""
        cxx = any(source.suffix in (".cc", ".cpp") for source in self.sources)
        arguments = [CXX_STANDARD if cxx else C_STANDARD, *WARNINGS]
        arguments.append("-g" if self.debug else "-g0")
        arguments += [f"-I{folder}" for folder in self.include]
        arguments += [f"-D{name}={value}" for name, value in sorted(self.defines.items())]
        if self.kind == "image":
            arguments += ["-ffreestanding", "-ffunction-sections", "-fdata-sections"]
            arguments += ["-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]
            # Costs a sixth of the flash with clang, and slows a network down on most cores.
            arguments += ["-fno-unroll-loops", "-Wl,--gc-sections"]
            arguments += [f"-Wl,--entry={self.entry}"] if self.entry else []
            arguments += [f"-Wl,-T,{self.linker_script}"] if self.linker_script else []
        elif self.kind == "shared":
            arguments += ["-shared", "-fPIC"]
            # Without what zig's own runtime library brings: a megabyte of debug information.
            arguments += ["-s"] if self.core.linux else []
        else:
            arguments += ["-c", "-ffreestanding"]
        arguments += self.extra
        return [*arguments, *map(str, self.sources), "-o", str(self.output)]


@dataclass(frozen=True)
class Toolchain:
    """A compiler that is there and new enough.

    Attributes:
        name: ``zig``, ``arm-none-eabi-gcc`` or ``host``.
        version: as the compiler prints it.
        program: the command that comes before the language driver's arguments.
    """

    name: ToolchainName
    version: str
    program: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Name and version, for the keys of what it builds."""
        return f"{self.name} {self.version}"

    def build(self, job: Job, *, timeout_s: float = 300.0) -> str:
        """Compile and link; returns the compiler's output (empty as a rule).

        Raises:
            CompileError: the compiler refused; carries command, exit code and last lines.
            ToolchainError: this compiler does not build for the core.
        """
        command = [
            *self._driver(job),
            *self._machine(job),
            *self._optimization(job),
            *job.arguments(),
            *self._libraries(job),
        ]
        return run(
            command, cwd=job.cwd, env=_cache_environment(), timeout_s=timeout_s, error=CompileError
        )

    def _driver(self, job: Job) -> list[str]:
        cxx = any(source.suffix in (".cc", ".cpp") for source in job.sources)
        if self.name == "zig":
            return [*self.program, "c++" if cxx else "cc"]
        (compiler,) = self.program
        if not cxx:
            return [compiler]
        return [compiler.removesuffix("gcc") + "g++" if compiler.endswith("gcc") else "c++"]

    def _machine(self, job: Job) -> list[str]:
        core = job.core
        if self.name == "zig":
            # zig adds UBSan to unoptimized builds by itself; what is wanted is asked for.
            plain = [] if any("-fsanitize" in item for item in job.extra) else ["-fno-sanitize=all"]
            return [*core.zig, *plain]
        if self.name == "host":
            if core.name != "host":
                raise ToolchainError(
                    f"the host's compiler does not build for {core.name}",
                    hint="toolchain = 'zig' builds for every core",
                )
            return []
        if not core.gcc:
            raise ToolchainError(
                f"arm-none-eabi-gcc does not build for {core.name}",
                hint="toolchain = 'zig' builds for every core",
            )
        # Without it gcc turns the loops of our own memcpy and memset into calls of themselves.
        link = ["-nostdlib"] if job.kind == "image" else []
        return [*core.gcc, "-fno-tree-loop-distribute-patterns", *link]

    def _optimization(self, job: Job) -> list[str]:
        if job.optimize == "speed":
            return ["-O2"]
        # With a plain -Os zig leaves the symbols out, which profiles and sizes are read from.
        return ["-O2", "-Xclang", "-Os"] if self.name == "zig" else ["-Os"]

    def _libraries(self, job: Job) -> list[str]:
        """After the sources: gcc's divisions and long multiplies for cores without them."""
        return ["-lgcc"] if self.name == "arm-none-eabi-gcc" and job.kind == "image" else []


def find_toolchain(name: ToolchainName) -> Toolchain:
    """Find a compiler and check its version.

    Raises:
        ToolchainError: missing or too old, with how to get it.
    """
    if name == "zig":
        program = _zig()
        version = run([*program, "version"]).strip() if program else ""
    else:
        wanted = (os.environ.get("CC") or "cc") if name == "host" else name
        path = shutil.which(wanted)
        program = (path,) if path else ()
        version = run([path, "-dumpfullversion", "-dumpversion"]).strip() if path else ""
    if not program:
        raise ToolchainError(f"the compiler {name} is not installed", hint=_INSTALL[name])
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < _OLDEST[name]:
        oldest = ".".join(map(str, _OLDEST[name]))
        raise ToolchainError(
            f"the compiler {name} is version {version}; {oldest} or newer is needed",
            where=program[0],
            hint=_INSTALL[name],
        )
    return Toolchain(name=name, version=version, program=program)


def _zig() -> tuple[str, ...]:
    try:
        import ziglang
    except ImportError:
        path = shutil.which("zig")
        return (path,) if path else ()
    return (str(Path(ziglang.__file__).parent / "zig"),)


def _cache_environment() -> dict[str, str]:
    """Zig keeps its runtime libraries in a cache; a home that can't be written needs another."""
    if "ZIG_GLOBAL_CACHE_DIR" in os.environ:
        return {}
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if os.access(home if home.exists() else home.parent, os.W_OK):
        return {}
    return {"ZIG_GLOBAL_CACHE_DIR": str(Path("build", ".zig-cache").resolve())}
