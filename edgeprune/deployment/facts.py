"""Asking a device what a bundle for it must know."""

from __future__ import annotations

from edgeprune.bundle import PROBE, DeviceFacts
from edgeprune.errors import BundleError, DeploymentError, RemoteProcessError
from edgeprune.remote import Remote

__all__ = ["ask_facts"]

_TIMEOUT_S = 60.0


def ask_facts(remote: Remote) -> DeviceFacts:
    """A device's machine, Python and C library.

    Raises:
        DeploymentError: it has no Python.
        BundleError: it has one that no bundle can be made for.
        RemoteError: the host is gone.
    """
    try:
        done = remote.run(("python3", "-I", "-c", PROBE), timeout_s=_TIMEOUT_S)
    except RemoteProcessError as error:
        raise DeploymentError(
            "the host has no Python 3 that works",
            where=remote.name,
            hint="sudo apt-get install python3 there; 3.9 or newer is needed",
        ) from error
    try:
        return DeviceFacts.parse(done.text)
    except BundleError as error:
        error.where = remote.name
        raise
