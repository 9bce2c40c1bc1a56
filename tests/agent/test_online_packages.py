"""Packages that the device installed by itself: found, compared, imported; or refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgeprune.agent.edgeprune_agent.bundle import open_bundle
from edgeprune.agent.edgeprune_agent.errors import BundleError, SignatureError
from tests.agent.conftest import Device
from tests.agent.tone_bundle import add

DIGEST = "0123456789abcdef"
PLAN = {"packages": {"digest": DIGEST}}


@pytest.fixture
def online(fresh: Path) -> Path:
    """A bundle that runs with installed packages; they tell that they were imported."""
    add(fresh, {}, runtime="native", **PLAN)
    install(fresh, {"edgeprune_marker.py": b"", "numpy/__init__.py": b"raise ImportError('mine')"})
    return fresh


def install(bundle: Path, files: dict[str, bytes]) -> Path:
    folder = bundle.parent.parent / "packages" / DIGEST
    for name, content in files.items():
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    noted = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
    }
    record = {"schema_version": 1, "runtime": "native", "reason": "because", "files": noted}
    (folder / "installed.json").write_text(json.dumps(record))
    return folder


def test_they_come_before_the_device_s_own_and_after_the_program(
    online: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = device.run(online, "health")
    assert (answer.code, answer.last["message"]) == (1, "mine")
    monkeypatch.setattr("sys.path", [str(online / "agent"), "/usr/lib/python3/dist-packages"])
    open_bundle(online, ()).put_on_import_path()
    first, second, _ = sys.path
    assert (first, Path(second).parent.name) == (str(online / "agent"), DIGEST)


def test_why_they_were_chosen_is_told_with_what_runs(online: Path, device: Device) -> None:
    shutil.rmtree(online.parent.parent / "packages")
    install(online, {"edgeprune_marker.py": b""})
    answer = device.run(online, "health")
    assert (answer.code, answer.last["runtime"]) == (0, "native")
    assert answer.last["chosen"] == "because"


def change(folder: Path) -> None:
    (folder / "site" / "numpy" / "__init__.py").write_bytes(b"raise ImportError('evil')")


def add_one(folder: Path) -> None:
    (folder / "site" / "sitecustomize.py").write_bytes(b"")


def remove_one(folder: Path) -> None:
    (folder / "site" / "edgeprune_marker.py").unlink()


def link_one(folder: Path) -> None:
    path = folder / "site" / "edgeprune_marker.py"
    path.unlink()
    path.symlink_to("/dev/null")


def forget(folder: Path) -> None:
    (folder / "installed.json").unlink()


def scribble(folder: Path) -> None:
    (folder / "installed.json").write_text("{}")


@pytest.mark.parametrize(
    ("rot", "message"),
    [
        (change, "numpy/__init__.py: is damaged"),
        (add_one, "sitecustomize.py is not in the manifest"),
        (remove_one, "edgeprune_marker.py is missing"),
        (link_one, "no regular file"),
        (forget, r"installed.json: can't be read"),
        (scribble, "is no manifest"),
        (shutil.rmtree, "are missing"),
    ],
)
def test_what_rotted_is_refused_before_anything_is_imported(
    online: Path, device: Device, rot: Callable[[Path], None], message: str
) -> None:
    rot(online.parent.parent / "packages" / DIGEST)
    with pytest.raises(BundleError, match=message) as told:
        open_bundle(online, ()).put_on_import_path()
    assert told.value.hint == "deploy again"
    answer = device.run(online, "health")
    assert (answer.code, answer.last["error"]) == (2, "BundleError")
    answer = device.run(online, "version")
    assert answer.code == 0
    assert answer.last["packages"]["wrong"] == told.value.message


def test_version_tells_what_is_there(online: Path, device: Device, bundle: Path) -> None:
    told = device.run(online, "version").last["packages"]
    assert told == {
        "wrong": None,
        "schema_version": 1,
        "runtime": "native",
        "reason": "because",
    }
    assert device.run(bundle, "version").last["packages"] is None
    assert open_bundle(bundle, ()).packages is None


@pytest.mark.parametrize("digest", ["../../evil", "", 7, None, "0123456789ABCDEF"])
def test_a_plan_names_a_folder_beside_the_releases_only(fresh: Path, digest: object) -> None:
    add(fresh, {}, packages={"digest": digest})
    opened = open_bundle(fresh, ())
    with pytest.raises(BundleError, match="names no packages"):
        opened.put_on_import_path()


def test_who_pinned_a_key_takes_no_packages_that_nobody_signed(
    online: Path, device: Device
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    (online / "manifest.sig").write_bytes(key.sign((online / "manifest.json").read_bytes()))
    pinned = device.home / ".config" / "edgeprune" / "trusted.pub"
    pinned.parent.mkdir(parents=True)
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    pinned.write_bytes(key.public_key().public_bytes(*form))
    for command in ("version", "health"):
        answer = device.run(online, command)
        assert (answer.code, answer.last["error"]) == (2, "SignatureError")
        assert "nobody signs those" in answer.last["message"]
        assert "without --online" in answer.last["hint"]
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    with pytest.raises(SignatureError, match="SHA256:"):
        open_bundle(online, [key.public_key().public_bytes(*raw)])


def test_bytecode_of_packages_that_are_gone_is_removed(online: Path, device: Device) -> None:
    install(online, {"edgeprune_agent/__init__.py": b""})
    packages = online.parent.parent / "packages"
    kept = device.caches / "edgeprune" / "bytecode" / packages.relative_to("/")
    (kept / DIGEST).mkdir(parents=True)
    (kept / "fedcba9876543210").mkdir()
    assert device.run(online, "version").code == 0
    assert [path.name for path in kept.iterdir()] == [DIGEST]
