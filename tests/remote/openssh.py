"""OpenSSH's own programs, which the tests compare with."""

from __future__ import annotations

import subprocess


def ssh_keygen(*arguments: str) -> str:
    """Run ssh-keygen; returns what it printed."""
    done = subprocess.run(
        ["ssh-keygen", *arguments],  # noqa: S607
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout
