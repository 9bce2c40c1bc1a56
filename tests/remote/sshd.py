"""A Raspberry Pi that is not there: a private sshd on a loopback port, with a user ``pi``.

It runs in mount and process namespaces of its own. There, the password file holds ``pi``, whose
home is a folder of the test; nobody's shell start-up files are read, and one kill ends everything.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from edgeprune.ssh_target import Ssh
from tests.remote.openssh import ssh_keygen

SSHD = Path("/usr/sbin/sshd")
HOME = "/home/pi"
USER_ID = 29_001
PASSWORD = "raspberry"  # noqa: S105 - of a user who is nowhere
FULL_DISK = "full"
FULL_DISK_KIB = 256

_NEEDED = ("unshare", "setpriv", "mount", "ssh-keygen", "openssl")

_CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
UsePAM no
StrictModes no
PermitRootLogin no
PasswordAuthentication yes
KbdInteractiveAuthentication no
AuthorizedKeysFile /run/authorized_keys
Subsystem sftp internal-sftp
MaxStartups 500
MaxSessions 100
PrintMotd no
{more}
"""

# Everything that is mounted here is gone with the namespace.
_SCRIPT = """\
set -e
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/sshd
touch /run/authorized_keys
mount --bind "$1/authorized_keys" /run/authorized_keys
mount -t tmpfs -o mode=755 tmpfs /home
mkdir /home/pi
mount --bind "$1/home" /home/pi
mount -t tmpfs -o "size=$2k,mode=777" tmpfs "/home/pi/$3"
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
cd /
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
"""


