"""Wheels for the machine: resolved and unpacked on the host, sent as one archive."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

from edgeprune.errors import ProcessError
from edgeprune.process import run
from tests.devices.aarch64.machine import Aarch64Machine
from tests.devices.aarch64.root import Unavailable

__all__ = ["install", "site_folder"]

#: What Debian 12's glibc 2.36 runs and wheels are made for; pip takes no tag to imply an older one.
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def site_folder(folder: Path, python: str, *requirements: str) -> Path:
    """Fill a folder with unpacked wheels for aarch64, and those that they require.

    Raises:
        Unavailable: the index can't be reached or has no such wheel.
    """
    try:
        run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder),
                *("--no-compile", "--only-binary=:all:", "--python-version", python),
                *(argument for tag in PLATFORMS for argument in ("--platform", tag)),
                *requirements,
            ]
        )
    except ProcessError as error:
        raise Unavailable(f"no wheels for aarch64: {error}") from error
    return folder


def install(machine: Aarch64Machine, source: Path, destination: str) -> None:
    """Put a folder's content into a new folder of the machine."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(source, arcname=".")
    assert machine.run(["mkdir", "-p", destination]).returncode == 0
    unpacked = machine.run(["tar", "-x", "-C", destination], stdin=content.getvalue())
    assert unpacked.returncode == 0, unpacked.stderr.decode()
