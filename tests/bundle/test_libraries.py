"""Cross-compiled libraries: which machine, which C library, which bits."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from edgeprune.bundle.libraries import build_frontend, build_model
from edgeprune.codegen import HostProgram, Program
from edgeprune.cores import CORES, GLIBC, CoreName
from edgeprune.errors import ToolchainError
from edgeprune.frontend import FrontendLibrary, InputQuantization, identity, sources
from edgeprune.toolchain import Toolchain
from tests.bundle.emulated_library import EmulatedLibrary
from tests.models import tiny

MACHINES: dict[CoreName, tuple[str, int]] = {
    "aarch64": ("EM_AARCH64", 64),
    "armv7": ("EM_ARM", 32),
    "x86_64": ("EM_X86_64", 64),
}
EVERY = pytest.mark.parametrize("core", MACHINES)
EMULATED = pytest.mark.parametrize("core", ["aarch64", "armv7"])


@dataclass
class Libraries:
    frontend: Path
    model: Path


@pytest.fixture(scope="module")
def libraries(
    tmp_path_factory: pytest.TempPathFactory,
    zig: Toolchain,
    program: Program,
    quantization: InputQuantization,
) -> dict[CoreName, Libraries]:
    folder = tmp_path_factory.mktemp("libraries")
    texts = sources(tiny.FRONTEND) | quantization.sources()
    made = {}
    for core in MACHINES:
        each = Libraries(folder / core / "frontend.so", folder / core / "model.so")
        build_frontend(tiny.FRONTEND, CORES[core], zig, each.frontend)
        build_model(program, texts, CORES[core], zig, each.model)
        made[core] = each
    return made


@pytest.fixture(scope="module")
def host_frontend(zig: Toolchain, build_cache: Path) -> FrontendLibrary:
    return FrontendLibrary.build(tiny.FRONTEND, zig, build_cache)


@pytest.fixture(scope="module")
def host_program(
    zig: Toolchain, build_cache: Path, program: Program, quantization: InputQuantization
) -> HostProgram:
    texts = sources(tiny.FRONTEND) | quantization.sources()
    return HostProgram.build(program, zig, build_cache, frontend_sources=texts)


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return tiny.dataset(train=4, held_out=4).test.pcm


@EVERY
def test_every_core_that_runs_linux_is_covered(core: CoreName) -> None:
    assert set(MACHINES) == {name for name, each in CORES.items() if each.linux}
    assert not CORES[core].bare_metal


@EVERY
@pytest.mark.parametrize("which", ["frontend", "model"])
def test_a_library_is_for_its_machine_and_for_old_systems(
    libraries: dict[CoreName, Libraries], core: CoreName, which: str
) -> None:
    path: Path = getattr(libraries[core], which)
    with path.open("rb") as file:
        elf = ELFFile(file)
        assert (elf["e_machine"], elf.elfclass) == MACHINES[core]
        assert elf["e_type"] == "ET_DYN"
        if core == "armv7":
            assert elf["e_flags"] & 0x400, "floats in registers"
        needed: set[tuple[int, ...]] = set()
        for section in elf.iter_sections():
            assert not section.name.startswith((".debug", ".symtab"))
            if isinstance(section, GNUVerNeedSection):
                for _, versions in section.iter_versions():
                    for version in versions:
                        numbers = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", version.name)
                        assert numbers, version.name
                        needed.add((int(numbers[1]), int(numbers[2])))
        assert all(version <= GLIBC for version in needed)
        # A Raspberry Pi 5's kernel has pages of 16 KiB.
        aligned = [each["p_align"] for each in elf.iter_segments() if each["p_type"] == "PT_LOAD"]
        assert min(aligned) >= (0x1000 if core == "x86_64" else 0x4000)


@EVERY
def test_a_library_holds_no_path_of_this_machine(
    libraries: dict[CoreName, Libraries], core: CoreName, zig: Toolchain
) -> None:
    for path in (libraries[core].frontend, libraries[core].model):
        content = path.read_bytes()
        for place in (path.parent, Path.home(), Path(zig.program[0]).parent, Path.cwd()):
            assert str(place).encode() not in content or place == Path("/")
        assert path.stat().st_size < 64 << 10


def test_a_second_build_gives_the_same_bytes(
    libraries: dict[CoreName, Libraries], zig: Toolchain, tmp_path: Path
) -> None:
    again = tmp_path / "another folder" / "again.so"
    build_frontend(tiny.FRONTEND, CORES["aarch64"], zig, again)
    assert again.read_bytes() == libraries["aarch64"].frontend.read_bytes()


def test_a_path_may_be_relative(
    libraries: dict[CoreName, Libraries],
    zig: Toolchain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    build_frontend(tiny.FRONTEND, CORES["aarch64"], zig, Path("build/lib/frontend.so"))
    made = tmp_path / "build/lib/frontend.so"
    assert made.read_bytes() == libraries["aarch64"].frontend.read_bytes()


def test_this_machine_s_own_kind_gives_the_host_s_bits(
    libraries: dict[CoreName, Libraries],
    host_frontend: FrontendLibrary,
    host_program: HostProgram,
    program: Program,
    clips: np.ndarray,
) -> None:
    if platform.machine() != "x86_64":
        pytest.skip(f"this machine is {platform.machine()}: it loads no library for x86_64")
    found = FrontendLibrary(tiny.FRONTEND, libraries["x86_64"].frontend)
    np.testing.assert_array_equal(found.features(clips), host_frontend.features(clips))
    model = HostProgram(program.manifest, libraries["x86_64"].model, takes_pcm=True)
    scores = host_program.infer_pcm(clips)
    assert len(np.unique(scores, axis=0)) > 1
    np.testing.assert_array_equal(model.infer_pcm(clips), scores)


@EMULATED
def test_an_emulated_machine_computes_the_host_s_features(
    libraries: dict[CoreName, Libraries],
    core: CoreName,
    host_frontend: FrontendLibrary,
    clips: np.ndarray,
) -> None:
    library = EmulatedLibrary(libraries[core].frontend)
    assert library.text(library.call("edgeprune_host_identity")) == identity(tiny.FRONTEND)
    expected = host_frontend.features(clips)
    out = library.put(np.zeros_like(expected))
    library.call("edgeprune_host_clips", library.put(clips), len(clips), out)
    np.testing.assert_array_equal(library.get(out, expected), expected)


@EMULATED
def test_an_emulated_machine_computes_the_host_s_scores(
    libraries: dict[CoreName, Libraries],
    core: CoreName,
    host_program: HostProgram,
    clips: np.ndarray,
) -> None:
    library = EmulatedLibrary(libraries[core].model)
    assert library.call("edgeprune_host_clip_samples") == clips.shape[1]
    expected = host_program.quantize_pcm(clips)
    state = library.put(np.zeros(library.call("edgeprune_host_frontend_size"), np.uint8))
    inputs = library.put(np.zeros_like(expected))
    library.call("edgeprune_host_quantize_clips", state, library.put(clips), len(clips), inputs)
    np.testing.assert_array_equal(library.get(inputs, expected), expected)
    scores = host_program.invoke(expected)
    state = library.put(np.zeros(library.call("edgeprune_host_state_size"), np.uint8))
    out = library.put(np.zeros_like(scores))
    library.call("edgeprune_host_invoke", state, inputs, len(clips), 0, 0, out, 0)
    np.testing.assert_array_equal(library.get(out, scores), scores)


def test_the_host_s_compiler_does_not_build_for_a_device(tmp_path: Path) -> None:
    compiler = Toolchain("host", "12.2.0", ("cc",))
    with pytest.raises(ToolchainError, match="does not build for aarch64"):
        build_frontend(tiny.FRONTEND, CORES["aarch64"], compiler, tmp_path / "library.so")
    assert not (tmp_path / "library.so").exists()
