"""The programs that a virtual Pi needs on this computer."""

from __future__ import annotations

import os
import shutil

from edgeprune.errors import DeviceError

__all__ = ["require_programs", "search_path"]

#: Program to the package of Debian that has it.
_PACKAGES = {
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
}


def search_path() -> str:
    """The PATH with the folders that an ordinary user's lacks, and where Debian has ``mke2fs``."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def require_programs() -> None:
    """Check that all programs are there.

    Raises:
        DeviceError: some are not; names them all, and how to install them.
    """
    missing = [name for name in _PACKAGES if shutil.which(name, path=search_path()) is None]
    if missing:
        packages = dict.fromkeys(_PACKAGES[name] for name in missing)
        raise DeviceError(
            f"a virtual Pi needs {', '.join(missing)}, which this computer lacks",
            hint=f"sudo apt-get install {' '.join(packages)}",
        )
