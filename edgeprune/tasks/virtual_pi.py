"""``invoke virtual-pi``: a Raspberry Pi for those who have none at hand."""

from __future__ import annotations

from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.tasks.command import command, say, ssh_table

__all__ = ["TASKS"]

_TARGET = "virtual-pi"


@command(
    fresh="as it was after its first boot: what was deployed to it is gone",
    stop="suspend it; the next start goes on there",
    status="only say whether it runs; exit code 1 when it does not",
    remove="end it, and delete its image, its disk and its key",
)
def virtual_pi(
    c: Context,
    fresh: bool = False,
    stop: bool = False,
    status: bool = False,
    remove: bool = False,
    set_: list[str] | None = None,
) -> None:
    """Start a virtual Raspberry Pi on this computer, to deploy to.

    It is built and booted the first time; later it goes on where it was stopped.
    """
    from edgeprune import progress
    from edgeprune.remote import require_paramiko
    from edgeprune.virtual_pi import VirtualPi, cache_folder, told

    settings = set_ or []
    ssh = ssh_table(_TARGET, settings)
    require_paramiko()
    machine = VirtualPi(ssh, cache_folder(), say=say, progress=progress.for_stream())
    if status:
        found = machine.status()
        print(found)
        if found.state != "running":
            raise Exit(code=1)
    elif remove:
        machine.remove()
        print("removed")
    elif stop:
        print("suspended" if machine.stop() else "it does not run")
    else:
        print(told(machine.start(fresh=fresh), ssh, settings))


TASKS = (virtual_pi,)
