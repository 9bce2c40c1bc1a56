from __future__ import annotations

import pytest

from edgeprune.devices.instructions import Decoder, Kind, Mix, instruction_count

#: Encodings (in memory order) by what `arm-none-eabi-objdump` calls them, with the class.
ENCODINGS = [
    ("0868", "ldr r0, [r1]", Kind.LOAD, 0),
    ("5ff8 04b0".replace(" ", ""), "ldr.w r11, [pc, #-4]", Kind.LOAD, 0),
    ("91f90000", "ldrsb.w r0, [r1]", Kind.LOAD, 0),
    ("0860", "str r0, [r1]", Kind.STORE, 0),
    ("81f80030", "strb.w r3, [r1]", Kind.STORE, 0),
    ("0cc9", "ldmia r1!, {r2, r3}", Kind.LOAD_MULTIPLE, 2),
    ("0cc1", "stmia r1!, {r2, r3}", Kind.STORE_MULTIPLE, 2),
    ("f0b5", "push {r4, r5, r6, r7, lr}", Kind.STORE_MULTIPLE, 5),
    ("f0bc", "pop {r4, r5, r6, r7}", Kind.LOAD_MULTIPLE, 4),
    ("f0bd", "pop {r4, r5, r6, r7, pc}", Kind.RETURN, 5),
    ("bde8f081", "ldmia.w sp!, {r4-r8, pc}", Kind.RETURN, 6),
    ("d1e90023", "ldrd r2, r3, [r1]", Kind.LOAD_MULTIPLE, 2),
    ("2de9f041", "stmdb sp!, {r4-r8, lr}", Kind.STORE_MULTIPLE, 6),
    ("2ded028b", "vpush {d8}", Kind.STORE_MULTIPLE, 1),
    ("4843", "muls r0, r1", Kind.MULTIPLY, 0),
    ("10fb01f2", "smulbb r2, r0, r1", Kind.MULTIPLY, 0),
    ("00fb0123", "mla r3, r0, r1, r2", Kind.MULTIPLY_ADD, 0),
    ("20fb0123", "smlad r3, r0, r1, r2", Kind.MULTIPLY_ADD, 0),
    ("80fb0123", "smull r2, r3, r0, r1", Kind.LONG_MULTIPLY, 0),
    ("c0fb0123", "smlal r2, r3, r0, r1", Kind.LONG_MULTIPLY_ADD, 0),
    ("c0fbc123", "smlald r2, r3, r0, r1", Kind.LONG_MULTIPLY_ADD, 0),
    ("90fbf1f0", "sdiv r0, r0, r1", Kind.DIVIDE, 0),
    ("b0fbf1f0", "udiv r0, r0, r1", Kind.DIVIDE, 0),
    ("fee7", "b.n", Kind.BRANCH, 0),
    ("fed1", "bne.n", Kind.BRANCH, 0),
    ("08b1", "cbz r0", Kind.BRANCH, 0),
    ("7047", "bx lr", Kind.BRANCH, 0),
    ("dfe800f0", "tbb [pc, r0]", Kind.BRANCH, 0),
    ("8746", "mov pc, r0", Kind.BRANCH, 0),
    ("00f000f8", "bl", Kind.CALL, 0),
    ("8047", "blx r0", Kind.CALL, 0),
    ("bff34f8f", "dsb sy", Kind.BARRIER, 0),
    ("e0be", "bkpt 0x00e0", Kind.BARRIER, 0),
    ("31ee020a", "vadd.f32 s0, s2, s4", Kind.FLOAT, 0),
    ("01ee020a", "vmla.f32 s0, s2, s4", Kind.FLOAT_MULTIPLY_ADD, 0),
    ("81ee020a", "vdiv.f32 s0, s2, s4", Kind.FLOAT_DIVIDE, 0),
    ("91ed000a", "vldr s0, [r1]", Kind.LOAD, 0),
    ("0820", "movs r0, #8", Kind.OTHER, 0),
    ("08bf", "it eq", Kind.OTHER, 0),
    ("40f20000", "movw r0, #0", Kind.OTHER, 0),
    ("01f30f02", "ssat r2, #16, r1", Kind.OTHER, 0),
    ("ffff ffff".replace(" ", ""), "not an instruction", Kind.OTHER, 0),
]


@pytest.mark.parametrize(("code", "name", "kind", "transfers"), ENCODINGS)
def test_instructions_are_sorted(code, name, kind, transfers):
    data = bytes.fromhex(code)
    mix = Decoder(lambda address, size: data).block(0x1000, len(data))
    assert mix[kind] == 1, name
    assert mix[Kind.TRANSFER] == transfers, name
    assert instruction_count(mix) == 1


def test_neighbouring_loads_and_stores_are_told_apart():
    code = bytes.fromhex("08684868086008204860")  # ldr ldr str movs str
    mix = Decoder(lambda address, size: code).block(0, len(code))
    assert mix == Mix(
        {Kind.LOAD: 1, Kind.NEXT_LOAD: 1, Kind.NEXT_STORE: 1, Kind.OTHER: 1, Kind.STORE: 1}
    )


def test_a_block_is_read_once():
    reads = []

    def read(address, size):
        reads.append((address, size))
        return b"\x00\xbf" * (size // 2)

    decoder = Decoder(read)
    assert decoder.block(0, 4) is decoder.block(0, 4)
    assert instruction_count(decoder.block(0, 6)) == 3
    assert reads == [(0, 4), (0, 6)]
