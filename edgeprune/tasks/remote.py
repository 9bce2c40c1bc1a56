"""Hosts that are reached over SSH."""

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.errors import EdgepruneError
from edgeprune.tasks.command import command, read_target
from edgeprune.tasks.fleet import reached

__all__ = ["TASKS"]


@command(
    fingerprint="the host key's, SHA256:…, as the host itself prints it; asked for if left out",
    replace="put the key in the place of one that was trusted before",
)
def trust(
    c: Context,
    target: str,
    fingerprint: str | None = None,
    replace: bool = False,
    host: str | None = None,
    set_: list[str] | None = None,
) -> None:
    """Trust the host key of a target over SSH, or those of a fleet.

    The key is fetched and its fingerprint shown. It is pinned in known_hosts when you confirm it
    at a terminal, or when it is the one of --fingerprint. A key that differs from a pinned one is
    refused, unless --replace is given.
    """
    from edgeprune.remote import require_paramiko

    require_paramiko()
    from edgeprune.remote.secrets import Secrets
    from edgeprune.remote.trust import trust as trust_host

    declared = read_target(target, set_ or ())
    if declared.fleet is not None and fingerprint is None:
        from edgeprune.fleet import chosen, members

        hosts = [member.ssh for member in chosen(members(declared), host)]
    else:
        hosts = [reached(declared, host)]
    ask = _ask if sys.stdin.isatty() else None
    secrets, failed = Secrets(), False
    for ssh in hosts:
        try:
            trust_host(
                ssh,
                target=target,
                say=print,
                ask=ask,
                fingerprint=fingerprint,
                replacing=replace,
                secrets=secrets,
            )
        except EdgepruneError as error:
            if len(hosts) == 1:
                raise
            failed = True
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
    if failed:
        raise Exit(code=2)


def _ask(question: str) -> bool:
    return input(f"{question} [yes/no] ").strip().lower() == "yes"


TASKS = (trust,)