@dataclass
class Sshd:
    """A running server.

    Attributes:
        folder: everything that it reads, and its log.
        home: the home of ``pi``, seen from here. The small disk in it is seen from there alone.
        port: on 127.0.0.1.
        identity: the private key that ``pi`` may use.
        known_hosts: a file that pins the server's key.
    """

    folder: Path
    home: Path
    port: int
    identity: Path
    known_hosts: Path
    process: subprocess.Popen[bytes]

    @property
    def host_key(self) -> str:
        """The public host key: type and base64."""
        words = (self.folder / "host_key.pub").read_text(encoding="utf-8").split()
        return " ".join(words[:2])

    @property
    def log(self) -> str:
        """What the server said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def init(self) -> int:
        """The first process of its namespaces, which is the server itself."""
        (server,) = _children(self.process.pid)
        return server

    def table(self, **changes: object) -> Ssh:
        """The table of a target that is this server."""
        values: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "pi",
            "identity_file": str(self.identity),
            "known_hosts": str(self.known_hosts),
            "config": "none",
        }
        return Ssh.model_validate(values | changes)

    def sessions(self) -> list[int]:
        """The processes of every connection, those that commands run in included."""
        servers = _children(self.process.pid)
        return [pid for server in servers for child in _children(server) for pid in _family(child)]

    def cut(self) -> None:
        """Break every connection, and wait until nothing of any of them runs."""
        deadline = time.monotonic() + 10
        while any(_runs(pid) for pid in self.sessions()):
            if time.monotonic() > deadline:
                raise RuntimeError("a connection's processes live on")
            self.signal_sessions(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing is answered meanwhile, neither to old connections nor to new ones."""
        server = self.init
        os.kill(server, signal.SIGSTOP)
        self.signal_sessions(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal_sessions(signal.SIGCONT)
            os.kill(server, signal.SIGCONT)

    def replace_host_key(self, kind: str = "ed25519") -> None:
        """Give the server another key, as a new system on the SD card would."""
        for path in (self.folder / "host_key", self.folder / "host_key.pub"):
            path.unlink()
        generate_key(self.folder / "host_key", kind=kind)
        self.restart()

    def restart(self) -> None:
        """Stop the server with all of its connections, and start it on the same port."""
        self.stop()
        self.process = _launch(self.folder, self.port)

    def stop(self) -> None:
        """Kill the server and whatever it started."""
        self.cut()
        self.process.kill()
        self.process.wait()
        # The namespaces take a second or two to go; the port is free before.
        deadline = time.monotonic() + 10
        while _answers(self.port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the private sshd on port {self.port} lives on")
            time.sleep(0.005)

    def signal_sessions(self, number: signal.Signals) -> None:
        """Send every process of every connection a signal, those just being forked included.

        Parents come first, so that none of them makes up for a child that it lost.
        """
        told: list[int] = []
        while new := [pid for pid in self.sessions() if pid not in told]:
            for pid in new:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            told += new
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    """Whether a process is there, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def generate_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair; returns the private half."""
    size = ("-b", "2048") if kind == "rsa" else ()
    options = ("-q", "-a", "1", "-t", kind, *size, "-N", passphrase, "-C", path.name)
    ssh_keygen(*options, "-f", str(path))
    return path


def need_sshd() -> None:
    """Skip where no private sshd can run; where everything has to be there, fail."""
    reason = _missing()
    if reason and os.environ.get("EDGEPRUNE_REQUIRE_COMPILERS"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def start_sshd(folder: Path, *, more: str = "") -> Sshd:
    """Start a server.

    Args:
        folder: an empty folder for it.
        more: further lines of its configuration.
    """
    need_sshd()
    home = folder / "home"
    (home / FULL_DISK).mkdir(parents=True)
    os.chown(home, USER_ID, USER_ID)
    generate_key(folder / "host_key")
    identity = generate_key(folder / "identity")
    (folder / "authorized_keys").write_bytes((folder / "identity.pub").read_bytes())
    _write_users(folder)
    port = _free_port()
    text = _CONFIGURATION.format(port=port, folder=folder, more=more)
    (folder / "sshd_config").write_text(text, encoding="utf-8")
    process = _launch(folder, port)
    server = Sshd(folder, home, port, identity, folder / "known_hosts", process)
    server.known_hosts.write_text(f"[127.0.0.1]:{port} {server.host_key}\n", encoding="utf-8")
    return server


def _write_users(folder: Path) -> None:
    """The machine's users, and ``pi``."""
    digest = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],  # noqa: S607
        input=PASSWORD.encode(),
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout.decode()
    users = [
        line
        for line in Path("/etc/passwd").read_text(encoding="utf-8").splitlines()
        if not line.startswith("pi:")
    ]
    users.append(f"pi:x:{USER_ID}:{USER_ID}:Pi:{HOME}:/bin/sh")
    (folder / "passwd").write_text("\n".join(users) + "\n", encoding="utf-8")
    (folder / "shadow").write_text(f"pi:{digest.strip()}:19000:0:99999:7:::\n", encoding="utf-8")
    (folder / "shadow").chmod(0o600)


def _launch(folder: Path, port: int) -> subprocess.Popen[bytes]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"),
                *("sh", "-c", _SCRIPT, "sh", str(folder), str(FULL_DISK_KIB), FULL_DISK),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + 10
    while "Server listening" not in log.read_text(encoding="utf-8", errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise RuntimeError(f"sshd on port {port} did not start: {log.read_text('utf-8')}")
        time.sleep(0.01)
    return process


@cache
def _missing() -> str:
    """Why no private sshd can run here; empty when one can."""
    if not SSHD.exists():
        return "sshd is not installed: apt-get install openssh-server"
    absent = [name for name in _NEEDED if shutil.which(name) is None]
    if absent:
        return f"a private sshd needs {', '.join(absent)}"
    if os.geteuid() != 0:
        return "a private sshd with a user of its own needs root"
    command = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/run"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        return f"a private sshd needs mount and process namespaces: {reason}"
    return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(word) for word in text.split()]


def _family(pid: int) -> list[int]:
    """A process and its descendants, eldest first: a dying command has nobody left to tell."""
    return [pid] + [each for child in _children(pid) for each in _family(child)]
