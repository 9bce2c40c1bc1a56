from __future__ import annotations

from edgeprune.firmware.binary import flat_binary, intel_hex
from edgeprune.firmware.elf import Segment


def segment(address: int, data: bytes) -> Segment:
    return Segment(address, address, data, len(data))


def parse(text: str) -> tuple[dict[int, int], int]:
    """Address to byte, and the entry, by an independent reading of the format."""
    memory: dict[int, int] = {}
    base = entry = 0
    for line in text.splitlines():
        assert line[0] == ":"
        record = bytes.fromhex(line[1:])
        assert sum(record) % 256 == 0
        count, address, kind, data = record[0], record[1] * 256 + record[2], record[3], record[4:-1]
        assert count == len(data)
        if kind == 0:
            assert address + count <= 0x10000, "some programmers wrap around here"
            memory.update({base + address + i: byte for i, byte in enumerate(data)})
        elif kind == 4:
            base = int.from_bytes(data, "big") << 16
        elif kind == 5:
            entry = int.from_bytes(data, "big")
        else:
            assert kind == 1
    return memory, entry


def test_gaps_read_as_erased_flash():
    assert flat_binary([segment(0x104, b"cd"), segment(0x100, b"ab")]) == b"ab\xff\xffcd"
    assert flat_binary([]) == b""


def test_hex_holds_every_byte_at_its_address():
    data = bytes(i * 7 % 256 for i in range(40))
    memory, entry = parse(intel_hex([segment(0x0800FFF1, data)], 0x08010001))
    assert memory == {0x0800FFF1 + i: byte for i, byte in enumerate(data)}
    assert entry == 0x08010001


def test_hex_of_a_known_example():
    lines = intel_hex([segment(0, bytes([2, 0x33, 0x7A]))], 0).splitlines()
    assert lines == [":020000040000FA", ":0300000002337A4E", ":0400000500000000F7", ":00000001FF"]
