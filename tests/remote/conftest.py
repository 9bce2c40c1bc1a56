"""Fixtures of the remote room."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from edgeprune.remote.connection import SshRemote, connect
from tests.remote.fixtures import nothing_of_the_users, sshd
from tests.remote.sshd import Sshd

__all__ = ["nothing_of_the_users", "sshd"]


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
def remote(sshd: Sshd) -> Iterator[SshRemote]:
    """A connection to it."""
    with connect(sshd.table(), target="pi") as connected:
        yield connected
