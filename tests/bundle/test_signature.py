"""Keys, signatures, and the agent that checks them with code of its own."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.agent.edgeprune_agent import bundle as agent
from edgeprune.bundle import signature
from edgeprune.bundle.signature import PINNED, SigningKey, make_keys
from edgeprune.errors import BundleError, MissingExtraError
from edgeprune.tasks.keygen import keygen


def test_keys_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "new" / "signing.key")
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.public.stat().st_mode) == 0o644
    assert SigningKey.load(keys.private).fingerprint == keys.fingerprint
    before = keys.private.read_bytes()
    with pytest.raises(BundleError, match="never overwritten"):
        make_keys(keys.private)
    keys.private.unlink()
    with pytest.raises(BundleError, match="never overwritten") as caught:
        make_keys(keys.private)
    assert caught.value.where == str(keys.public)
    keys.public.unlink()
    assert make_keys(keys.private).private.read_bytes() != before


def test_the_agent_takes_the_public_key_and_the_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = make_keys(tmp_path / "signing.key")
    pinned = tmp_path / "home" / PINNED
    pinned.parent.mkdir(parents=True)
    pinned.write_bytes(keys.public.read_bytes())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    (found,) = agent.pinned_keys(tmp_path / "releases" / "one")
    key = SigningKey.load(keys.private)
    assert found == key.public_bytes
    assert agent.fingerprint(found) == key.fingerprint == keys.fingerprint
    signed = key.sign(b"content")
    assert signed == key.sign(b"content")
    assert agent.ed25519.verify(found, b"content", signed)
    assert not agent.ed25519.verify(found, b"Content", signed)


def _pem(key: object, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def test_a_key_that_does_not_do(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(BundleError, match="can't be read"):
        SigningKey.load(path)
    plain = serialization.NoEncryption()
    secret = serialization.BestAvailableEncryption(b"secret")
    for content, says in (
        (b"nonsense", "no private key in PEM"),
        (_pem(ec.generate_private_key(ec.SECP256R1()), plain), "Ed25519 is needed"),
        (_pem(ed25519.Ed25519PrivateKey.generate(), secret), "is encrypted"),
    ):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(BundleError, match=says):
            SigningKey.load(path)
    path.write_bytes(_pem(ed25519.Ed25519PrivateKey.generate(), plain))
    path.chmod(0o640)
    with pytest.raises(BundleError, match="read by others") as caught:
        SigningKey.load(path)
    assert caught.value.hint == f"chmod 600 {path}"


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="cryptography"):
        make_keys(tmp_path / "key")
    assert not list(tmp_path.iterdir())


def test_the_task_says_where_the_public_key_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my.key"
    keygen(Context(), out=str(path))
    key, said = SigningKey.load(path), capsys.readouterr().out
    assert key.fingerprint in said
    assert "~/.config/edgeprune/trusted.pub" in said
    assert path.read_text() not in said
    with pytest.raises(Exit) as caught:
        keygen(Context(), out=str(path))
    assert caught.value.code == 2
    assert "never overwritten" in capsys.readouterr().err
    assert SigningKey.load(path).fingerprint == key.fingerprint


def test_openssl_reads_the_keys(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    keys = make_keys(tmp_path / "signing.key")
    command = [openssl, "pkey", "-in", str(keys.private), "-pubout"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    assert done.stdout == keys.public.read_bytes()
