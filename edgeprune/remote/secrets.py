"""Passphrases and passwords: from the environment or a terminal, and never anywhere else."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["PASSPHRASE_VARIABLE", "PASSWORD_VARIABLE", "Secrets"]

PASSPHRASE_VARIABLE = "EDGEPRUNE_SSH_PASSPHRASE"  # noqa: S105 - a name
PASSWORD_VARIABLE = "EDGEPRUNE_SSH_PASSWORD"  # noqa: S105 - a name


def _ask_at_terminal(prompt: str) -> str | None:
    """What the user types, unseen; None where nobody sits at a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return getpass.getpass(prompt, stream=sys.stderr) or None


class Secrets:
    """Where a login gets its secrets; asks for each at most once.

    One object may serve many hosts. Nothing that it holds shows in its ``repr``.

    Args:
        ask: shows a prompt and gives what was typed, or None.
    """

    def __init__(self, ask: Callable[[str], str | None] = _ask_at_terminal) -> None:
        self._ask = ask
        self._passphrases: dict[Path, str | None] = {}

    def passphrase(self, key: Path) -> str | None:
        """The passphrase of a private key: of EDGEPRUNE_SSH_PASSPHRASE, or asked for."""
        given = os.environ.get(PASSPHRASE_VARIABLE)
        if given:
            return given
        if key not in self._passphrases:
            self._passphrases[key] = self._ask(f"Passphrase of {key}: ")
        return self._passphrases[key]

    def password(self, name: str, *, final: bool) -> str | None:
        """The password of a host.

        Args:
            name: the host, for the prompt.
            final: whether it is the target itself. EDGEPRUNE_SSH_PASSWORD is the target's: a jump
                host never sees it.
        """
        given = os.environ.get(PASSWORD_VARIABLE) if final else None
        return given or self._ask(f"Password of {name}: ")
