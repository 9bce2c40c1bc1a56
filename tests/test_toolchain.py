"""Compilers: found, checked, and how they fail; and the one way to run a program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgeprune import toolchain
from edgeprune.cores import CORES
from edgeprune.errors import CompileError, ProcessError, ToolchainError
from edgeprune.process import run
from edgeprune.toolchain import Job, Toolchain, find_toolchain


def _object(folder: Path, source: str, **changes: object) -> Job:
    (folder / "unit.c").write_text(source, encoding="utf-8")
    fields: dict[str, object] = {
        "sources": [Path("unit.c")],
        "output": Path("unit.o"),
        "core": CORES["cortex-m4"],
        "kind": "object",
        "cwd": folder,
    }
    return Job(**(fields | changes))  # type: ignore[arg-type]


def _compiler(folder: Path, name: str, version: str) -> None:
    """A program that says it is a compiler of some version."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nprint('{version}')\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def zig() -> Toolchain:
    return find_toolchain("zig")


def test_a_missing_compiler_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="arm-none-eabi-gcc is not installed") as caught:
        find_toolchain("arm-none-eabi-gcc")
    assert "apt-get install gcc-arm-none-eabi" in (caught.value.hint or "")


def test_a_compiler_that_is_too_old_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _compiler(tmp_path, "arm-none-eabi-gcc", "9.2.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match=r"version 9\.2\.1; 10\.0 or newer is needed"):
        find_toolchain("arm-none-eabi-gcc")
    _compiler(tmp_path, "arm-none-eabi-gcc", "10.3.1")
    assert find_toolchain("arm-none-eabi-gcc").identity == "arm-none-eabi-gcc 10.3.1"


def test_zig_comes_from_its_package(zig: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ziglang" in zig.program[0]
    monkeypatch.setattr(toolchain, "_zig", tuple)
    with pytest.raises(ToolchainError, match="zig is not installed") as caught:
        find_toolchain("zig")
    assert "pip install" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("int f(int a) { int unused; return a; }\n", "unused"),
        ("int f(long long a);\nint f(long long a) { return a; }\n", "conversion"),
        ("int f(void) { return 1 }\n", "expected"),
    ],
)
def test_a_warning_is_an_error_that_carries_everything(
    zig: Toolchain, tmp_path: Path, source: str, says: str
) -> None:
    with pytest.raises(CompileError) as caught:
        zig.build(_object(tmp_path, source))
    error = caught.value
    assert error.returncode not in (0, None)
    assert says in error.output
    assert "unit.c" in error.command
    assert "| " in str(error)
    assert not (tmp_path / "unit.o").exists()


def test_every_core_compiles(zig: Toolchain, tmp_path: Path) -> None:
    for core in CORES.values():
        kind = "object" if core.bare_metal else "shared"
        source = "int triple(int a);\nint triple(int a) { return 3 * a; }\n"
        assert not zig.build(_object(tmp_path, source, core=core, kind=kind))
        assert (tmp_path / "unit.o").stat().st_size > 0


def test_a_compiler_refuses_a_core_that_it_does_not_know(tmp_path: Path) -> None:
    job = _object(tmp_path, "int a;\n")
    with pytest.raises(ToolchainError, match=r"host's compiler does not build for cortex-m4"):
        Toolchain("host", "12.2.0", ("cc",)).build(job)
    job = _object(tmp_path, "int a;\n", core=CORES["host"])
    with pytest.raises(ToolchainError, match="arm-none-eabi-gcc does not build for host"):
        Toolchain("arm-none-eabi-gcc", "12.2.0", ("gcc",)).build(job)


def test_a_home_that_can_not_be_written_gets_another_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert toolchain._cache_environment() == {}
    monkeypatch.setattr(toolchain.os, "access", lambda path, mode: False)
    assert "build" in toolchain._cache_environment()["ZIG_GLOBAL_CACHE_DIR"]


def test_a_program_gets_its_arguments_as_they_are() -> None:
    said = run([sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "$HOME; 'x'", ""])
    assert said.strip() == repr(["a b", "$HOME; 'x'", ""])


def test_a_program_that_fails_hangs_or_is_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="exit code 3") as caught:
        run([sys.executable, "-c", "import sys; print('why'); sys.exit(3)"])
    assert (caught.value.returncode, caught.value.output) == (3, "why\n")
    with pytest.raises(ProcessError, match=r"longer than 0\.2 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.2)
    with pytest.raises(ProcessError, match="can't be run: No such file"):
        run([tmp_path / "absent"])
