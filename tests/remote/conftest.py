"""Fixtures of the remote room."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeprune.remote.connection import SshRemote, connect
from edgeprune.remote.secrets import PASSPHRASE_VARIABLE, PASSWORD_VARIABLE
from tests.remote.sshd import Sshd, start_sshd


@pytest.fixture(autouse=True)
def nothing_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without keys or configuration, and no agent."""
    home = tmp_path / "own"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("SSH_AUTH_SOCK", PASSPHRASE_VARIABLE, PASSWORD_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends with the threads that it began with."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A private server."""
    server = start_sshd(tmp_path / "sshd")
    yield server
    server.stop()


@pytest.fixture
def remote(sshd: Sshd) -> Iterator[SshRemote]:
    """A connection to it."""
    with connect(sshd.table(), target="pi") as connected:
        yield connected
