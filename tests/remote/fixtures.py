"""A private server, for every room that connects to one; its conftest imports these fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeprune.remote.secrets import PASSPHRASE_VARIABLE, PASSWORD_VARIABLE
from tests.remote.sshd import Sshd, start_sshd

__all__ = ["nothing_of_the_users", "sshd"]


@pytest.fixture(autouse=True)
def nothing_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without keys or configuration, and no agent."""
    home = tmp_path / "own"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("SSH_AUTH_SOCK", PASSPHRASE_VARIABLE, PASSWORD_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A private server."""
    server = start_sshd(tmp_path / "sshd")
    yield server
    server.stop()
