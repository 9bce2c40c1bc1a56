from __future__ import annotations

import json
import shutil

import pytest

from edgeprune.cores import CORES
from edgeprune.errors import CompileError, ImageError
from edgeprune.firmware import Elf, Image, build_image
from edgeprune.firmware.binary import flat_binary
from edgeprune.process import run

FILES = ("firmware.elf", "firmware.bin", "firmware.hex", "sizes.json")


def test_both_compilers_build_without_a_warning_and_twice_the_same_bytes(
    program, make_target, core, toolchain, tmp_path
):
    first = build_image(program, make_target(core), toolchain, tmp_path / "one")
    moved = shutil.copytree(program, tmp_path / "a" / "quite" / "different" / "place")
    second = build_image(moved, make_target(core), toolchain, tmp_path / "two" / "deeper")
    for name in FILES:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name
    assert str(tmp_path).encode() not in first.elf.read_bytes()
    assert Elf(first.elf).identity.model == first.manifest.identity
    assert 500 < first.sizes.flash < 6000
    assert first.sizes.stack == 2048
    # What is named after a layer is the layer's.
    assert [layer.constant_bytes for layer in first.sizes.layers] == [48, 6]
    assert all(layer.code_bytes > 0 for layer in first.sizes.layers)


def test_only_cores_with_an_fpu_switch_it_on(program, make_target, core, zig, tmp_path):
    image = build_image(program, make_target(core), zig, tmp_path / "out")
    startup = (image.folder / "source" / "startup.c").read_text()
    assert ("CPACR" in startup) is CORES[core].fpu


def test_sizes_are_those_of_binutils(program, make_target, tmp_path, zig):
    if shutil.which("arm-none-eabi-size") is None:
        pytest.skip("arm-none-eabi-size is not installed")
    image = build_image(program, make_target(), zig, tmp_path / "out")
    table = run(["arm-none-eabi-size", "-A", "-d", image.elf])
    sizes = {
        line.split()[0]: int(line.split()[1]) for line in table.splitlines() if "." in line[:1]
    }
    for section in image.sizes.sections:
        assert sizes[section.name] == section.size
    assert image.sizes.ram == sizes[".data"] + sizes[".bss"]
    stored = sum(sizes.get(name, 0) for name in (".text", ".note.edgeprune", ".rodata", ".data"))
    assert 0 <= image.sizes.flash - stored < 16


def test_initialized_data_counts_in_flash_and_in_ram(program, make_target, zig, tmp_path):
    before = build_image(program, make_target(), zig, tmp_path / "before").sizes
    source = program / "quantize.c"
    table = "static volatile int8_t table[256] = {1, 2, 3};\n"
    text = source.read_text().replace("void edgeprune", table + "void edgeprune", 1)
    text = text.replace(" + bias", " + bias + table[i + 4]++")
    source.write_text(text)
    after = build_image(program, make_target(), zig, tmp_path / "after").sizes
    assert 256 <= after.ram - before.ram <= 264
    assert after.flash - before.flash >= 256
    (data,) = (section for section in after.sections if section.name == ".data")
    assert data.place == "flash+ram"
    assert after.largest("ram", 20) and any(s.name == "table" for s in after.largest("ram", 20))


def test_the_binary_starts_with_the_vector_table(program, make_target, zig, tmp_path):
    image = build_image(program, make_target(), zig, tmp_path / "out")
    elf = Elf(image.elf)
    binary = image.binary.read_bytes()
    assert len(binary) == image.sizes.flash
    assert int.from_bytes(binary[:4], "little") == elf.symbol("edgeprune_stack_top").address
    reset = int.from_bytes(binary[4:8], "little")
    assert reset == elf.symbol("Reset_Handler").address | 1 == elf.entry
    assert flat_binary(elf.segments) == binary


def test_the_stack_lies_lowest_in_ram(program, make_target, zig, tmp_path):
    image = build_image(program, make_target(stack_bytes=1000), zig, tmp_path / "out")
    elf = Elf(image.elf)
    assert elf.symbol("edgeprune_stack_bottom").address == 0x20000000
    assert elf.symbol("edgeprune_stack_top").address == 0x20000000 + 1000
    assert image.sizes.stack == 1000


