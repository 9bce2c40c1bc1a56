"""Passphrases and passwords of many hosts, asked for once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from edgeprune.remote.secrets import Secrets

__all__ = ["FleetSecrets"]


class FleetSecrets(Secrets):
    """Serves every host of a fleet, from any thread.

    A user has one password on all hosts of the fleet; jump hosts have their own.

    Args:
        ask: shows a prompt and gives what was typed, or None; the terminal if left out.
    """

    def __init__(self, ask: Callable[[str], str | None] | None = None) -> None:
        super().__init__(*(() if ask is None else (ask,)))
        self._one_asks = threading.Lock()
        self._passwords: dict[str, str | None] = {}

    def passphrase(self, key: Path) -> str | None:
        """See :meth:`edgeprune.remote.secrets.Secrets.passphrase`."""
        with self._one_asks:
            return super().passphrase(key)

    def password(self, name: str, *, final: bool) -> str | None:
        """See :meth:`edgeprune.remote.secrets.Secrets.password`."""
        user = name.rpartition("@")[0]
        whose = f"{user}@" if final else name
        with self._one_asks:
            if whose not in self._passwords:
                prompt = f"{user}, on every host of the fleet" if final else name
                self._passwords[whose] = super().password(prompt, final=final)
            return self._passwords[whose]
