"""Hosts that are reached over SSH."""

from __future__ import annotations

import sys

from invoke.context import Context

from edgeprune.tasks.command import command, ssh_table

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
    set_: list[str] | None = None,
) -> None:
    """Trust the host key of a target reached over SSH.

    The key is fetched and its fingerprint shown. It is pinned in known_hosts when you confirm it
    at a terminal, or when it is the one of --fingerprint. A key that differs from a pinned one is
    refused, unless --replace is given.
    """
    from edgeprune.remote import require_paramiko

    ssh = ssh_table(target, set_ or ())
    require_paramiko()
    from edgeprune.remote.trust import trust as trust_host

    ask = _ask if sys.stdin.isatty() else None
    trust_host(ssh, target=target, say=print, ask=ask, fingerprint=fingerprint, replacing=replace)


def _ask(question: str) -> bool:
    return input(f"{question} [yes/no] ").strip().lower() == "yes"


TASKS = (trust,)
