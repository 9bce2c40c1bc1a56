"""A bundle is opened when every byte is right, and signed by whom the owner trusts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgeprune import agent
from edgeprune.agent.edgeprune_agent.bundle import open_bundle
from edgeprune.agent.edgeprune_agent.errors import BundleError, SignatureError
from tests.agent.conftest import Device
from tests.agent.tone_bundle import RELEASE, seal

PEM = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def _sign(folder: Path, key: Ed25519PrivateKey) -> None:
    content = (folder / "manifest.json").read_bytes()
    (folder / "manifest.sig").write_bytes(key.sign(content))


def _pin(path: Path, *keys: Ed25519PrivateKey) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(each.public_key().public_bytes(*PEM) for each in keys))
    return path


def _configuration(home: Path) -> Path:
    return home / "home" / ".config" / "edgeprune" / "trusted.pub"


def test_a_whole_bundle_is_opened(fresh: Path) -> None:
    opened = open_bundle(fresh)
    assert opened.release == RELEASE
    assert opened.signed_by is None
    assert opened.path("model.tflite").is_file()
    with pytest.raises(BundleError, match="has no lib"):
        opened.path("lib/other.so")


def _damage(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return flip


def _to_link(folder: Path) -> None:
    (folder / "model.tflite").rename(folder.parent / "elsewhere")
    (folder / "model.tflite").symlink_to(folder.parent / "elsewhere")


def _manifest(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**content, **changes}))

    return change


ENTRY = {"sha256": "0" * 64, "bytes": 1, "mode": "0644"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_damage("model.tflite"), "model.tflite: is damaged"),
        (_damage("agent/edgeprune_agent/main.py"), "main.py: is damaged"),
        (lambda folder: (folder / "labels.json").write_text("[]"), "labels.json: has 2 bytes"),
        (lambda folder: (folder / "labels.json").unlink(), "labels.json is missing"),
        (lambda folder: (folder / "site").mkdir() or (folder / "site/os.py").touch(), "site/os.py"),
        (lambda folder: (folder / "more").symlink_to("lib"), "more is not in the manifest"),
        (_to_link, "model.tflite: is no regular file"),
        (lambda folder: (folder / "manifest.json").unlink(), "can't be read"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "is no JSON"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 9999), "is no JSON"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "is no manifest"),
        (_manifest(schema_version=2), "is no manifest of version 1"),
        (_manifest(release=None), "is not complete"),
        (_manifest(files=[]), "is not complete"),
        (_manifest(files={"a": {"bytes": 1}}), "is not complete"),
        (_manifest(files={"../a": ENTRY}), "outside of the bundle"),
        (_manifest(files={"/etc/passwd": ENTRY}), "outside of the bundle"),
    ],
)
def test_a_damaged_bundle_is_refused(
    fresh: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(fresh)
    with pytest.raises(BundleError, match=message):
        open_bundle(fresh)


def test_a_pinned_key_must_have_signed(fresh: Path, key: Ed25519PrivateKey, tmp_path: Path) -> None:
    _pin(_configuration(tmp_path), key)
    with pytest.raises(SignatureError, match=r"is not signed; this device takes .* by SHA256:"):
        open_bundle(fresh)
    _sign(fresh, Ed25519PrivateKey.generate())
    with pytest.raises(SignatureError, match=r"manifest\.sig is not a signature"):
        open_bundle(fresh)
    _sign(fresh, key)
    signer = open_bundle(fresh).signed_by
    assert signer is not None
    assert signer.startswith("SHA256:")
    seal(fresh, recipe="another")
    with pytest.raises(SignatureError):
        open_bundle(fresh)


@pytest.mark.parametrize("place", ["releases/trusted.pub", "trusted.pub"])
def test_a_key_is_pinned_beside_the_releases_too(
    fresh: Path, key: Ed25519PrivateKey, place: str
) -> None:
    _pin(fresh.parents[1] / place, key)
    with pytest.raises(SignatureError):
        open_bundle(fresh)


def test_the_owners_own_file_counts_before_those_of_the_deployer(
    fresh: Path, key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    other = Ed25519PrivateKey.generate()
    _pin(_configuration(tmp_path), key)
    _pin(fresh.parents[1] / "trusted.pub", other)
    _sign(fresh, other)
    with pytest.raises(SignatureError):
        open_bundle(fresh)


def test_one_of_several_pinned_keys_is_enough(
    fresh: Path, key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    _pin(_configuration(tmp_path), Ed25519PrivateKey.generate(), key)
    _sign(fresh, key)
    assert open_bundle(fresh).signed_by is not None


def test_a_pin_that_can_t_be_read_lets_nothing_through(fresh: Path, tmp_path: Path) -> None:
    path = _configuration(tmp_path)
    path.parent.mkdir(parents=True)
    for content in (
        b"",
        b"\xff",
        b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*PEM),
    ):
        path.write_bytes(content)
        with pytest.raises(SignatureError):
            open_bundle(fresh)
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(SignatureError):
        open_bundle(fresh)


def test_the_agent_checks_before_it_imports_what_a_bundle_brings(
    fresh: Path, device: Device
) -> None:
    (fresh / "site").mkdir()
    (fresh / "site" / "numpy.py").write_text("raise SystemExit('the device is lost')\n")
    answer = device.run(fresh, "health", "--file", "health.json")
    assert (answer.code, answer.last["error"]) == (2, "BundleError")
    assert "site/numpy.py is not in the manifest" in answer.last["message"]
    told = json.loads((device.home / "health.json").read_text())
    assert (told["healthy"], told["release"]) == (False, None)


def test_a_bundle_stays_as_it_is_while_its_agent_runs(fresh: Path, device: Device) -> None:
    before = sorted(fresh.rglob("*"))
    assert device.run(fresh, "health", "--runtime", "native").code == 0
    assert sorted(fresh.rglob("*")) == before


def test_bytecode_of_bundles_that_are_gone_is_removed(fresh: Path, device: Device) -> None:
    other = fresh.rename(fresh.with_name("r0"))
    caches = device.caches / "edgeprune" / "bytecode" / str(fresh.parent)[1:]
    assert device.run(other, "version").code == 0
    assert [path.name for path in caches.iterdir()] == ["r0"]
    fresh = other.rename(fresh)
    assert device.run(fresh, "version").code == 0
    assert [path.name for path in caches.iterdir()] == ["r1"]


def test_a_running_release_can_judge_another_one(
    fresh: Path, bundle: Path, device: Device, key: Ed25519PrivateKey
) -> None:
    """A tampered bundle can't vouch for itself: the agent of the trusted one looks at it."""
    _pin(device.home / ".config" / "edgeprune" / "trusted.pub", key)
    (fresh / "agent" / "run.py").write_text('print(\'{"kind": "version"}\')\n')
    seal(fresh)
    answer = device.run(bundle, "version", "--bundle", fresh)
    assert (answer.code, answer.last["error"]) == (2, "SignatureError")


def test_what_is_shipped_is_the_program_alone() -> None:
    names = set(agent.sources())
    assert {"agent/run.py", "agent/edgeprune_agent/__init__.py"} < names
    assert all(name.endswith(".py") and "__pycache__" not in name for name in names)
