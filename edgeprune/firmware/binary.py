"""The load image of an ELF file as raw binary and as Intel HEX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeprune.firmware.elf import Segment

__all__ = ["flat_binary", "intel_hex"]

#: What erased flash reads as.
ERASED = 0xFF


def flat_binary(segments: Sequence[Segment]) -> bytes:
    """The bytes of flash from the first to the last that is loaded; gaps are erased flash."""
    if not segments:
        return b""
    origin = min(segment.load_address for segment in segments)
    end = max(segment.load_address + len(segment.data) for segment in segments)
    image = bytearray([ERASED]) * (end - origin)
    for segment in segments:
        start = segment.load_address - origin
        image[start : start + len(segment.data)] = segment.data
    return bytes(image)


def intel_hex(segments: Sequence[Segment], entry: int) -> str:
    """Intel HEX (Intel, Hexadecimal Object File Format Specification, revision A, 1988).

    Args:
        segments: what to load.
        entry: the start address, written as record type 05.
    """
    lines = []
    upper = None
    for address, data in _rows(segments):
        if address >> 16 != upper:
            upper = address >> 16
            lines.append(_record(0, 0x04, upper.to_bytes(2, "big")))
        lines.append(_record(address & 0xFFFF, 0x00, data))
    lines.append(_record(0, 0x05, entry.to_bytes(4, "big")))
    lines.append(_record(0, 0x01, b""))
    return "".join(f"{line}\n" for line in lines)


def _rows(segments: Sequence[Segment], width: int = 16) -> Iterator[tuple[int, bytes]]:
    """Rows of at most ``width`` bytes that never cross a multiple of it, so no 64 KiB bound."""
    for segment in segments:
        position = 0
        while position < len(segment.data):
            address = segment.load_address + position
            count = width - address % width
            yield address, segment.data[position : position + count]
            position += count


def _record(address: int, kind: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{body.hex().upper()}{-sum(body) & 0xFF:02X}"
