"""What a manifest says, and what it takes for a bundle to be refused."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgeprune.agent.edgeprune_agent import bundle as agent
from edgeprune.bundle.manifest import MANIFEST, SIGNATURE, Bundle, seal
from edgeprune.bundle.signature import SigningKey, make_keys
from edgeprune.errors import BundleError

NOON = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
FACTS = {"recipe": "tiny", "runtime": "native", "versions": {"edgeprune": "1"}}


def filled(folder: Path) -> Path:
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "a.so").write_bytes(b"\x7fELF")
    (folder / "lib" / "a.so").chmod(0o755)
    (folder / "labels.json").write_text("[]\n")
    (folder / "labels.json").chmod(0o600)
    return folder


def test_every_file_is_named_with_hash_size_and_mode(tmp_path: Path) -> None:
    sealed = seal(filled(tmp_path / "one"), FACTS, made=NOON)
    bundle = Bundle.load(tmp_path / "one")
    assert bundle == sealed
    assert bundle.files.keys() == {"lib/a.so", "labels.json"}
    library = bundle.files["lib/a.so"]
    assert (library.bytes, library.mode) == (4, 0o755)
    assert library.sha256 == hashlib.sha256(b"\x7fELF").hexdigest()
    assert bundle.files["labels.json"].mode == 0o644
    assert bundle.manifest["recipe"] == "tiny"
    assert bundle.total_bytes == 7 + (tmp_path / "one" / MANIFEST).stat().st_size
    assert not bundle.signed


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = filled(tmp_path / "one"), filled(tmp_path / "two")
    reordered = dict(reversed(FACTS.items()))
    moved = NOON.astimezone(timezone(timedelta(hours=5)))
    assert seal(first, FACTS, made=NOON).release == seal(second, reordered, made=moved).release
    assert (first / MANIFEST).read_bytes() == (second / MANIFEST).read_bytes()


def test_a_release_s_name_is_its_time_and_its_content(tmp_path: Path) -> None:
    first = seal(filled(tmp_path / "one"), FACTS, made=NOON).release
    later = seal(filled(tmp_path / "two"), FACTS, made=NOON + timedelta(days=1)).release
    other = seal(filled(tmp_path / "three"), FACTS | {"recipe": "x"}, made=NOON).release
    folder = filled(tmp_path / "four")
    (folder / "labels.json").write_text("{}\n")
    changed = seal(folder, FACTS, made=NOON).release
    assert first.startswith("20250301T120000Z-")
    assert later.startswith("20250302T120000Z-")
    digests = [each.split("-")[1] for each in (first, later, other, changed)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_signature_is_the_agent_s_too(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "key")
    key = SigningKey.load(keys.private)
    folder = filled(tmp_path / "one")
    assert seal(folder, FACTS, made=NOON, key=key).signed
    opened = agent.open_bundle(folder, [key.public_bytes])
    assert opened.signed_by == keys.fingerprint
    other = SigningKey.load(make_keys(tmp_path / "other").private)
    with pytest.raises(agent.SignatureError):
        agent.open_bundle(folder, [other.public_bytes])
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace("tiny", "Tiny"))
    with pytest.raises(agent.SignatureError):
        agent.open_bundle(folder, [key.public_bytes])
    assert len((folder / SIGNATURE).read_bytes()) == 64


def _spoil_file(folder: Path) -> None:
    (folder / "lib/a.so").write_bytes(b"\x7fELG")


def _shorten_file(folder: Path) -> None:
    (folder / "lib/a.so").write_bytes(b"")


def _remove_file(folder: Path) -> None:
    (folder / "labels.json").unlink()


def _add_file(folder: Path) -> None:
    (folder / "lib/b.so").write_bytes(b"")


def _link_file(folder: Path) -> None:
    content = folder.parent / "elsewhere"
    (folder / "labels.json").rename(content)
    (folder / "labels.json").symlink_to(content)


def _remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def _cut_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:-30])


def _rename_release(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"release": "../../etc"}))


def _spoil_mode(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["labels.json"]["mode"] = "rw"
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "spoil",
    [
        _spoil_file,
        _shorten_file,
        _remove_file,
        _add_file,
        _link_file,
        _remove_manifest,
        _cut_manifest,
        _rename_release,
        _spoil_mode,
    ],
)
def test_a_damaged_bundle_is_refused(tmp_path: Path, spoil: object) -> None:
    folder = filled(tmp_path / "one")
    seal(folder, FACTS, made=NOON)
    Bundle.load(folder)
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    assert caught.value.where == str(folder)


def test_a_link_is_never_sealed(tmp_path: Path) -> None:
    folder = filled(tmp_path / "one")
    (folder / "link").symlink_to("labels.json")
    with pytest.raises(BundleError, match="not a plain file"):
        seal(folder, FACTS, made=NOON)
