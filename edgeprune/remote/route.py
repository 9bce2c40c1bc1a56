"""The way to a host: its target's table laid over ``~/.ssh/config``, jump hosts first."""

from __future__ import annotations

import getpass
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from edgeprune.errors import RemoteError
from edgeprune.remote.known_hosts import host_name
from edgeprune.ssh_target import Ssh

__all__ = ["Hop", "route"]

_SSH_PORT = 22
_DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")
_DEFAULT_KNOWN_HOSTS = ("known_hosts", "known_hosts2")
_GLOBAL_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_MOST_JUMPS = 8
_DEEPEST_INCLUDE = 16
_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:@/]+)(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True)
class Hop:
    """A host on the way, and how to log in there.

    Attributes:
        alias: the name that the user gave.
        host: the name or address to connect to.
        port: of its SSH server.
        user: to log in as.
        identities: private keys to try, in this order; not all of them need exist.
        named_identities: whether the user named them; the usual ones may be absent.
        identities_only: try no other key of the agent.
        known_hosts: the files of pinned keys; new ones go into the first.
        key_name: what those files call the host.
    """

    alias: str
    host: str
    port: int
    user: str
    identities: tuple[Path, ...]
    named_identities: bool
    identities_only: bool
    known_hosts: tuple[Path, ...]
    key_name: str

    @property
    def name(self) -> str:
        """What reports and errors call it: ``pi@kitchen:22``."""
        return f"{self.user}@{self.alias}:{self.port}"


def route(ssh: Ssh) -> tuple[Hop, ...]:
    """The hosts to go through, and the host itself, which is last.

    Raises:
        DeclarationError: when the table names no host.
        RemoteError: for a configuration that can't be read, that needs what is not supported, or
            whose jumps go in a circle.
    """
    hops = _hops(ssh, _read_config(ssh.config), jumps=0)
    return tuple(hops)


def _hops(ssh: Ssh, config: paramiko.SSHConfig, jumps: int) -> list[Hop]:
    alias = ssh.named_host()
    if jumps > _MOST_JUMPS:
        raise RemoteError("the jump hosts go in a circle", where=alias, hint="check ProxyJump")
    found = _looked_up(config, alias)
    if found.get("proxycommand") and ssh.jump is None:
        raise RemoteError(
            "the SSH configuration has a ProxyCommand for it, which is not supported",
            where=alias,
            hint="ProxyJump is, or --set target.ssh.jump=none for the direct way",
        )
    hops: list[Hop] = []
    for jump in _jumps(ssh.jump or str(found.get("proxyjump", "none")), alias):
        through = ssh.model_copy(update={**jump, "identity_file": None, "jump": None})
        if hops:
            through = through.model_copy(update={"jump": "none"})
        hops += _hops(through, config, jumps + 1 + len(hops))
    return [*hops, _hop(ssh, alias, found)]


def _hop(ssh: Ssh, alias: str, found: dict[str, Any]) -> Hop:
    host = str(found.get("hostname", alias))
    port = ssh.port or _port(found.get("port"), alias)
    own = [] if ssh.identity_file is None else [Path(ssh.identity_file).expanduser()]
    named = [*own, *(Path(each).expanduser() for each in found.get("identityfile", ()))]
    folder = Path.home() / ".ssh"
    return Hop(
        alias=alias,
        host=host,
        port=port,
        user=ssh.user or str(found.get("user", "")) or getpass.getuser(),
        identities=tuple(named or (folder / name for name in _DEFAULT_IDENTITIES)),
        named_identities=bool(named),
        identities_only=str(found.get("identitiesonly", "no")).lower() == "yes",
        known_hosts=_known_hosts(ssh, found),
        key_name=str(found.get("hostkeyalias", "")).lower() or host_name(host, port),
    )


def _known_hosts(ssh: Ssh, found: dict[str, Any]) -> tuple[Path, ...]:
    if ssh.known_hosts is not None:
        return (Path(ssh.known_hosts).expanduser(),)
    home = Path.home()
    named = str(found.get("userknownhostsfile", "")).split()
    users = [Path(each.replace("%d", str(home))).expanduser() for each in named]
    users = users or [home / ".ssh" / name for name in _DEFAULT_KNOWN_HOSTS]
    return (*users, _GLOBAL_KNOWN_HOSTS)


def _port(value: object, alias: str) -> int:
    if value is None:
        return _SSH_PORT
    text = str(value)
    if text.isdecimal() and 0 < int(text) < 65_536:
        return int(text)
    raise RemoteError(f"{text!r} is not a port", where=alias, hint="check Port and ProxyJump")


def _jumps(value: str, alias: str) -> Iterator[dict[str, object]]:
    """What each host of a ProxyJump value changes in the table of the host behind it."""
    if value.lower() == "none":
        return
    for part in value.split(","):
        match = _JUMP.fullmatch(part.strip())
        if match is None:
            raise RemoteError(
                f"{part!r} is not a jump host", where=alias, hint="user@host:port, as in ssh -J"
            )
        port = None if match["port"] is None else _port(match["port"], alias)
        yield {"host": match["host"].strip("[]"), "port": port, "user": match["user"]}


def _looked_up(config: paramiko.SSHConfig, alias: str) -> dict[str, Any]:
    try:
        return dict(config.lookup(alias))
    except (paramiko.SSHException, ValueError, OSError) as error:
        raise RemoteError(f"the SSH configuration fails: {error}", where=alias) from error


def _read_config(name: str | None) -> paramiko.SSHConfig:
    if name == "none":
        return paramiko.SSHConfig()
    path = Path(name).expanduser() if name else Path.home() / ".ssh" / "config"
    if name is None and not path.exists():
        return paramiko.SSHConfig()
    text = "\n".join(_lines(path, depth=0))
    try:
        parsed = paramiko.SSHConfig()
        parsed.parse(io.StringIO(text))
    except (paramiko.SSHException, ValueError) as error:
        raise RemoteError(f"is not an SSH configuration: {error}", where=str(path)) from error
    return parsed


def _lines(path: Path, depth: int) -> Iterator[str]:
    """The lines of a configuration, with those of included files in their place."""
    if depth > _DEEPEST_INCLUDE:
        raise RemoteError("includes itself", where=str(path), hint="check Include")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RemoteError(f"can't be read: {error.strerror}", where=str(path)) from error
    section = "Host *"
    for line in text.splitlines():
        keyword, *rest = re.split(r"\s*=\s*|\s+", line.strip(), maxsplit=1)
        if keyword.lower() in ("host", "match"):
            section = line
        if keyword.lower() != "include":
            yield line
            continue
        for pattern in " ".join(rest).split():
            for included in _included(pattern.strip('"')):
                yield from _lines(included, depth + 1)
        yield section


def _included(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    path = path if path.is_absolute() else Path.home() / ".ssh" / path
    relative = path.relative_to(path.anchor)
    return sorted(Path(path.anchor).glob(str(relative)))
