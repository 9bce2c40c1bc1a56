"""A device that is a folder, and releases for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeprune.bundle import Bundle
from edgeprune.remote.fake import FakeRemote
from tests.deployment.device import DeviceFolder, answer_facts
from tests.deployment.stub_bundle import stub_bundle
from tests.remote.fixtures import nothing_of_the_users, sshd

__all__ = ["nothing_of_the_users", "sshd"]

MakeBundle = Callable[..., Bundle]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeRemote]:
    """A device without systemd."""
    home = tmp_path / "home"
    home.mkdir()
    remote = FakeRemote(home)
    answer_facts(remote)
    yield remote
    DeviceFolder.of(home).stop()


@pytest.fixture
def device(fake: FakeRemote) -> DeviceFolder:
    return DeviceFolder.of(fake.home)


@pytest.fixture
def make(tmp_path: Path) -> MakeBundle:
    """Makes the bundle of a number."""

    def bundle(number: int = 1, **options: Any) -> Bundle:
        return stub_bundle(tmp_path / f"bundle {number}", number, **options)

    return bundle
