"""The keys of the virtual Pi: made here, for this computer, and in no repository."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeprune.errors import DeviceError, MissingExtraError

__all__ = ["KeyPair", "make_key_pair", "user_key"]


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key pair as OpenSSH's files have it.

    Attributes:
        private: the private key's file.
        public: the line of the public key's file, without a comment.
    """

    private: bytes
    public: str


def make_key_pair() -> KeyPair:
    """Draw a new key pair.

    Raises:
        MissingExtraError: when ``cryptography`` is not installed.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise MissingExtraError("cryptography", extra="ssh", purpose="making SSH keys") from error
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(private, public.decode())


def user_key(path: Path) -> str:
    """The public key of the user's key for the virtual Pi; a pair is made where there is none.

    Args:
        path: of the private key; the public one lies beside it, with ``.pub`` at its end.

    Raises:
        DeviceError: one of the two is there without the other, which is never written over.
        MissingExtraError: when ``cryptography`` is not installed.
    """
    public = path.with_name(path.name + ".pub")
    if path.exists() != public.exists():
        raise DeviceError(
            f"only one of {path.name} and {public.name} is there",
            where=str(path.parent),
            hint=f"ssh-keygen -y -f {path} prints the public key of a private one; or move away "
            "the one that is there, and a pair is made",
        )
    if not path.exists():
        _write_pair(path, public, make_key_pair())
    return " ".join(public.read_text().split()[:2])


def _write_pair(path: Path, public: Path, pair: KeyPair) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        private_part, public_part = Path(name, "private"), Path(name, "public")
        private_part.touch(mode=0o600)
        private_part.write_bytes(pair.private)
        public_part.write_text(f"{pair.public}\n")
        public_part.replace(public)
        private_part.replace(path)
