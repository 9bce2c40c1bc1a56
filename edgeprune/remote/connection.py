"""A host over SSH: :class:`edgeprune.remote.base.Remote` on paramiko."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from edgeprune.closing import Closing
from edgeprune.remote.base import Completed
from edgeprune.remote.execution import execute, stream_lines
from edgeprune.remote.files import Files
from edgeprune.remote.link import Link, pinned, trust_command
from edgeprune.remote.route import route
from edgeprune.remote.secrets import Secrets
from edgeprune.ssh_target import Ssh

__all__ = ["SshRemote", "connect"]


def connect(ssh: Ssh, *, target: str, secrets: Secrets | None = None) -> SshRemote:
    """Connect to a target's host, through its jump hosts, every one's key checked.

    Args:
        ssh: the target's table.
        target: the target's name, for the command that trusts an unknown key.
        secrets: where passphrases and passwords come from; one object can serve many hosts.

    Raises:
        DeclarationError: when the table names no host.
        HostKeyError: for a key that is unknown, changed or revoked.
        AuthenticationError: when a host takes no key or password that there is.
        RemoteError: when a host can't be reached; RemoteTimeout and ConnectionLost among them.
    """
    hops = route(ssh)
    approve = pinned(trust_command(ssh, target))
    link = Link(hops, secrets or Secrets(), approve, timeout_s=ssh.connect_timeout_s)
    return SshRemote(link, stall_s=ssh.stall_timeout_s, upload_s=ssh.upload_timeout_s)


class SshRemote(Closing):
    """A host that is connected. Use :func:`connect`.

    Args:
        link: the connection, which this object closes.
        stall_s: longest silence of the host while files are moved.
        upload_s: limit of one file's upload.
    """

    def __init__(self, link: Link, *, stall_s: float, upload_s: float) -> None:
        self.name = link.name
        self._link = link
        self._files = Files(link, self._run_for_files, stall_s=stall_s, upload_s=upload_s)

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        check: bool = True,
    ) -> Completed:
        """Run a program to its end; see :class:`edgeprune.remote.base.Remote`."""
        return execute(self._link, command, timeout_s, stdin, check)

    def lines(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b""
    ) -> Iterator[str]:
        """Run a program and give its lines; see :class:`edgeprune.remote.base.Remote`."""
        return stream_lines(self._link, command, timeout_s, stdin)

    def put(
        self,
        source: Path,
        destination: PurePosixPath,
        *,
        advance: Callable[[int], None] | None = None,
        mode: int = 0o644,
    ) -> None:
        """Upload a file; see :class:`edgeprune.remote.base.Remote`."""
        self._files.put(source, destination, advance, mode)

    def write(self, destination: PurePosixPath, content: bytes, *, mode: int = 0o644) -> None:
        """Write a small file; see :class:`edgeprune.remote.base.Remote`."""
        self._files.write(destination, content, mode)

    def read(self, path: PurePosixPath, *, limit: int = 1 << 20) -> bytes:
        """Read a small file; see :class:`edgeprune.remote.base.Remote`."""
        return self._files.read(path, limit)

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _run_for_files(self, command: tuple[str, ...], timeout_s: float) -> Completed:
        return self.run(command, timeout_s=timeout_s)
