"""Trusting a host's key: fetched, shown, compared or confirmed, and only then pinned."""

from __future__ import annotations

from collections.abc import Callable

from edgeprune.errors import HostKeyError
from edgeprune.remote.known_hosts import Finding, HostKey, add, look_up, replace
from edgeprune.remote.link import Link, refusal, trust_command
from edgeprune.remote.route import Hop, route
from edgeprune.remote.secrets import Secrets
from edgeprune.ssh_target import Ssh

__all__ = ["trust"]

_PREFIX = "SHA256:"


def trust(
    ssh: Ssh,
    *,
    target: str,
    say: Callable[[str], None],
    ask: Callable[[str], bool] | None = None,
    fingerprint: str | None = None,
    replacing: bool = False,
    secrets: Secrets | None = None,
) -> None:
    """Fetch the key of a target's host, and of its jump hosts, and pin what is not pinned yet.

    Nobody logs in to the host itself, only to its jump hosts.

    Args:
        ssh: the target's table.
        target: its name.
        say: gets a line about every key.
        ask: asks whether a shown key is to be trusted; None where nobody can be asked.
        fingerprint: trust this key and no other, unasked.
        replacing: put a key in the place of one that was pinned before.
        secrets: where passphrases and passwords of jump hosts come from.

    Raises:
        HostKeyError: for a key that is revoked, changed, of another fingerprint, or refused.
        RemoteError: when a host can't be reached, or the pinned keys can't be read or written.
    """
    command = trust_command(ssh, target)

    def approve(hop: Hop, key: HostKey) -> None:
        finding = look_up(hop.known_hosts, hop.key_name, key)
        if finding.state == "known":
            say(f"{hop.name}: {key.kind} {key.fingerprint} is trusted already")
            return
        if finding.state == "revoked" or (finding.state == "changed" and not replacing):
            raise refusal(hop, key, finding, command)
        say(f"{hop.name}: {key.kind} {key.fingerprint}")
        if fingerprint is not None:
            _compare(hop, key, fingerprint)
        else:
            _confirm(hop, key, finding, ask, command)
        _pin(hop, key, finding)
        say(f"{hop.name}: trusted from now on, in {hop.known_hosts[0]}")

    Link(
        route(ssh),
        secrets or Secrets(),
        approve,
        timeout_s=ssh.connect_timeout_s,
        anonymous=True,
    ).close()


def _compare(hop: Hop, key: HostKey, fingerprint: str) -> None:
    wanted = _PREFIX + fingerprint.strip().removeprefix(_PREFIX).rstrip("=")
    if wanted != key.fingerprint:
        raise HostKeyError(
            f"the host shows another key than {wanted}: {key.kind} {key.fingerprint}",
            fingerprint=key.fingerprint,
            where=hop.name,
            hint="look at the key on the host itself: ssh-keygen -lf FILE prints the fingerprint",
        )


def _confirm(
    hop: Hop,
    key: HostKey,
    finding: Finding,
    ask: Callable[[str], bool] | None,
    command: str,
) -> None:
    if ask is None:
        raise HostKeyError(
            f"nobody is at a terminal to confirm the key {key.fingerprint}",
            fingerprint=key.fingerprint,
            where=hop.name,
            hint=f"{command} --fingerprint {key.fingerprint}, once you know that it is the host's",
        )
    instead = f" instead of {finding.entries[0].where}" if finding.entries else ""
    if not ask(f"Trust this key of {hop.name}{instead}?"):
        raise HostKeyError("the key was not trusted", fingerprint=key.fingerprint, where=hop.name)


def _pin(hop: Hop, key: HostKey, finding: Finding) -> None:
    if finding.entries:
        replace(hop.known_hosts[0], hop.key_name, key, finding.entries)
    else:
        add(hop.known_hosts[0], hop.key_name, key)
