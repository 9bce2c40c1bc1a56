"""Ed25519 signatures of manifests (RFC 8032), in files that ``openssl`` reads too.

The private key is PEM (PKCS #8), the public key PEM (SubjectPublicKeyInfo, RFC 8410). A device
whose owner put the public key there takes no bundle that the private key did not sign.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeprune.errors import BundleError, MissingExtraError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["PINNED", "KeyPair", "SigningKey", "make_keys"]

#: Where the owner of a device puts the public key, relative to the home folder there.
PINNED = ".config/edgeprune/trusted.pub"


@dataclass(frozen=True)
class KeyPair:
    """Two files.

    Attributes:
        private: readable by its owner only.
        public: for devices.
        fingerprint: of the public key: ``SHA256:…``, the Base64 hash of its 32 bytes.
    """

    private: Path
    public: Path
    fingerprint: str


class SigningKey:
    """A private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a private key.

        Raises:
            BundleError: it is missing, readable by others, encrypted, or of another kind.
            MissingExtraError: the package that signs is not installed.
        """
        _require_cryptography()
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            content = path.read_bytes()
            mode = path.stat().st_mode & 0o777
        except OSError as error:
            raise BundleError(
                f"the signing key can't be read: {error.strerror}",
                where=str(path),
                hint="invoke keygen makes one",
            ) from error
        if mode & 0o077:
            raise BundleError(
                f"the signing key can be read by others (mode {mode:04o})",
                where=str(path),
                hint=f"chmod 600 {path}",
            )
        try:
            key = serialization.load_pem_private_key(content, password=None)
        except TypeError as error:
            raise BundleError(
                "the signing key is encrypted",
                where=str(path),
                hint="openssl pkey -in KEY -out PLAIN writes it without a passphrase",
            ) from error
        except ValueError as error:
            raise BundleError(
                "is no private key in PEM", where=str(path), hint="invoke keygen makes one"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise BundleError(
                f"is a {type(key).__name__}; Ed25519 is needed",
                where=str(path),
                hint="invoke keygen makes one",
            )
        return cls(key)

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``, as the device's agent names it."""
        digest = base64.b64encode(hashlib.sha256(self.public_bytes).digest())
        return f"SHA256:{digest.decode().rstrip('=')}"

    def sign(self, content: bytes) -> bytes:
        """A signature of 64 bytes; the same for the same content."""
        return self._key.sign(content)


def make_keys(private: Path) -> KeyPair:
    """Make a key pair: ``private``, and beside it the same name with ``.pub``.

    Raises:
        BundleError: one of the files exists, or can't be written.
        MissingExtraError: the package that makes keys is not installed.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = private.with_name(private.name + ".pub")
    for path in (private, public):
        if os.path.lexists(path):
            raise BundleError(
                "exists, and a key is never overwritten",
                where=str(path),
                hint="--out another file, or move this one away",
            )
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    shown = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        private.parent.mkdir(parents=True, exist_ok=True)
        _create(private, secret, 0o600)
        _create(public, shown, 0o644)
    except OSError as error:
        raise BundleError(f"can't be written: {error.strerror}", where=str(private)) from error
    return KeyPair(private, public, SigningKey(key).fingerprint)


def _create(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there, never readable by more than ``mode`` says."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _require_cryptography() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise MissingExtraError("cryptography", extra="ssh", purpose="signing")
