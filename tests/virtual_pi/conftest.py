"""A virtual Pi whose programs are stand-ins, in a home of its own."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgeprune import resources
from edgeprune.progress import Progress, SilentProgress
from edgeprune.ssh_target import Ssh
from edgeprune.target import Target
from edgeprune.virtual_pi import VirtualPi, cache_folder, machine
from edgeprune.virtual_pi.emulator import Emulator
from edgeprune.virtual_pi.image import Image
from edgeprune.virtual_pi.keys import make_key_pair

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class StandInGuest:
    """A system that is up at once, or never.

    Attributes:
        events: what it was asked, over all machines of a test.
        failure: raised by the next wait; it then forgets it.
    """

    events: list[str] = field(default_factory=list)
    failure: BaseException | None = None

    def __call__(self, ssh: Ssh, emulator: Emulator) -> StandInGuest:
        return self

    def wait(self, limit_s: float, *, all_units: bool) -> None:
        self.events.append("wait for all" if all_units else "wait")
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def set_clock(self) -> None:
        self.events.append("clock")

    def settle(self) -> None:
        self.events.append("settle")


@dataclass
class Workbench:
    """What a test has of it.

    Attributes:
        ssh: the target's table.
        cache: where images are.
        guest: what is in the machine.
        said: lines that it told.
        built: images, as they were asked for.
        programs: the folder of stand-ins, which is all of the PATH that counts.
    """

    ssh: Ssh
    cache: Path
    guest: StandInGuest
    programs: Path
    said: list[str] = field(default_factory=list)
    built: list[Path] = field(default_factory=list)

    def pi(self, **ssh: object) -> VirtualPi:
        table = self.ssh.model_copy(update=ssh)
        return VirtualPi(table, self.cache, say=self.said.append, progress=SilentProgress())

    @property
    def image(self) -> Path:
        """The folder of the one image."""
        (folder,) = self.cache.glob("*/")
        return folder

    def emulator(self) -> Emulator:
        assert self.ssh.port is not None
        return Emulator(Image(self.image), self.ssh.port)

    def build(self, folder: Path, user_key: str, progress: Progress) -> Image:
        self.built.append(folder)
        folder.mkdir(parents=True)
        (folder / "host_key.pub").write_text(make_key_pair().public)
        return Image(folder)

    def new_version_of_qemu(self) -> None:
        Path(os.environ["FAKE_QEMU_VERSION"]).write_text("QEMU 99")


@pytest.fixture
def shipped() -> Ssh:
    """The table of the target that users have."""
    return Target.read(resources.find("targets", "virtual-pi")).ssh_table()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins, in a folder before all others of the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, script in (
        ("qemu-system-aarch64", "fake_qemu.py"),
        ("qemu-img", "fake_qemu_img.py"),
        ("mmdebstrap", None),
        ("mke2fs", None),
    ):
        text = f"#!/bin/sh\nexec {sys.executable} {HERE / script}" + ' "$@"\n' if script else ""
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_QEMU_VERSION", str(tmp_path / "version"))
    (tmp_path / "version").write_text("QEMU 7.2")
    return folder


@pytest.fixture
def bench(
    tmp_path: Path, programs: Path, shipped: Ssh, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workbench]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    guest = StandInGuest()
    ssh = shipped.model_copy(update={"port": free_port()})
    made = Workbench(ssh, cache_folder(), guest, programs)
    monkeypatch.setattr(machine, "Guest", guest)
    monkeypatch.setattr(machine, "build", made.build)
    yield made
    for folder in made.cache.glob("*/"):
        Emulator(Image(folder), 0).end()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets a program be absent."""

    def forget(name: str) -> None:
        found = shutil.which
        monkeypatch.setattr(
            shutil, "which", lambda each, **more: None if each == name else found(each, **more)
        )

    return forget
