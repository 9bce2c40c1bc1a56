"""An SSH connection: every hop's key checked, every wait limited, everything closed at the end."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paramiko

from edgeprune.errors import (
    ConnectionLost,
    HostKeyError,
    RemoteError,
    RemoteTimeout,
    printable,
)
from edgeprune.remote.authentication import log_in
from edgeprune.remote.known_hosts import Finding, HostKey, known_kinds, look_up
from edgeprune.remote.route import Hop
from edgeprune.remote.secrets import Secrets
from edgeprune.remote.watchdog import Watchdog
from edgeprune.ssh_target import Ssh

__all__ = ["Approve", "Link", "pinned", "refusal", "trust_command"]

#: Decides on the key that a host showed: returns, or raises.
Approve = Callable[[Hop, HostKey], None]

#: A packet now and then, so that a router does not forget the connection.
_KEEPALIVE_S = 15

#: How long a network may swallow what was sent before the connection counts as broken.
_UNACKNOWLEDGED_MS = 30_000

#: How long threads may take to notice that their socket was closed.
_CLOSING_S = 5.0

# paramiko logs what it raises as well; without a handler that would go to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def trust_command(ssh: Ssh, target: str) -> str:
    """The command that trusts the keys on the way to a target's host."""
    return f"invoke trust --target {target}{ssh.selection}"


def pinned(trust: str) -> Approve:
    """Approve what the ``known_hosts`` files pin, and nothing else.

    Args:
        trust: the command that trusts a key, for the error.
    """

    def approve(hop: Hop, key: HostKey) -> None:
        finding = look_up(hop.known_hosts, hop.key_name, key)
        if finding.state != "known":
            raise refusal(hop, key, finding, trust)

    return approve


def refusal(hop: Hop, key: HostKey, finding: Finding, trust: str) -> HostKeyError:
    """The error for a key that is not pinned."""
    lines = ", ".join(entry.where for entry in finding.entries)
    if finding.state == "revoked":
        message = f"the host's key was revoked by {lines}: {key.kind} {key.fingerprint}"
        hint = "don't connect; give the host a new key"
    elif finding.state == "changed":
        message = (
            f"the host's key is not the pinned one of {lines}: it shows {key.kind} "
            f"{key.fingerprint}. Either the host was set up anew, or somebody stands between"
        )
        hint = f"if it was set up anew: {trust} --replace"
    else:
        message = f"the host's key is not known: {key.kind} {key.fingerprint}"
        hint = (
            f"{trust} --fingerprint {key.fingerprint}, if the host itself says the same: "
            f"ssh-keygen -lf /etc/ssh/{_key_file(key.kind)}"
        )
    return HostKeyError(message, fingerprint=key.fingerprint, where=hop.name, hint=hint)


def _key_file(kind: str) -> str:
    short = "ed25519" if "ed25519" in kind else "ecdsa" if "ecdsa" in kind else "rsa"
    return f"ssh_host_{short}_key.pub"


