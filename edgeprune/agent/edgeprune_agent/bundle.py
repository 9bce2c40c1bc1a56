"""A bundle's folder: opened only when every byte is what its manifest says, and who signed it.

Packages that the device installed by itself lie beside the releases, in ``packages/<digest>``, and
no manifest knows their bytes. They are compared with what was noted when they were installed: that
finds rot and half a folder, not somebody who changes both. A device whose owner pinned a key
therefore takes none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from . import ed25519
from .errors import BundleError, SignatureError

__all__ = ["SCHEMA_VERSION", "Bundle", "Packages", "fingerprint", "open_bundle", "pinned_keys"]

#: Of ``manifest.json``.
SCHEMA_VERSION = 1

_MANIFEST = "manifest.json"
_SIGNATURE = "manifest.sig"
_TRUSTED = "trusted.pub"
_SITE = "site"
_INSTALLED = "installed.json"
_DIGEST = re.compile(r"[0-9a-f]{16}")
_LARGEST_MANIFEST = 16 << 20
#: What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
_KEY_INFO = bytes.fromhex("302a300506032b6570032100")
_AGAIN = "deploy again"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what its manifest says.

    Attributes:
        folder: where it lies.
        manifest: its declaration.
        signed_by: the fingerprint of the pinned key that signed it; none where no key is pinned.
    """

    folder: Path
    manifest: Mapping[str, Any]
    signed_by: str | None

    @property
    def release(self) -> str:
        """The release's id."""
        return str(self.manifest["release"])

    def has(self, name: str) -> bool:
        """Whether it has a file."""
        return name in self.manifest["files"]

    def path(self, name: str) -> Path:
        """A file of it.

        Raises:
            BundleError: there is none.
        """
        if not self.has(name):
            raise BundleError(f"{self.folder}: the bundle has no {name}")
        return self.folder / name

    def json(self, name: str) -> Any:
        """The content of a JSON file of it.

        Raises:
            BundleError: there is none, or it is no JSON.
        """
        return _parse(self.path(name).read_bytes(), self.path(name))

    @property
    def packages(self) -> Packages | None:
        """What the device is to have installed by itself; none where the bundle brings it.

        Raises:
            BundleError: the manifest says nothing sensible of it.
        """
        told = self.manifest.get("packages")
        if told is None:
            return None
        digest = told.get("digest") if isinstance(told, dict) else None
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise BundleError(f"{self.folder}: names no packages", hint=_AGAIN)
        return Packages(self.folder.resolve().parent.parent / "packages" / digest)

    @property
    def chosen(self) -> str:
        """Why it runs with the packages that the device installed; empty where it brings them."""
        return "" if self.packages is None else str(self.packages.told().get("reason", ""))

    def put_on_import_path(self) -> None:
        """Let its packages be imported, before those of the device.

        Raises:
            BundleError: packages that the device installed by itself are damaged or missing.
        """
        packages, site, at = self.packages, self.folder / _SITE, 0
        if packages is not None:
            packages.check()
            # After the program itself, which is in the manifest.
            program = str(self.folder / "agent")
            site, at = packages.site, sys.path.index(program) + 1 if program in sys.path else 0
        if str(site) not in sys.path:
            sys.path.insert(at, str(site))


@dataclass(frozen=True)
class Packages:
    """Packages that the device installed by itself.

    Attributes:
        folder: where they lie.
    """

    folder: Path

    @property
    def site(self) -> Path:
        """What is put on the import path."""
        return self.folder / _SITE

    def told(self) -> Mapping[str, Any]:
        """What was noted when they were installed.

        Raises:
            BundleError: nothing is installed.
        """
        path = self.folder / _INSTALLED
        if not self.folder.is_dir():
            raise BundleError(
                f"{self.folder}: the packages that this device is to install are missing",
                hint=_AGAIN,
            )
        record = _parse(_read(path, _LARGEST_MANIFEST), path)
        _declared(record, path)
        return dict(record)

    def check(self) -> None:
        """Compare every file with what was noted when it was installed.

        Raises:
            BundleError: one is damaged, missing or new; or nothing is installed.
        """
        _check_files(self.site, _declared(self.told(), self.folder / _INSTALLED))


def open_bundle(folder: Path, keys: Sequence[bytes] | None = None) -> Bundle:
    """Open a bundle.

    Args:
        folder: where it lies.
        keys: public keys, 32 bytes each, of which one must have signed it; those that the owner
            pinned where left out. Empty: no signature is needed.

    Raises:
        BundleError: a file is damaged, missing or not in the manifest.
        SignatureError: no pinned key signed it, or what it runs with.
    """
    path = folder / _MANIFEST
    content = _read(path, _LARGEST_MANIFEST)
    trusted = pinned_keys(folder) if keys is None else keys
    signed_by = _signer(folder, content, trusted) if trusted else None
    manifest = _parse(content, path)
    declared = _declared(manifest, path)
    if not isinstance(manifest.get("release"), str):
        raise BundleError(f"{path}: is not complete", hint=_AGAIN)
    _check_files(folder, declared, besides={_MANIFEST, _SIGNATURE})
    bundle = Bundle(folder, manifest, signed_by)
    if trusted and bundle.packages is not None:
        raise SignatureError(
            f"{folder}: its packages are installed by this device itself, and nobody signs those; "
            f"this device takes only what is signed by {', '.join(map(fingerprint, trusted))}",
            hint="deploy without --online (ssh.online): then the packages come signed, too",
        )
    return bundle


