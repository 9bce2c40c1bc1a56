"""The systemd user unit that keeps the agent listening."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from edgeprune.errors import BundleError
from edgeprune.firmware.template import render

__all__ = ["HEALTH_FILE", "UNIT", "service_unit"]

#: Where it lies in a bundle.
UNIT = "unit/edgeprune.service"
#: Where the service tells its health, in the folder that everything lies in on the device.
HEALTH_FILE = "health.json"

_TEMPLATE = "edgeprune-service"


def service_unit(root: str, *, description: str, listen: Sequence[str]) -> str:
    """The unit's text.

    Args:
        root: folder on the device that everything lies in; relative to the home folder.
        description: what it hears.
        listen: further arguments of the agent's ``listen``.

    Raises:
        BundleError: an argument that systemd can't pass on.
    """
    folder = PurePosixPath(root)
    # systemd puts the home folder in place of %h.
    home = "" if folder.is_absolute() else "%h/"
    place = home + _escaped(str(folder))
    command = [
        "/usr/bin/env",
        "python3",
        "-I",
        f'"{place}/current/agent/run.py"',
        "listen",
        "--health-file",
        f'"{place}/{HEALTH_FILE}"',
        *map(_quoted, listen),
    ]
    values = {"command": " ".join(command), "description": _escaped(description)}
    return render(_TEMPLATE, "", values)["edgeprune.service"]


def _quoted(argument: str) -> str:
    return f'"{_escaped(argument)}"'


def _escaped(text: str) -> str:
    """What systemd reads as this very text in double quotes (systemd.syntax, systemd.service)."""
    if not text.isprintable():
        raise BundleError(
            f"{text!r} holds characters that a systemd unit can't",
            where="the service's unit",
            hint="plain text in ssh.root and ssh.listen",
        )
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        text = text.replace(character, escape)
    return text
