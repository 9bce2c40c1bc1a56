"""Wheels as files, also ones that no honest build tool writes."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def row(name: str, content: bytes) -> str:
    """A line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def write_wheel(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    name: str = "thing",
    version: str = "1.2",
    tag: str = "py3-none-any",
    record: str | None = None,
) -> Path:
    """A wheel with these files; its RECORD is right unless another one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    metadata = f"{name}-{version}.dist-info"
    contents = {**files, f"{metadata}/METADATA": f"Name: {name}\nVersion: {version}\n".encode()}
    listed = "".join(row(each, content) for each, content in contents.items())
    listed += f"{metadata}/RECORD,,\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in contents.items():
            archive.writestr(each, content)
        archive.writestr(f"{metadata}/RECORD", listed if record is None else record)
    return path
