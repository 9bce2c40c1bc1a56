"""The table ``[fleet]`` of a target, and the inventory file that it may name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import field_validator, model_validator

from edgeprune.declaration import Declaration, load, option
from edgeprune.ssh_target import HOST, Login

__all__ = ["Fleet", "FleetHost", "Inventory"]

_ADDRESS = re.compile(
    r"(?:(?P<user>[\w.][\w.-]*)@)?"
    r"(?P<host>\[[\w.:%][\w.:%-]*\]|[\w.%][\w.%-]*)(?::(?P<port>\d{1,5}))?"
)


class FleetHost(Login):
    """A host of an inventory; what it leaves out is as the target's table `[ssh]` has it."""

    name: str = option(
        "what reports and --host call it; its address too, where host is left out",
        pattern=r"^[\w.:%@\[\]][\w.:%@\[\]-]*$",
        max_length=255,
    )

    @model_validator(mode="after")
    def _has_an_address(self) -> FleetHost:
        if self.host is None and not re.search(HOST, self.name):
            raise ValueError(f"name = {self.name!r} is no address; host is missing")
        return self

    @classmethod
    def parse(cls, text: str) -> FleetHost:
        """Read ``[user@]host[:port]``; an IPv6 address with a port stands in brackets.

        Raises:
            ValueError: it is something else.
        """
        match = _ADDRESS.fullmatch(text)
        port = int(match["port"]) if match and match["port"] else None
        if match is None or not (port is None or 0 < port < 65_536):
            raise ValueError(f"found {text!r}; a host is written as user@host:port")
        return cls(name=text, host=match["host"].strip("[]"), port=port, user=match["user"])

    def login(self) -> Login:
        """The same, with the name for an address that is left out."""
        return self if self.host else self.model_copy(update={"host": self.name})

    @property
    def address(self) -> tuple[str, int | None, str | None]:
        """Where it is, to tell whether two are one."""
        return (self.host or self.name).lower(), self.port, self.user


class Inventory(Declaration):
    """The file of a fleet's hosts."""

    schema_version: Literal[1] = option("version of this layout", default=1)
    host: tuple[FleetHost, ...] = option("the hosts", min_length=1)

    @field_validator("host")
    @classmethod
    def _are_different(cls, hosts: tuple[FleetHost, ...]) -> tuple[FleetHost, ...]:
        _check_different(hosts)
        return hosts


class Fleet(Declaration):
    """Several hosts that are deployed to in waves."""

    hosts: tuple[str, ...] = option("the hosts, each as user@host:port or less of it", default=())
    inventory: str | None = option(
        "a TOML file of the hosts instead; relative to the target's file", default=None
    )
    parallel: int = option("how many hosts are deployed to at a time", default=8, ge=1, le=256)
    canary: int = option(
        "how many hosts go first, and have to meet the budgets before another one is touched",
        default=1,
        ge=0,
    )
    max_failures: int = option(
        "how many hosts may fail; after one more nothing new begins", default=0, ge=0
    )
    on_failure: Literal["stop", "roll back"] = option(
        "what happens when more fail: what was updated stays, or goes back to what ran before",
        default="stop",
    )
    host_timeout_s: float = option(
        "limit of the whole deployment to one host; the check of a canary has ssh.check_timeout_s",
        default=900.0,
        unit="s",
        gt=0,
        le=86_400,
    )

    @field_validator("hosts")
    @classmethod
    def _can_be_read(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        _check_different([FleetHost.parse(text) for text in hosts])
        return hosts

    @model_validator(mode="after")
    def _names_hosts_once(self) -> Fleet:
        if self.hosts and self.inventory is not None:
            raise ValueError("hosts and inventory both name hosts; one of them is too many")
        if not self.hosts and self.inventory is None:
            raise ValueError("the fleet is empty; hosts or inventory has to name its hosts")
        return self

    def beside(self, path: Path) -> Fleet:
        """The same, with an inventory that is looked for beside a file."""
        if self.inventory is None:
            return self
        there = path.parent / Path(self.inventory).expanduser()
        return self.model_copy(update={"inventory": str(there)})

    def read_hosts(self) -> tuple[FleetHost, ...]:
        """The hosts, in their order.

        Raises:
            DeclarationError: the inventory can't be read, naming file and key.
        """
        if self.inventory is None:
            return tuple(FleetHost.parse(text) for text in self.hosts)
        return load(Inventory, Path(self.inventory).expanduser()).host


def _check_different(hosts: Sequence[FleetHost]) -> None:
    names: set[str] = set()
    addresses: dict[tuple[str, int | None, str | None], str] = {}
    for host in hosts:
        if host.name in names:
            raise ValueError(f"{host.name} is there twice")
        other = addresses.setdefault(host.address, host.name)
        if other != host.name:
            raise ValueError(f"{other} and {host.name} are the same host")
        names.add(host.name)