def test_too_much_flash_is_an_error_with_numbers(program, make_target, toolchain, tmp_path):
    for name in ("model_weights.c", "model_weights.h"):
        source = program / name
        source.write_text(source.read_text().replace("[HIDDEN][4]", "[HIDDEN * 1000][4]"))
    with pytest.raises(ImageError, match=r"flash: [\d,]+ bytes needed, 8,192 there") as caught:
        build_image(program, make_target(flash_kib=8), toolchain, tmp_path / "out")
    assert "edgeprune_layer_00_weights 48,000" in str(caught.value)
    assert "RAM" not in caught.value.message
    assert not list((tmp_path / "out").iterdir())


def test_too_much_ram_is_an_error_with_numbers(program, make_target, toolchain, tmp_path):
    header = program / "model.h"
    header.write_text(header.read_text().replace("ARENA_SIZE 64", "ARENA_SIZE 9000"))
    with pytest.raises(ImageError, match=r"RAM: ([\d,]+) bytes needed .*, 8,192 there") as caught:
        build_image(program, make_target(ram_kib=8), toolchain, tmp_path / "out")
    assert "edgeprune_application" in str(caught.value)
    assert "flash:" not in caught.value.message


def test_a_compiler_error_is_not_taken_for_an_overflow(program, make_target, zig, tmp_path):
    (program / "model.c").write_text("int broken(void) { return overflow; }\n")
    with pytest.raises(CompileError):
        build_image(program, make_target(), zig, tmp_path / "out")


def test_a_failed_build_leaves_the_old_image(program, make_target, zig, tmp_path):
    image = build_image(program, make_target(), zig, tmp_path / "out")
    before = {name: (image.folder / name).read_bytes() for name in FILES}
    (program / "model.c").write_text("#error broken\n")
    with pytest.raises(CompileError):
        build_image(program, make_target(), zig, tmp_path / "out")
    assert {name: (image.folder / name).read_bytes() for name in FILES} == before
    assert sorted(path.name for path in image.folder.iterdir()) == sorted([*FILES, "source"])


def test_a_stored_image_is_loaded_as_it_was_built(program, make_target, zig, tmp_path):
    built = build_image(program, make_target(), zig, tmp_path / "out")
    assert Image.load(built.folder) == built
    assert json.loads((built.folder / "sizes.json").read_text()) == json.loads(
        json.dumps(built.sizes.to_json())
    )


def test_program_and_manifest_must_belong_together(
    program, make_target, zig, tmp_path, edit_manifest
):
    edit_manifest(identity="0" * 16)
    with pytest.raises(ImageError, match="model 0000000000000000"):
        build_image(program, make_target(), zig, tmp_path / "out")


def test_a_model_for_another_front_end_does_not_compile(program, make_target, zig, tmp_path):
    header = program / "frontend_config.h"
    header.write_text(header.read_text().replace("FRAMES 5", "FRAMES 6"))
    with pytest.raises(CompileError, match="not one clip of this front-end"):
        build_image(program, make_target(), zig, tmp_path / "out")


def test_a_file_of_the_templates_name_is_refused(program, make_target, zig, tmp_path):
    (program / "main.c").write_text("\n")
    with pytest.raises(ImageError, match=r"main\.c: is in the program and in the firmware"):
        build_image(program, make_target(), zig, tmp_path / "out")


def test_a_folder_without_c_is_refused(program, make_target, zig, tmp_path):
    for path in program.glob("*.c"):
        path.unlink()
    with pytest.raises(ImageError, match="holds no C files"):
        build_image(program, make_target(), zig, tmp_path / "out")


def test_a_target_without_memory_is_refused(program, make_target, zig, tmp_path):
    target = make_target().model_copy(update={"memory": None})
    with pytest.raises(ImageError, match="sizes of the memories"):
        build_image(program, target, zig, tmp_path / "out")
