"""A bundle's manifest: every file of it, what it was made of, and the release's name.

The name is the time when the bundle was made and a hash of everything that the manifest says
besides: equal content has an equal hash, on every machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgeprune.agent.edgeprune_agent import bundle as agent_bundle
from edgeprune.agent.edgeprune_agent.errors import AgentError
from edgeprune.bundle.signature import SigningKey
from edgeprune.errors import BundleError
from edgeprune.store import canonical_json, sha256

__all__ = ["MANIFEST", "SIGNATURE", "Bundle", "BundleFile", "seal"]

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"

_SCHEMA_VERSION = 1
_RELEASE = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True)
class BundleFile:
    """A file of a bundle.

    Attributes:
        sha256: of its content, in hexadecimal.
        bytes: its size.
        mode: its permissions.
    """

    sha256: str
    bytes: int
    mode: int


@dataclass(frozen=True)
class Bundle:
    """A bundle on this machine.

    Attributes:
        folder: where it lies.
        manifest: what its manifest says.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Bundle:
        """Read a bundle and check every file against its manifest, as the device will.

        Raises:
            BundleError: a file is missing, damaged, or not in the manifest.
        """
        try:
            opened = agent_bundle.open_bundle(folder, ())
            bundle = cls(folder, opened.manifest)
            if not _RELEASE.fullmatch(bundle.release):
                raise BundleError(f"names its release {bundle.release!r}", where=str(folder))
            _files_of(bundle.manifest)
        except (AgentError, KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"the bundle is damaged: {error}",
                where=str(folder),
                hint="invoke clean, then again",
            ) from error
        return bundle

    @property
    def release(self) -> str:
        """The release's name: ``20250301T120000Z-1a2b3c4d``."""
        return str(self.manifest["release"])

    @property
    def files(self) -> dict[str, BundleFile]:
        """Path in the bundle to what it must be; without the manifest and its signature."""
        return _files_of(self.manifest)

    @property
    def signed(self) -> bool:
        """Whether there is a signature."""
        return (self.folder / SIGNATURE).is_file()

    @property
    def total_bytes(self) -> int:
        """The sum of its files, the manifest included."""
        content = sum(file.bytes for file in self.files.values())
        return content + (self.folder / MANIFEST).stat().st_size


def seal(
    folder: Path, facts: Mapping[str, Any], *, made: datetime, key: SigningKey | None = None
) -> Bundle:
    """Write the manifest of everything that lies in a folder, and its signature.

    Args:
        folder: the bundle's files, complete.
        facts: what else the manifest says; JSON types only.
        made: when, in any time zone.
        key: what signs; none for no signature.

    Raises:
        BundleError: a file is not a plain one.
    """
    content = {"schema_version": _SCHEMA_VERSION, **facts, "files": _described(folder)}
    digest = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    release = f"{made.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}"
    manifest = {**content, "release": release}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="ascii")
    if key is not None:
        (folder / SIGNATURE).write_bytes(key.sign(text.encode("ascii")))
    return Bundle(folder, manifest)


def _files_of(manifest: Mapping[str, Any]) -> dict[str, BundleFile]:
    return {
        name: BundleFile(each["sha256"], each["bytes"], int(each["mode"], 8))
        for name, each in manifest["files"].items()
    }


def _described(folder: Path) -> dict[str, dict[str, Any]]:
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BundleError("is not a plain file", where=str(path))
        if path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            files[path.relative_to(folder).as_posix()] = {
                "sha256": sha256(path),
                "bytes": path.stat().st_size,
                "mode": f"{mode:04o}",
            }
    return files
