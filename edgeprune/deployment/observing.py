"""What a device says of itself, without changing anything there."""

from __future__ import annotations

from collections.abc import Generator

from edgeprune.deployment.device_link import DeviceLink
from edgeprune.deployment.records import Status
from edgeprune.deployment.text import plain
from edgeprune.remote import Remote

__all__ = ["follow", "logs", "status"]

_TIMEOUT_S = 30.0
#: Nobody follows a log for longer.
_FOLLOWED_S = 24 * 3600.0


def status(remote: Remote, *, root: str) -> Status:
    """What runs, since when, how well, and what else is there.

    Raises:
        DeploymentError: the device can't tell.
        RemoteError: the connection broke.
    """
    told = DeviceLink(remote, root).ask("status", timeout_s=_TIMEOUT_S)
    return Status.of(remote.name, told)


def logs(remote: Remote, *, root: str, count: int = 50) -> tuple[str, ...]:
    """The last lines that the service printed.

    Raises:
        DeploymentError: nothing was deployed yet.
        RemoteError: the connection broke.
    """
    command = DeviceLink(remote, root).ask("log", count=count, follow=False)
    done = remote.run(command, timeout_s=_TIMEOUT_S)
    return tuple(map(plain, done.text.splitlines()))


def follow(remote: Remote, *, root: str, count: int = 50) -> Generator[str, None, None]:
    """The last lines, and those to come; close the iterator to end it.

    Raises:
        DeploymentError: nothing was deployed yet.
        RemoteError: the connection broke.
    """
    command = DeviceLink(remote, root).ask("log", count=count, follow=True)
    yield from map(plain, remote.lines(command, timeout_s=_FOLLOWED_S))
