from __future__ import annotations

from pathlib import Path

import pytest

from edgeprune.cores import CORES
from edgeprune.errors import ImageError
from edgeprune.firmware import Elf, build_image
from edgeprune.toolchain import Job


@pytest.fixture
def elf(program, make_target, zig, tmp_path):
    return Elf(build_image(program, make_target(), zig, tmp_path / "out").elf)


def test_identity_is_that_of_the_headers(elf):
    assert elf.identity.frontend == "0123456789abcdef"
    assert elf.identity.model == "fedcba9876543210"
    assert elf.identity.protocol == 1


def test_functions_are_found_by_address(elf):
    function = elf.symbol("edgeprune_layer_00_dense")
    assert function.address % 2 == 0
    assert elf.function_at(function.address) == function
    assert elf.function_at(function.address + function.size - 1) == function
    after = elf.function_at(function.address + function.size)
    assert after is None or after.address == function.address + function.size
    assert elf.function_at(0) is None
    assert elf.function_at(0x20000000) is None


def test_a_missing_symbol_is_named(elf):
    with pytest.raises(ImageError, match="has no symbol nowhere"):
        elf.symbol("nowhere")


def test_what_is_not_an_image_is_refused(tmp_path, zig):
    with pytest.raises(ImageError, match="can't be read"):
        Elf(tmp_path / "absent.elf")
    (tmp_path / "text.elf").write_text("hello")
    with pytest.raises(ImageError, match="is not an ELF file"):
        Elf(tmp_path / "text.elf")
    (tmp_path / "a.c").write_text("int f(void);\nint f(void) { return 1; }\n")
    zig.build(
        Job(
            sources=[Path("a.c")],
            output=tmp_path / "a.o",
            core=CORES["cortex-m4"],
            kind="object",
            cwd=tmp_path,
        )
    )
    with pytest.raises(ImageError, match="not a linked image"):
        Elf(tmp_path / "a.o")


def test_an_image_without_the_note_is_refused(elf):
    elf._note = None
    with pytest.raises(ImageError, match="no identity"):
        _ = elf.identity
