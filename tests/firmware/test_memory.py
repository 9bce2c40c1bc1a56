"""memory.c, compiled for this machine under other names, against Python's bytes."""

from __future__ import annotations

import ctypes
import itertools

import pytest

from edgeprune import resources
from edgeprune.cores import CORES
from edgeprune.toolchain import Job, find_toolchain

NAMES = ("memcpy", "memmove", "memset", "memcmp")
SOURCE = resources.root() / "firmware_templates" / "cortex-m" / "memory.c"
SIZES = (*range(0, 24), 31, 32, 33, 63, 64, 65)


@pytest.fixture(scope="module", params=["aligned words only", "unaligned words"])
def library(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    defines = {name: f"tested_{name}" for name in NAMES}
    if request.param == "unaligned words":
        defines["__ARM_FEATURE_UNALIGNED"] = "1"
    find_toolchain("zig").build(
        Job(
            sources=[SOURCE],
            output=folder / "memory.so",
            core=CORES["host"],
            kind="shared",
            cwd=folder,
            defines=defines,
            # A misaligned access, which this machine would let pass, ends the process.
            extra=("-ffreestanding", "-fsanitize=undefined", "-fsanitize-trap=undefined"),
        )
    )
    return ctypes.CDLL(str(folder / "memory.so"))


def call(function, *arguments):
    function.restype = ctypes.c_void_p
    converted = [
        ctypes.c_size_t(argument) if isinstance(argument, int) else argument
        for argument in arguments
    ]
    return function(*converted)


def buffer(size=128):
    return (ctypes.c_ubyte * size)(*(i * 37 % 251 for i in range(size)))


@pytest.mark.parametrize("name", ["memcpy", "memmove", "aeabi"])
def test_copies_at_every_alignment(library, name):
    function = library.__aeabi_memcpy if name == "aeabi" else library[f"tested_{name}"]
    for to, start, size in itertools.product(range(4), range(4), SIZES):
        source, target = buffer(), (ctypes.c_ubyte * 128)()
        returned = call(
            function, ctypes.addressof(target) + 8 + to, ctypes.addressof(source) + start, size
        )
        expected = bytearray(128)
        expected[8 + to : 8 + to + size] = bytes(source)[start : start + size]
        assert bytes(target) == expected, (to, start, size)
        assert name == "aeabi" or returned == ctypes.addressof(target) + 8 + to


@pytest.mark.parametrize("name", ["tested_memmove", "__aeabi_memmove"])
def test_moves_overlapping_ranges_both_ways(library, name):
    for to, start, size in itertools.product(range(16, 26), range(16, 26), SIZES):
        data = buffer()
        expected = bytearray(data)
        expected[to : to + size] = expected[start : start + size]
        base = ctypes.addressof(data)
        call(library[name], base + to, base + start, size)
        assert bytes(data) == expected, (to, start, size)


@pytest.mark.parametrize("value", [0, 1, 0x80, 0xFF])
def test_fills_at_every_alignment(library, value):
    for to, size in itertools.product(range(4), SIZES):
        data = buffer()
        expected = bytearray(data)
        expected[to : to + size] = bytes([value]) * size
        address = ctypes.addressof(data) + to
        assert call(library.tested_memset, address, value, size) == address
        assert bytes(data) == expected, (to, size)
        other = buffer()
        call(library.__aeabi_memset, ctypes.addressof(other) + to, size, value)
        assert bytes(other) == expected


def test_clears(library):
    data = buffer()
    call(library.__aeabi_memclr, ctypes.addressof(data) + 3, 50)
    assert bytes(data) == bytes(buffer())[:3] + bytes(50) + bytes(buffer())[53:]


def test_compares_as_unsigned_bytes(library):
    compare = library.tested_memcmp
    compare.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    assert compare(b"abc", b"abc", 3) == 0
    assert compare(b"abc", b"abd", 2) == 0
    assert compare(b"ab\x01", b"ab\xff", 3) < 0
    assert compare(b"\xff", b"\x01", 1) > 0
