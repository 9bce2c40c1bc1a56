"""The aarch64 machine of this room's tests; another room makes its own in the same three lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.devices.aarch64.machine import Aarch64Machine, aarch64_or_skip


@pytest.fixture(scope="session")
def aarch64_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aarch64Machine]:
    """A Raspberry Pi 4 to log in to, shared by the session: each test uses a folder of its own."""
    with aarch64_or_skip(tmp_path_factory.mktemp("aarch64") / "machine") as machine:
        yield machine
