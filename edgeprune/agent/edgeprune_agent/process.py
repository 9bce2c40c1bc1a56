"""The one way to run another program on the device."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

__all__ = ["output_of"]


def output_of(command: Sequence[str], timeout_s: float = 5.0) -> str | None:
    """What a program prints; none where it is absent, fails, or does not end in time.

    Args:
        command: a program on the path, and its arguments.
        timeout_s: seconds after which it is killed.
    """
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", errors="replace")
