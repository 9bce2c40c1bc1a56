"""The archive is what another implementation of the format reads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgeprune.virtual_pi.cpio import Entry, pack

ENTRIES = (
    Entry("bin"),
    Entry("bin/tool", b"\x7fELF" + bytes(range(251)), executable=True),
    Entry("empty", b""),
    Entry("text", "schön\n".encode()),
)


def fields(archive: bytes) -> list[tuple[str, list[int], bytes]]:
    """Names, header fields and contents, read by the letter of the format."""
    members, at = [], 0
    while at < len(archive):
        header = archive[at : at + 110]
        assert header[:6] == b"070701"
        numbers = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        length, name_length = numbers[6], numbers[11]
        name = archive[at + 110 : at + 110 + name_length]
        assert name.endswith(b"\0")
        at += -(-(110 + name_length) // 4) * 4
        members.append((name[:-1].decode(), numbers, archive[at : at + length]))
        at += -(-length // 4) * 4
    return members


def test_members_are_aligned_numbered_and_roots() -> None:
    *members, trailer = fields(pack(ENTRIES))
    assert [(name, content) for name, _, content in members] == [
        (entry.path, entry.content or b"") for entry in ENTRIES
    ]
    assert [numbers[1] for _, numbers, _ in members] == [0o40755, 0o100755, 0o100644, 0o100644]
    assert len({numbers[0] for _, numbers, _ in members}) == len(ENTRIES)
    assert all(numbers[2:4] == [0, 0] for _, numbers, _ in members)
    assert (trailer[0], trailer[2]) == ("TRAILER!!!", b"")


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")
def test_cpio_unpacks_it(tmp_path: Path) -> None:
    command = [shutil.which("cpio") or "", "-id", "--quiet"]
    subprocess.run(command, input=pack(ENTRIES), cwd=tmp_path, check=True)
    for entry in ENTRIES[1:]:
        path = tmp_path / entry.path
        assert path.read_bytes() == entry.content
        assert bool(path.stat().st_mode & 0o100) == entry.executable
