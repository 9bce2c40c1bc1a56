"""What is asked of the virtual Pi from inside: whether it is up, and what time it is."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from edgeprune.errors import DeviceError, RemoteError
from edgeprune.remote import Remote, connect
from edgeprune.ssh_target import Ssh
from edgeprune.virtual_pi.emulator import Emulator

__all__ = ["Guest"]

_NAME = "virtual-pi"
_POLL_S = 1.0
_STEP_S = 120.0
_MANAGERS = (("systemctl",), ("systemctl", "--user"))
#: Of the first try to connect, and what each one has more than the one before: a packet that came
#: too early is never answered, and a computer with much to do is slow.
_CONNECT_S = 5.0
_UP, _FAILED = "running", "degraded"


@dataclass(frozen=True)
class Guest:
    """The system in an emulator.

    Attributes:
        ssh: how to log in.
        emulator: where it runs.
    """

    ssh: Ssh
    emulator: Emulator

    def wait(self, limit_s: float, *, all_units: bool) -> None:
        """Wait until systemd and that of the user have started all that they start.

        Args:
            limit_s: seconds that it may take.
            all_units: whether it is an error that a unit failed. Of a machine that was deployed
                to, it is not: it is up, and the deployment's to look at.

        Raises:
            DeviceError: that took longer, a unit failed, or QEMU ended.
        """
        deadline = time.monotonic() + limit_s
        state = "no SSH server answered"
        tries = 0
        while time.monotonic() < deadline:
            tries += 1
            if not self.emulator.running:
                raise self._error("ended")
            try:
                with self._connected(connect_s=_CONNECT_S * tries) as remote:
                    state = self._watched(remote, deadline)
                    if state == _FAILED and all_units:
                        raise self._error(f"is {state}: {_failed_units(remote)}")
            except RemoteError as error:
                state = error.message
            if state in (_UP, _FAILED):
                return
            time.sleep(_POLL_S)
        raise self._error(f"was not up within {limit_s:g} s: {state}")

    def set_clock(self) -> None:
        """Give it this computer's time; its own stands still while it is suspended."""
        with self._connected(user="root") as remote:
            remote.run(["date", "--utc", f"--set=@{time.time():.3f}"], timeout_s=_STEP_S)

    def settle(self) -> None:
        """Write what lies in its memory to its disk."""
        with self._connected(user="root") as remote:
            remote.run(["sync"], timeout_s=_STEP_S)

    def _watched(self, remote: Remote, deadline: float) -> str:
        """Ask until both are up; what the one that is not says."""
        while True:
            states = [_state(remote, manager) for manager in _MANAGERS]
            if not set(states) - {_UP, _FAILED}:
                return _FAILED if _FAILED in states else _UP
            if time.monotonic() >= deadline:
                return ", ".join(states)
            time.sleep(_POLL_S)

    def _connected(self, connect_s: float = math.inf, **changes: object) -> Remote:
        limit_s = min(self.ssh.connect_timeout_s, connect_s)
        table = self.ssh.model_copy(update={"connect_timeout_s": limit_s, **changes})
        return connect(table, target=_NAME)

    def _error(self, message: str) -> DeviceError:
        return DeviceError(
            f"the virtual Pi {message}{self.emulator.last_words()}",
            where=str(self.emulator.console),
            hint="invoke virtual-pi --fresh, or --remove and again",
        )


def _state(remote: Remote, manager: Sequence[str]) -> str:
    asked = remote.run([*manager, "is-system-running"], timeout_s=_STEP_S, check=False)
    return asked.text.strip()


def _failed_units(remote: Remote) -> str:
    words = ("--failed", "--plain", "--no-legend")
    listed = [remote.run([*each, *words], timeout_s=_STEP_S, check=False) for each in _MANAGERS]
    return "".join(each.text for each in listed).strip()
