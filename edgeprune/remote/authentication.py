"""Logging in as ssh does: keys of the agent, key files, then a password."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import paramiko

from edgeprune.errors import AuthenticationError, printable
from edgeprune.remote.route import Hop
from edgeprune.remote.secrets import PASSPHRASE_VARIABLE, PASSWORD_VARIABLE, Secrets

__all__ = ["log_in"]

_KEY_CLASSES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)

#: From how many refusals on a closed connection means that the host had enough: sshd's MaxAuthTries
#: is 6, hardened hosts take 3.
_PATIENCE = 2

_PASSWORD_METHODS = {"password", "keyboard-interactive"}


@dataclass
class _Login:
    """One login under way: what the host offers still, and what it refused."""

    hop: Hop
    transport: Any
    attempt: Callable[[str], AbstractContextManager[None]]
    offered: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def tries(self, what: str, method: Callable[[], list[str]]) -> bool:
        """Whether a try ends the login; one that the host takes as the first of two does not."""
        with self.attempt("logging in"):
            try:
                further = method()
            except paramiko.BadAuthenticationType as error:
                self.offered = set(error.allowed_types)
                self.refused.append(what)
                return False
            except paramiko.AuthenticationException:
                active = self.transport.is_active()
                if not active and len(self.refused) < _PATIENCE:
                    raise
                self.refused.append(what)
                if not active:
                    raise _failed(self, "closed the connection after") from None
                return False
        self.offered = set(further)
        return not further


def log_in(
    hop: Hop,
    transport: Any,
    secrets: Secrets,
    attempt: Callable[[str], AbstractContextManager[None]],
    *,
    final: bool,
) -> None:
    """Log in to a host whose key was checked.

    Args:
        hop: the host, and the keys to try.
        transport: paramiko's transport, after the key exchange.
        secrets: where passphrases and passwords come from.
        attempt: puts a time limit on every try; nobody is hurried while typing.
        final: whether it is the target, and not a jump host.

    Raises:
        AuthenticationError: when the host takes nothing that there is.
    """
    login = _Login(hop, transport, attempt)
    if login.tries("no key or password", partial(transport.auth_none, hop.user)):
        return
    login.refused.clear()
    with contextlib.ExitStack() as stack:
        for label, key in _keys(login, secrets, stack):
            if "publickey" not in login.offered:
                break
            if login.tries(label, partial(transport.auth_publickey, hop.user, key)):
                return
    if login.offered & _PASSWORD_METHODS:
        password = secrets.password(hop.name, final=final)
        if password is not None and login.tries(
            "a password", partial(transport.auth_password, hop.user, password)
        ):
            return
    raise _failed(login, "takes none of")


def _failed(login: _Login, verb: str) -> AuthenticationError:
    tried = ", ".join(login.refused) or "no key was found, no password given"
    offers = printable(", ".join(sorted(login.offered))) or "nothing more"
    ways = f"set ssh.identity_file to a key that {login.hop.user} may use there"
    if login.offered & _PASSWORD_METHODS:
        ways += f", or {PASSWORD_VARIABLE}"
    return AuthenticationError(
        f"the host {verb} what was tried: {tried} (it offers: {offers})",
        where=login.hop.name,
        hint=ways,
    )


def _keys(
    login: _Login, secrets: Secrets, stack: contextlib.ExitStack
) -> Iterator[tuple[str, paramiko.PKey]]:
    """Keys in ssh's order: first those that the user named, then what else the agent has."""
    agent = {key.asbytes(): key for key in _agent_keys(stack)}
    used = set()
    for path in login.hop.identities:
        public = _public_blob(path)
        if public in agent:
            used.add(public)
            yield f"key {path} of the agent", agent[public]
        elif path.suffix == ".pub":
            continue
        elif path.exists():
            key = _loaded(path, login, secrets)
            if key is not None:
                used.add(key.asbytes())
                yield f"key {path}", key
        elif login.hop.named_identities:
            login.refused.append(f"key {path}, which is absent")
    if login.hop.identities_only:
        return
    for blob, key in agent.items():
        if blob not in used:
            yield f"key {getattr(key, 'comment', '') or key.get_name()} of the agent", key


def _agent_keys(stack: contextlib.ExitStack) -> tuple[paramiko.PKey, ...]:
    """The agent's keys; none where no agent answers."""
    try:
        # paramiko forgets to close a socket that nobody answers at.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(os.environ.get("SSH_AUTH_SOCK", ""))
        agent = paramiko.Agent()
        stack.callback(agent.close)
        return tuple(agent.get_keys())
    except (paramiko.SSHException, OSError):
        return ()


def _public_blob(path: Path) -> bytes | None:
    public = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    try:
        return paramiko.PublicBlob.from_file(str(public)).key_blob  # type: ignore[no-any-return]
    except (OSError, ValueError, paramiko.SSHException):
        return None


def _loaded(path: Path, login: _Login, secrets: Secrets) -> paramiko.PKey | None:
    """A private key; None, and a note of why, when it can't be had."""
    key, reason = _parsed(path, None)
    if key is None and reason == "encrypted":
        passphrase = secrets.passphrase(path)
        if passphrase is None:
            reason = f"whose passphrase is unknown ({PASSPHRASE_VARIABLE})"
        else:
            key, _ = _parsed(path, passphrase)
            reason = "whose passphrase is another"
    if key is None:
        login.refused.append(f"key {path}, {reason}")
    return key


def _parsed(path: Path, passphrase: str | None) -> tuple[paramiko.PKey | None, str]:
    """A private key, or why not.

    ``PKey.from_path`` of paramiko 5.1 fails on every encrypted key, so each kind is tried.
    """
    reason = "which is not a private key"
    for kind in _KEY_CLASSES:
        try:
            key = kind.from_private_key_file(str(path), passphrase)
        except paramiko.PasswordRequiredException:
            return None, "encrypted"
        except OSError as error:
            return None, f"which can't be read ({error.strerror})"
        except (paramiko.SSHException, ValueError, TypeError, IndexError):
            continue
        certificate = path.with_name(path.name + "-cert.pub")
        if certificate.is_file():
            with contextlib.suppress(ValueError, paramiko.SSHException, OSError):
                key.load_certificate(str(certificate))
        return key, ""
    return None, reason
