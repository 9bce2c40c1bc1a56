"""A Debian arm64 machine under qemu-user: it stands in for a Raspberry Pi 4, SSH server included.

A box is a set of Linux namespaces around the root of :mod:`tests.devices.aarch64.root`, which lies
read-only below an overlay in memory. Kernel, clock and network are the host's; the instructions are
those of a Cortex-A72.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from edgeprune.process import run
from tests.devices.aarch64.box import Box, require_kernel
from tests.devices.aarch64.root import (
    RELEASE,
    Unavailable,
    cache_folder,
    find_program,
    root_folder,
)

__all__ = ["Aarch64Machine", "Facts", "Unavailable", "aarch64_or_skip", "skip_or_fail", "start"]

HOST = "127.0.0.1"
USER = "pi"
CPU = "cortex-a72"
LISTEN_LIMIT_S = 60.0
#: Another process may take the free port before the server has it.
PORT_ATTEMPTS = 3
#: Program to the package of Debian that has it. The root, once it is there, needs no other.
PROGRAMS = {
    "qemu-aarch64-static": "qemu-user-static",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}

SSHD_CONFIG = f"""\
Port {{port}}
ListenAddress {HOST}
HostKey /etc/ssh/host_key
PidFile none
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers {USER}
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv QEMU_CPU={CPU} LANG=C.UTF-8
"""


@dataclass(frozen=True)
class Facts:
    """What the machine is, and what it took.

    Attributes:
        debian: the release in the box.
        architecture: as ``uname -m`` says it there.
        cpu: the processor that QEMU is told to be.
        python: its Python, ``major.minor``.
        emulator: QEMU's own words about its version.
        root: the folder below the overlay.
        root_s: seconds until that was there; next to nothing when it was kept.
        start_s: seconds from there until its SSH server listened.
    """

    debian: str
    architecture: str
    cpu: str
    python: str
    emulator: str
    root: Path
    root_s: float
    start_s: float


class Aarch64Machine:
    """A running box.

    Attributes:
        host: where its SSH server listens.
        port: likewise.
        user: who may log in; the home folder goes with the box.
        key_file: that user's private key (OpenSSH's format, no passphrase).
        known_hosts: the line of a known_hosts file that pins the host key.
        known_hosts_file: a file of that line.
        facts: what it is, and what starting it took.
    """

    host = HOST
    user = USER

    def __init__(self, box: Box, port: int, folder: Path, facts: Facts) -> None:
        self._box = box
        self._folder = folder
        self.port = port
        self.facts = facts
        self.key_file = folder / "user_key"
        self.known_hosts_file = folder / "known_hosts"
        self.known_hosts = self.known_hosts_file.read_text().strip()

    @property
    def pid(self) -> int:
        """The process on the host that is the parent of the box."""
        return self._box.pid

    @property
    def running(self) -> bool:
        return self._box.running

    @property
    def log(self) -> str:
        """What the SSH server wrote."""
        return self._box.log

    @property
    def ssh(self) -> tuple[str, ...]:
        """The OpenSSH client with its arguments up to the remote command."""
        options = (
            f"UserKnownHostsFile={self.known_hosts_file}",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
        )
        return (
            *("ssh", "-F", "none", "-i", str(self.key_file), "-p", str(self.port)),
            *(argument for option in options for argument in ("-o", option)),
            f"{self.user}@{self.host}",
        )

    def run(
        self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command there with the OpenSSH client; a non-zero exit is returned, not raised."""
        return subprocess.run(
            [*self.ssh, shlex.join(command)],
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def stop(self) -> None:
        """End the box and remove its files; a second call does nothing."""
        self._box.end()
        shutil.rmtree(self._folder, ignore_errors=True)


def start(folder: Path, cache: Path | None = None) -> Aarch64Machine:
    """Start a machine that keeps its keys and its log in ``folder``, which ``stop`` removes.

    Args:
        folder: is made here.
        cache: where roots are kept; the user's cache when not given.

    Raises:
        Unavailable: programs, packages or namespaces are missing on this computer.
        RuntimeError: the box is there and its SSH server is not.
    """
    require_kernel()
    programs = {name: find_program(name, package) for name, package in PROGRAMS.items()}
    began = time.monotonic()
    root = root_folder(cache or cache_folder())
    rooted = time.monotonic()
    box, port = _start_box(root, folder)
    facts = Facts(
        debian=RELEASE,
        architecture="aarch64",
        cpu=CPU,
        python=(root / "usr/bin/python3").readlink().name.removeprefix("python"),
        emulator=run([programs["qemu-aarch64-static"], "--version"]).splitlines()[0],
        root=root,
        root_s=rooted - began,
        start_s=time.monotonic() - rooted,
    )
    return Aarch64Machine(box, port, folder, facts)


@contextmanager
def aarch64_or_skip(folder: Path) -> Iterator[Aarch64Machine]:
    """A machine for tests, as :func:`start` makes it; see :func:`skip_or_fail`."""
    try:
        machine = start(folder)
    except Unavailable as reason:
        skip_or_fail(reason)
    try:
        yield machine
    finally:
        machine.stop()


def skip_or_fail(reason: Unavailable) -> NoReturn:
    """Skip the test, or fail it where ``EDGEPRUNE_REQUIRE_AARCH64=1``."""
    if os.environ.get("EDGEPRUNE_REQUIRE_AARCH64") == "1":
        pytest.fail(f"EDGEPRUNE_REQUIRE_AARCH64 is set, but {reason}", pytrace=False)
    pytest.skip(f"no aarch64 machine: {reason}")


def _start_box(root: Path, folder: Path) -> tuple[Box, int]:
    for _ in range(PORT_ATTEMPTS):
        port = _free_port()
        try:
            _write_files(folder, port)
            box = Box(root, folder, CPU)
            if _listens(box):
                return box, port
            box.end()
            log = box.log
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder)
        if "Address already in use" not in log:
            break
    raise RuntimeError(f"the SSH server of the aarch64 machine did not start:\n{log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _write_files(folder: Path, port: int) -> None:
    folder.mkdir(mode=0o700)
    keygen = find_program("ssh-keygen", "openssh-client")
    for name, comment in (("host_key", "raspberrypi"), ("user_key", "tests")):
        run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", folder / name])
    kind, key, _ = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[{HOST}]:{port} {kind} {key}\n")
    (folder / "user_key.pub").rename(folder / "authorized_keys")
    (folder / "sshd_config").write_text(SSHD_CONFIG.format(port=port))


def _listens(box: Box) -> bool:
    """Wait for the server's word; a connection might find another server on the port."""
    deadline = time.monotonic() + LISTEN_LIMIT_S
    while box.running and time.monotonic() < deadline:
        if "Server listening on" in box.log:
            return True
        time.sleep(0.02)
    return False
