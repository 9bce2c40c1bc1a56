"""What a user reads of her virtual Pi."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from edgeprune.ssh_target import Ssh
from edgeprune.virtual_pi import debian
from edgeprune.virtual_pi.machine import Started

__all__ = ["told"]

_HOW = {
    "ran": "runs already; looked at in",
    "restored": "goes on where it was stopped; up in",
    "fresh": "is as it was after its first boot; up in",
    "booted": "booted in",
}


def told(started: Started, ssh: Ssh, settings: Sequence[str]) -> str:
    """How it came to run, and what can be done with it.

    Args:
        started: as :meth:`edgeprune.virtual_pi.VirtualPi.start` returned it.
        ssh: the target's table.
        settings: what ``--set`` was given, for the commands to come.
    """
    options = "".join(f" --set {shlex.quote(setting)}" for setting in settings)
    built = "" if started.built_s is None else f"built in {started.built_s:.0f} s, "
    login = (
        f"ssh -p {ssh.port} -i {ssh.identity_file} -o UserKnownHostsFile={ssh.known_hosts}"
        f" {ssh.user}@{ssh.host}"
    )
    return "\n".join(
        [
            f"the virtual Pi {built}{_HOW[started.how]} {started.seconds:.0f} s"
            f" (Debian {debian.RELEASE} for arm64, {ssh.user}@{ssh.host}:{ssh.port})",
            f"  invoke deploy --target virtual-pi{options}",
            f"  invoke check --target virtual-pi{options}",
            f"  {login}",
            f"  invoke virtual-pi --stop{options}    or --fresh, --status, --remove",
        ]
    )
