"""The table ``[ssh]`` of a target: which host, how to log in there, and what is kept on it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import PrivateAttr, field_validator

from edgeprune.declaration import Declaration, option
from edgeprune.errors import DeclarationError

__all__ = ["HOST", "Login", "Ssh"]

#: A host's name or address.
HOST = r"^[\w.:%][\w.:%-]*$"


class Login(Declaration):
    """Where a host is, and how to log in there."""

    host: str | None = option(
        "name or address of the host, or a Host of the SSH configuration; a target for many "
        "households leaves it to --set target.ssh.host=…",
        default=None,
        pattern=HOST,
        max_length=255,
    )
    port: int | None = option(
        "port of its SSH server; if left out, what the SSH configuration says, else 22",
        default=None,
        ge=1,
        le=65_535,
    )
    user: str | None = option(
        "user to log in as; if left out, what the SSH configuration says, else your own name",
        default=None,
        pattern=r"^[^\s@/:-][^\s@/:]*$",
        max_length=64,
    )
    identity_file: str | None = option(
        "private key to log in with, before those of the SSH configuration", default=None
    )
    known_hosts: str | None = option(
        "the one file of pinned host keys; if left out, those that ssh reads", default=None
    )
    jump: str | None = option(
        "hosts to go through, as in ssh -J: user@host:port, separated by commas; 'none' for none",
        default=None,
        pattern=r"^[^\s]+$",
    )
    config: str | None = option(
        "the SSH configuration file; ~/.ssh/config if left out, 'none' for none", default=None
    )


class Ssh(Login):
    """A host with SSH and Python, such as a Raspberry Pi, as its owner has it."""

    connect_timeout_s: float = option(
        "limit of each step of connecting: TCP, key exchange, one try to log in",
        default=15.0,
        unit="s",
        gt=0,
        le=600,
    )
    stall_timeout_s: float = option(
        "longest silence of the host while files are moved", default=30.0, unit="s", gt=0, le=3600
    )
    upload_timeout_s: float = option(
        "limit of the upload of one file", default=1800.0, unit="s", gt=0, le=86_400
    )
    health_timeout_s: float = option(
        "how long a release's service may take to become healthy; then the one before runs again",
        default=60.0,
        unit="s",
        gt=0,
        le=3600,
    )
    check_timeout_s: float = option(
        "limit of running the test clips on the host, and of measuring the latency there",
        default=1800.0,
        unit="s",
        gt=0,
        le=86_400,
    )
    root: str = option(
        "folder on the host that everything lies in; relative to the home folder",
        default="edgeprune",
        min_length=1,
        max_length=200,
    )
    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime", "native"] = option(
        "what runs the network there: a Python package, or the compiled model; 'auto' takes the "
        "first of them that the host's Python can have",
        default="auto",
    )
    online: bool = option(
        "let the host install its Python packages by itself, with pip and from the index that its "
        "pip is set to; else they are resolved here, shipped, and covered by the signature",
        default=False,
    )
    install_timeout_s: float = option(
        "limit of all that pip does on the host", default=1800.0, unit="s", gt=0, le=86_400
    )
    keep_releases: int = option(
        "how many releases stay on the host, the running one included", default=3, ge=2, le=50
    )
    listen: tuple[str, ...] = option(
        "arguments of the agent's listen in the service, such as ['--mqtt', 'broker.local']",
        default=(),
        max_length=100,
    )
    signing_key: str | None = option(
        "private key that signs bundles (invoke keygen); none leaves them unsigned", default=None
    )

    _member: str | None = PrivateAttr(default=None)

    @field_validator("root")
    @classmethod
    def _is_a_folder_of_its_own(cls, root: str) -> str:
        parts = PurePosixPath(root).parts
        if ".." in parts or PurePosixPath(root) in (PurePosixPath("."), PurePosixPath("/")):
            raise ValueError(f"found {root!r}; a folder of its own is needed, without '..'")
        if any(not character.isprintable() for character in root) or root.startswith(("~", "-")):
            raise ValueError(f"found {root!r}; it can't begin with '~' or '-', or hold controls")
        return root

    def of_member(self, name: str, login: Login) -> Ssh:
        """The table of one host of a fleet.

        Args:
            name: the host's, in the fleet.
            login: what is laid over this table; what it leaves out stays.
        """
        keys = {key: getattr(login, key) for key in Login.model_fields}
        ssh = self.model_copy(update={key: each for key, each in keys.items() if each is not None})
        ssh._member = name
        return ssh

    @property
    def selection(self) -> str:
        """The option of a command that means this host; empty where the target says it all."""
        if self._member is not None:
            return f" --host {self._member}"
        return f" --set target.ssh.host={self.host}" if self.host else ""

    def named_host(self) -> str:
        """The host.

        Raises:
            DeclarationError: when the target leaves it out and nobody gave it.
        """
        if self.host is None:
            raise DeclarationError(
                "is missing: the target does not say which host it is",
                where="ssh.host",
                hint="--set target.ssh.host=raspberrypi.local",
            )
        return self.host
