"""The hosts of a fleet, by name, each with all that is needed to reach it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from edgeprune.errors import DeclarationError
from edgeprune.fleet_target import Fleet
from edgeprune.ssh_target import Ssh
from edgeprune.target import Target

__all__ = ["Member", "chosen", "fleet_declaration", "members", "only_member"]


@dataclass(frozen=True)
class Member:
    """A host of a fleet.

    Attributes:
        name: what reports and ``--host`` call it.
        ssh: how it is reached.
    """

    name: str
    ssh: Ssh

    def target(self, fleet: Target) -> Target:
        """The fleet's target, as one of this host alone."""
        return fleet.model_copy(update={"ssh": self.ssh, "fleet": None})


def fleet_declaration(target: Target) -> Fleet:
    """The table ``[fleet]`` of a target.

    Raises:
        DeclarationError: it has none.
    """
    if target.fleet is None:
        raise DeclarationError(
            "is missing: the target is no fleet",
            where=f"target {target.name}: fleet",
            hint="leave --host out",
        )
    return target.fleet


def members(target: Target) -> tuple[Member, ...]:
    """The hosts of a target's fleet, in their order.

    Raises:
        DeclarationError: the target is no fleet, or its inventory can't be read.
    """
    ssh = target.ssh_table()
    return tuple(
        Member(host.name, ssh.of_member(host.name, host.login()))
        for host in fleet_declaration(target).read_hosts()
    )


def chosen(fleet: Sequence[Member], names: str | None) -> tuple[Member, ...]:
    """The hosts that ``--host`` names, separated by commas; all of them if it is left out.

    Raises:
        DeclarationError: one of them is not there.
    """
    if names is None:
        return tuple(fleet)
    wanted = [name.strip() for name in names.split(",")]
    known = {member.name: member for member in fleet}
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            raise DeclarationError(
                f"there is no host {name!r} in the fleet",
                where="--host",
                hint=guess + _listed(fleet),
            )
    return tuple(member for member in fleet if member.name in wanted)


def only_member(target: Target, name: str | None) -> Member:
    """The one host of a fleet that a task works with.

    Raises:
        DeclarationError: none, or several, are named.
    """
    fleet = members(target)
    found = chosen(fleet, name)
    if len(found) != 1 or name is None:
        raise DeclarationError(
            f"target {target.name} is a fleet, and this is done with one host",
            where="--host",
            hint=f"--host NAME, one of {_listed(fleet)}",
        )
    return found[0]


def _listed(fleet: Sequence[Member], most: int = 20) -> str:
    names = ", ".join(member.name for member in fleet[:most])
    return names + (f" and {len(fleet) - most} more" if len(fleet) > most else "")