class Link:
    """A connection to the last of some hops, through the others.

    Args:
        hops: as :func:`edgeprune.remote.route.route` gives them.
        secrets: where passphrases and passwords come from.
        approve: decides on every hop's key.
        timeout_s: limit of each step of connecting.
        anonymous: stop before logging in to the last hop.

    Raises:
        HostKeyError: from ``approve``.
        AuthenticationError: when a hop takes no key or password that there is.
        RemoteError: when a hop can't be reached or speaks no SSH.
        RemoteTimeout: when a step of connecting outlasts ``timeout_s``.
        ConnectionLost: when a hop closes the connection meanwhile.
    """

    def __init__(
        self,
        hops: Sequence[Hop],
        secrets: Secrets,
        approve: Approve,
        *,
        timeout_s: float,
        anonymous: bool = False,
    ) -> None:
        self.name = hops[-1].name
        self._transports: list[Any] = []
        self._watchdog = Watchdog(self._cut)
        self._timeout_s = timeout_s
        self._closed = False
        try:
            for hop in hops:
                final = hop is hops[-1]
                transport = self._reach(hop)
                self._check(hop, transport, approve)
                if not (final and anonymous):
                    log_in(hop, transport, secrets, self._step(hop), final=final)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def attempt(self, doing: str, seconds: float, where: str | None = None) -> Iterator[None]:
        """Do what waits for the host: it ends in time, or the connection is closed.

        Args:
            doing: what, for the error.
            seconds: the limit.
            where: the host, when it is not the last.

        Raises:
            RemoteTimeout: when the limit passed.
            ConnectionLost: when the connection broke, or was closed before.
        """
        if self._closed:
            raise ConnectionLost(
                f"the connection was closed before {doing}", where=where or self.name
            )
        try:
            with self._watchdog.limit(max(seconds, 0.0)):
                yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self.broken(doing, error, where) from error

    def broken(
        self, doing: str, error: BaseException | None, where: str | None = None
    ) -> Exception:
        """Close the connection, and say why it ended."""
        late = self._watchdog.expired or isinstance(error, TimeoutError)
        alive = not late and bool(self._transports) and self._transports[-1].is_active()
        where = where or self.name
        if alive and isinstance(error, paramiko.ChannelException):
            return RemoteError(f"the host refuses {doing}: {printable(error.text)}", where=where)
        self.close()
        if late:
            return RemoteTimeout(f"the host did not answer in time while {doing}", where=where)
        reason = _reason(error)
        return ConnectionLost(
            f"the connection broke while {doing}" + (f": {reason}" if reason else ""),
            where=where,
            hint="check the host's power and network",
        )

    def open_channel(self, seconds: float) -> Any:
        """A new channel to the host; call it inside of :meth:`attempt`."""
        return self._transports[-1].open_session(timeout=max(seconds, 0.1))

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as this end knows."""
        return not self._closed and bool(self._transports[-1].is_active())

    def close(self) -> None:
        """Close every hop, last first, and wait for their threads."""
        self._closed = True
        self._watchdog.close()
        self._cut()
        for transport in self._transports:
            if transport.is_alive() and transport is not threading.current_thread():
                transport.join(_CLOSING_S)

    def _cut(self) -> None:
        """Close sockets and transports, which ends every wait on them."""
        for transport in reversed(self._transports):
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                transport.packetizer.complete_handshake()  # ends its timer
                transport.close()
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                transport.sock.close()

    def _step(self, hop: Hop) -> Callable[[str], contextlib.AbstractContextManager[None]]:
        return lambda doing: self.attempt(doing, self._timeout_s, hop.name)

    def _reach(self, hop: Hop) -> Any:
        """A transport to a hop, after the key exchange."""
        if not self._transports:
            wire: Any = _dialled(hop, self._timeout_s)
        else:
            with self.attempt(f"reaching {hop.name}", self._timeout_s):
                wire = self._transports[-1].open_channel(
                    "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=self._timeout_s
                )
        try:
            transport = paramiko.Transport(wire)
        except BaseException:
            wire.close()
            raise
        transport.daemon = True
        self._transports.append(transport)
        self._exchange_keys(hop, transport)
        return transport

    def _exchange_keys(self, hop: Hop, transport: Any) -> None:
        # Later than our own limits, which tell a host that is late from one that speaks no SSH.
        transport.banner_timeout = transport.handshake_timeout = 2 * self._timeout_s
        transport.auth_timeout = transport.channel_timeout = 2 * self._timeout_s
        _prefer(transport, known_kinds(hop.known_hosts, hop.key_name))
        agreed = threading.Event()
        deadline = time.monotonic() + self._timeout_s
        transport.start_client(event=agreed)
        in_time = agreed.wait(max(deadline - time.monotonic(), 0.0))
        if in_time and transport.is_active():
            transport.set_keepalive(_KEEPALIVE_S)
            return
        self.close()
        if not in_time:
            raise RemoteTimeout("the host did not answer in time as SSH", where=hop.name)
        reason = _reason(transport.get_exception()) or "it closed the connection"
        raise RemoteError(
            f"the host speaks no SSH that is known here: {reason}",
            where=hop.name,
            hint="check host and port",
        )

    @staticmethod
    def _check(hop: Hop, transport: Any, approve: Approve) -> None:
        shown = transport.get_remote_server_key()
        approve(hop, HostKey(shown.get_name(), shown.asbytes()))


def _dialled(hop: Hop, timeout_s: float) -> socket.socket:
    try:
        wire = socket.create_connection((hop.host, hop.port), timeout=timeout_s)
    except TimeoutError as error:
        raise RemoteTimeout(
            f"no answer from {hop.host} port {hop.port} within {timeout_s:g} s",
            where=hop.name,
            hint="check the host's power and network",
        ) from error
    except (OSError, UnicodeError) as error:
        raise RemoteError(
            f"can't be reached at {hop.host} port {hop.port}: {_reason(error)}",
            where=hop.name,
            hint="check host, port and network; set ssh.host and ssh.port",
        ) from error
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
    return wire


def _prefer(transport: Any, kinds: Sequence[str]) -> None:
    """Ask for a key of the kinds that are pinned, so that the host does not show another."""
    options = transport.get_security_options()
    wanted = [
        algorithm
        for kind in kinds
        for algorithm in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
        if algorithm in options.key_types
    ]
    rest = [algorithm for algorithm in options.key_types if algorithm not in wanted]
    options.key_types = tuple(wanted + rest)


def _reason(error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error or "").partition("\n")[0])
