"""A generated program and a target to a firmware image."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeprune.codegen.manifest import Manifest
from edgeprune.cores import CORES
from edgeprune.errors import CompileError, ImageError
from edgeprune.firmware.binary import flat_binary, intel_hex
from edgeprune.firmware.elf import NO_FRONTEND, Elf
from edgeprune.firmware.sizes import Sizes, measure
from edgeprune.firmware.template import render
from edgeprune.target import Memory, Target
from edgeprune.toolchain import Job, Toolchain

__all__ = ["Image", "build_image"]

ELF_NAME = "firmware.elf"
SIZES_NAME = "sizes.json"
SOURCE_FOLDER = "source"
LINKER_SCRIPT = "linker.ld"
ENTRY = "Reset_Handler"

#: What GNU ld and LLVM lld say when a section does not fit its region.
_OVERFLOW = re.compile(r"overflow(?:s|ed)?\b|will not fit in region", re.IGNORECASE)
#: Room for an image that does not fit, so that it can be linked and measured all the same.
_UNBOUNDED_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Image:
    """A built firmware image.

    Attributes:
        folder: holds ``firmware.elf``, ``.bin``, ``.hex``, ``sizes.json`` and ``source/``.
        sizes: of the linked image.
        manifest: of the program that it was built from.
    """

    folder: Path
    sizes: Sizes
    manifest: Manifest

    @property
    def elf(self) -> Path:
        return self.folder / ELF_NAME

    @property
    def binary(self) -> Path:
        return self.folder / "firmware.bin"

    @property
    def hex(self) -> Path:
        return self.folder / "firmware.hex"

    @classmethod
    def load(cls, folder: Path) -> Image:
        """An image that :func:`build_image` wrote earlier.

        Raises:
            ImageError: a file is missing or damaged.
        """
        manifest = Manifest.read(folder / SOURCE_FOLDER)
        return cls(folder, measure(Elf(folder / ELF_NAME), manifest.layers), manifest)


def build_image(program_dir: Path, target: Target, toolchain: Toolchain, out_dir: Path) -> Image:
    """Compile and link a program into an image.

    A program with a front-end takes PCM and features, one without takes the network's input. The
    image depends on the program, the target's core, memory, template and optimization, and the
    toolchain; not on the folders, the time or the machine.

    Args:
        program_dir: C files and ``program.json``; every ``*.c`` in it is compiled.
        target: a target with a microcontroller core.
        toolchain: what compiles.
        out_dir: created if need be; receives the image and the sources that it was built from.

    Raises:
        ImageError: the image does not fit flash or RAM, the program folder lacks something, or
            two files have one name.
        CompileError: the compiler refused.
        ToolchainError: the toolchain does not build for the core.
    """
    memory = target.memory
    if memory is None:
        raise ImageError(
            "a firmware image needs the sizes of the memories",
            where=f"target {target.name}",
            hint="add [memory] with flash_kib and ram_kib",
        )
    manifest = Manifest.read(program_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".image-") as scratch:
        staging = Path(scratch)
        _lay_out(staging, program_dir, manifest, target, _memory_bytes(memory))
        try:
            _link(staging, target, toolchain)
        except CompileError as error:
            if not _OVERFLOW.search(error.output):
                raise
            raise _overflow(program_dir, target, toolchain, manifest) from error
        elf = Elf(staging / ELF_NAME)
        _check_identity(elf, manifest)
        sizes = measure(elf, manifest.layers)
        (staging / "firmware.bin").write_bytes(flat_binary(elf.segments))
        (staging / "firmware.hex").write_text(intel_hex(elf.segments, elf.entry), encoding="ascii")
        text = json.dumps(sizes.to_json(), indent=1)
        (staging / SIZES_NAME).write_text(f"{text}\n", encoding="utf-8")
        _publish(staging, out_dir)
    return Image(out_dir, sizes, manifest)


def _memory_bytes(memory: Memory) -> tuple[int, int]:
    return memory.flash_kib * 1024, memory.ram_kib * 1024


def _lay_out(
    staging: Path,
    program_dir: Path,
    manifest: Manifest,
    target: Target,
    memory_bytes: tuple[int, int],
) -> None:
    """Write the program and the rendered template side by side into ``staging/source``."""
    folder = staging / SOURCE_FOLDER
    folder.mkdir()
    program = sorted(path for path in program_dir.iterdir() if path.suffix in (".c", ".h", ".json"))
    if not any(path.suffix == ".c" for path in program):
        raise ImageError("holds no C files", where=str(program_dir), hint="build the program again")
    for path in program:
        shutil.copyfile(path, folder / path.name)
    part = "model" if manifest.frontend_identity is None else "stream"
    files = render(target.template, part, _values(target, memory_bytes))
    for name, text in files.items():
        if (folder / name).exists():
            raise ImageError(
                f"is in the program and in the firmware template {target.template}", where=name
            )
        (folder / name).write_text(text, encoding="utf-8")


def _values(target: Target, memory_bytes: tuple[int, int]) -> Mapping[str, object]:
    flash_bytes, ram_bytes = memory_bytes
    return {
        "target": target.name,
        "core": target.core,
        "fpu": CORES[target.core].fpu,
        "memory": target.memory,
        "flash_bytes": flash_bytes,
        "ram_bytes": ram_bytes,
    }


def _link(staging: Path, target: Target, toolchain: Toolchain) -> None:
    source = Path(SOURCE_FOLDER)
    names = sorted(path.name for path in (staging / source).glob("*.c"))
    toolchain.build(
        Job(
            sources=[source / name for name in names],
            output=Path(ELF_NAME),
            core=CORES[target.core],
            kind="image",
            cwd=staging,
            include=[source],
            linker_script=source / LINKER_SCRIPT,
            optimize="size" if target.optimize == "size" else "speed",
            entry=ENTRY,
        )
    )


def _overflow(
    program_dir: Path, target: Target, toolchain: Toolchain, manifest: Manifest
) -> ImageError:
    """Link once more with room for everything, to say by how much it does not fit and why."""
    memory = target.memory
    if memory is None:
        raise ValueError("a target without memories has no image that overflows")
    flash_bytes, ram_bytes = _memory_bytes(memory)
    with tempfile.TemporaryDirectory(prefix="edgeprune-image-") as scratch:
        staging = Path(scratch)
        _lay_out(staging, program_dir, manifest, target, (_UNBOUNDED_BYTES, _UNBOUNDED_BYTES))
        _link(staging, target, toolchain)
        sizes = measure(Elf(staging / ELF_NAME), manifest.layers)
    # To the last byte that is used, so that gaps for alignment count as they do for the linker.
    ram_end = max(each.address + each.size for each in sizes.sections if "ram" in each.place)
    ram_needed = ram_end - memory.ram_origin
    lines = []
    if sizes.flash > flash_bytes:
        lines.append(
            f"flash: {sizes.flash:,} bytes needed, {flash_bytes:,} there, "
            f"{sizes.flash - flash_bytes:,} too many; largest: {_named(sizes, 'flash')}"
        )
    if ram_needed > ram_bytes:
        lines.append(
            f"RAM: {ram_needed:,} bytes needed ({sizes.stack:,} of them for the stack), "
            f"{ram_bytes:,} there, {ram_needed - ram_bytes:,} too many; "
            f"largest: {_named(sizes, 'ram')}"
        )
    return ImageError(
        "the image does not fit\n  " + "\n  ".join(lines),
        where=f"target {target.name}",
        hint="a higher pruning.sparsity with pruning.structure = 'channel', a narrower network, "
        "optimize = 'size', or a chip with more memory",
    )


def _named(sizes: Sizes, memory: Literal["flash", "ram"]) -> str:
    largest = sizes.largest(memory)
    return ", ".join(f"{symbol.name} {symbol.size:,}" for symbol in largest)


def _check_identity(elf: Elf, manifest: Manifest) -> None:
    found = elf.identity
    frontend = manifest.frontend_identity or NO_FRONTEND
    if (found.frontend, found.model) != (frontend, manifest.identity):
        raise ImageError(
            f"the C files are of front-end {found.frontend} and model {found.model}, program.json "
            f"is of front-end {frontend} and model {manifest.identity}",
            hint="build the program again",
        )


def _publish(staging: Path, out_dir: Path) -> None:
    """Move the finished files into place; the image itself comes last."""
    target = out_dir / SOURCE_FOLDER
    if target.exists():
        shutil.rmtree(target)
    (staging / SOURCE_FOLDER).rename(target)
    for name in ("firmware.bin", "firmware.hex", SIZES_NAME, ELF_NAME):
        os.replace(staging / name, out_dir / name)  # noqa: PTH105 - replaces, unlike rename elsewhere