def pinned_keys(folder: Path) -> list[bytes]:
    """The public keys that a device's owner pinned for bundles in a folder, 32 bytes each.

    The first file that is there counts: ``~/.config/edgeprune/trusted.pub``, ``trusted.pub`` beside
    the bundle, ``trusted.pub`` beside the folder of releases. Each holds PEM blocks.

    Raises:
        SignatureError: a file is there, and no key can be read from it.
    """
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    releases = folder.resolve().parent
    for path in (
        Path(settings) / "edgeprune" / _TRUSTED,
        releases / _TRUSTED,
        releases.parent / _TRUSTED,
    ):
        # A link that leads nowhere is a pin too: it must not be passed over.
        if os.path.lexists(path):
            return _keys_of(path)
    return []


def fingerprint(key: bytes) -> str:
    """How reports name a public key."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def _keys_of(path: Path) -> list[bytes]:
    hint = "openssl pkey -in KEY.pem -pubout writes such a file"
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SignatureError(f"{path}: the pinned key can't be read: {error}", hint=hint) from error
    keys = []
    for block in text.split("-----BEGIN PUBLIC KEY-----")[1:]:
        body = "".join(block.split("-----END PUBLIC KEY-----")[0].split())
        try:
            content = base64.b64decode(body, validate=True)
        except binascii.Error:
            content = b""
        if len(content) != len(_KEY_INFO) + ed25519.KEY_BYTES or content[:12] != _KEY_INFO:
            raise SignatureError(f"{path}: holds a key that is not Ed25519", hint=hint)
        keys.append(content[12:])
    if not keys:
        raise SignatureError(f"{path}: holds no public key", hint=hint)
    return keys


def _signer(folder: Path, manifest: bytes, keys: Sequence[bytes]) -> str:
    named = ", ".join(map(fingerprint, keys))
    if not (folder / _SIGNATURE).is_file():
        raise SignatureError(
            f"{folder}: the bundle is not signed; this device takes bundles signed by {named}",
            hint="sign it with the key that the device's owner pinned",
        )
    signature = _read(folder / _SIGNATURE, 1 << 10)
    for key in keys:
        if ed25519.verify(key, manifest, signature):
            return fingerprint(key)
    raise SignatureError(
        f"{folder}: {_SIGNATURE} is not a signature of {_MANIFEST} by {named}",
        hint="sign it with the key that the device's owner pinned",
    )


def _declared(manifest: Any, path: Path) -> dict[str, tuple[int, str]]:
    """Name to size and SHA-256 of the files that a manifest declares."""
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(f"{path}: is no manifest of version {SCHEMA_VERSION}", hint=_AGAIN)
    try:
        files = {
            str(name): (int(each["bytes"]), str(each["sha256"]))
            for name, each in manifest["files"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: is not complete", hint=_AGAIN) from error
    for name in files:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or str(parts) != name or name == ".":
            raise BundleError(f"{path}: names a file outside of the bundle: {name!r}")
    return files


def _check_files(
    folder: Path,
    declared: Mapping[str, tuple[int, str]],
    besides: AbstractSet[str] = frozenset(),
) -> None:
    present = _files_in(folder) - besides
    missing, extra = sorted(set(declared) - present), sorted(present - set(declared))
    if missing:
        raise BundleError(f"{folder}: {_some(missing)} missing", hint=_AGAIN)
    if extra:
        raise BundleError(f"{folder}: {_some(extra)} not in the manifest", hint=_AGAIN)
    for name, (size, digest) in sorted(declared.items()):
        path = folder / name
        try:
            information = path.lstat()
            if not stat.S_ISREG(information.st_mode):
                raise BundleError(f"{path}: is no regular file", hint=_AGAIN)
            if information.st_size != size:
                raise BundleError(
                    f"{path}: has {information.st_size} bytes; {size} are right", hint=_AGAIN
                )
            if _sha256(path) != digest:
                raise BundleError(f"{path}: is damaged: its SHA-256 is wrong", hint=_AGAIN)
        except OSError as error:
            raise BundleError(f"{path}: can't be read: {error}") from error


def _files_in(folder: Path) -> set[str]:
    """Everything below a folder that is no folder, links to folders included."""
    found: set[str] = set()
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        found.update(Path(root, name).relative_to(folder).as_posix() for name in files + links)
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error}", hint=_AGAIN) from error
    if len(content) > limit:
        raise BundleError(f"{path}: has more than {limit} bytes", hint=_AGAIN)
    return content


def _parse(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is no JSON: {error}", hint=_AGAIN) from error


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more + (" is" if len(names) == 1 else " are")
