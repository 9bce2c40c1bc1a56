"""The namespaces of a box: they are made, given ids, and taken away again."""

from __future__ import annotations

import getpass
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO

from edgeprune.errors import ProcessError
from edgeprune.process import run
from tests.devices.aarch64.root import Unavailable, find_program

__all__ = ["Box", "require_kernel"]

#: The first Linux where a user namespace may mount a binfmt_misc of its own.
OLDEST_KERNEL = (6, 7)
#: Ids in the box: 0 is whoever runs the tests, and the users of Debian need the rest.
IDS = 65_536
END_LIMIT_S = 10.0
SCRIPT = Path(__file__).with_name("box.sh")
#: Runs without privileges until the ids are mapped, and gains them as it becomes the script.
WAIT_FOR_IDS = 'echo unshared; read -r _; exec /bin/bash "$@"'


class Box:
    """A running box: it ends when this process closes its standard input, or dies.

    Args:
        root: the folder that becomes its root, unchanged.
        folder: the files that ``box.sh`` reads; the log is written there.
        cpu: a name that QEMU knows.

    Raises:
        Unavailable: the namespaces or the mounts are refused.
    """

    def __init__(self, root: Path, folder: Path, cpu: str) -> None:
        unshare = find_program("unshare", "util-linux")
        qemu = find_program("qemu-aarch64-static", "qemu-user-static")
        (folder / "box").mkdir()
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(unshare, "--user", "--mount", "--pid", "--uts", "--ipc", "--fork"),
                    *("/bin/bash", "-c", WAIT_FOR_IDS, "box"),
                    *(SCRIPT, root, folder, qemu, cpu),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=0,
            )
        try:
            self._set_up()
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """The process here that is the parent of the box's first."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What the set-up and the SSH server wrote."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """End every process in it; the mounts go with the last of them."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            # The group holds the first process of the box, and with that one all die.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(END_LIMIT_S)

    def _set_up(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._expect("unshared", self._process.stdout)
        _map_ids(self._process.pid)
        self._process.stdin.write(b"mapped\n")
        self._process.stdin.flush()
        self._expect("mounted", self._process.stdout)

    def _expect(self, word: str, stream: IO[bytes]) -> None:
        if stream.readline().decode().strip() != word:
            self._process.wait(END_LIMIT_S)
            raise Unavailable(f"namespaces or mounts are refused here: {self.log.strip()}")


def require_kernel() -> None:
    """Refuse a Linux without binfmt_misc in user namespaces.

    Raises:
        Unavailable: it is older than 6.7.
    """
    release = os.uname().release
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None or tuple(map(int, numbers.groups())) < OLDEST_KERNEL:
        raise Unavailable(f"Linux {release} has no private binfmt_misc, which came with 6.7")


def _map_ids(pid: int) -> None:
    for kind in ("uid", "gid"):
        try:
            if os.geteuid() == 0:
                Path(f"/proc/{pid}/{kind}_map").write_text(f"0 0 {IDS}\n")
            else:
                _map_subordinate(kind, pid)
        except (OSError, ProcessError) as error:
            raise Unavailable(f"the ids of a user namespace can't be mapped: {error}") from error


def _map_subordinate(kind: str, pid: int) -> None:
    """Map an ordinary user's own id and the ids that /etc/subuid or /etc/subgid lends."""
    helper = find_program(f"new{kind}map", "uidmap")
    own = os.geteuid() if kind == "uid" else os.getegid()
    names = (getpass.getuser(), str(os.geteuid()))
    lent = Path(f"/etc/sub{kind}")
    for line in lent.read_text().splitlines() if lent.exists() else ():
        name, first, count = line.split(":")
        if name in names and int(count) >= IDS - 1:
            run([helper, str(pid), "0", str(own), "1", "1", first, str(IDS - 1)])
            return
    raise Unavailable(f"{lent} lends {names[0]} no {IDS - 1} ids")
