"""One way to reach a host over SSH; nothing else imports paramiko."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeprune.errors import MissingExtraError
from edgeprune.remote.base import Completed, Remote

if TYPE_CHECKING:
    from edgeprune.remote.connection import SshRemote
    from edgeprune.remote.secrets import Secrets
    from edgeprune.ssh_target import Ssh

__all__ = ["Completed", "Remote", "connect"]


def connect(ssh: Ssh, *, target: str, secrets: Secrets | None = None) -> SshRemote:
    """Connect to a target's host; see :func:`edgeprune.remote.connection.connect`.

    Raises:
        MissingExtraError: when paramiko is not installed.
    """
    require_paramiko()
    from edgeprune.remote import connection

    return connection.connect(ssh, target=target, secrets=secrets)


def require_paramiko() -> None:
    """Raise a MissingExtraError when paramiko is not installed."""
    try:
        import paramiko  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("paramiko", extra="ssh", purpose="reaching a host") from error
