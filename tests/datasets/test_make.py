"""One interface for three kinds, and the fingerprint of each source."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import time
from pathlib import Path
from typing import Any

import pytest

from edgeprune.datasets import digest, espeak, make, source_fingerprint
from edgeprune.errors import DatasetError, MissingExtraError
from edgeprune.recipe import Data, FolderData, SpeechCommandsData, SyntheticData

SIZES = {"sample_rate_hz": 16_000, "clip_samples": 16_000, "seed": 1}


def _age(root: Path) -> None:
    then = time.time() - 60
    for path in [root, *root.rglob("*")]:
        os.utime(path, (then, then))


@pytest.fixture
def speech(tmp_path: Path, files: Any) -> Path:
    root = files.write(tmp_path / "speech", files.speech_commands(speakers=30))
    _age(root)
    return root


def _official(source: object, **changes: Any) -> SpeechCommandsData:
    fields = {"kind": "speech-commands", "keywords": ("yes", "no"), "source": str(source)}
    return SpeechCommandsData(**(fields | changes))


def _own(source: object, **changes: Any) -> FolderData:
    fields = {"kind": "folder", "keywords": ("yes", "no"), "source": str(source)}
    return FolderData(**(fields | changes))


def test_every_kind_has_the_same_interface(speech: Path, shared: Any) -> None:
    synthetic = SyntheticData(
        kind="synthetic", keywords=("yes", "no"), train_clips=4, validation_clips=1, test_clips=1
    )
    kinds: list[Data] = [synthetic, _official(speech), _own(speech, speaker_pattern="^(.*)_nohash")]
    for data in kinds:
        dataset = make(data, **SIZES)
        assert dataset.labels == data.labels == ("_silence_", "_unknown_", "yes", "no")
        assert shared(dataset) == set()
        assert dataset.clip_samples == 16_000
        assert dataset.noise


def test_the_fingerprint_of_synthetic_speech_needs_no_synthesizer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent() -> str:
        raise MissingExtraError("espeakng-loader", extra="train", purpose="a test")

    monkeypatch.setattr(espeak, "version", absent)
    data = SyntheticData(kind="synthetic", keywords=("yes",))
    assert source_fingerprint(data) == espeak.SERIES


def test_the_series_of_the_synthesizer_is_the_installed_one() -> None:
    assert f"espeakng-loader {importlib.metadata.version('espeakng-loader')}".startswith(
        espeak.SERIES + "."
    )


def test_the_fingerprint_of_an_archive_is_its_sha256(tmp_path: Path, files: Any) -> None:
    archive = files.pack(tmp_path / "a.tar.gz", files.speech_commands())
    test = files.pack(tmp_path / "t.tar.gz", files.test_set())
    one, other = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (archive, test))
    assert source_fingerprint(_official(archive)) == f"archive {one}"
    both = source_fingerprint(_official(archive, test_source=str(test)))
    assert both == f"archive {one}, test archive {other}"


def test_the_fingerprint_of_a_url_needs_no_download() -> None:
    data = _official("https://example.invalid/a.tar.gz", sha256="ab" * 32)
    assert source_fingerprint(data) == f"archive {'ab' * 32}"


@pytest.mark.parametrize("declare", [_official, _own])
def test_the_fingerprint_of_a_folder_follows_its_clips(
    speech: Path, tmp_path: Path, declare: Any, files: Any
) -> None:
    memo = tmp_path / "memo.json"
    first = source_fingerprint(declare(speech), memo=memo)
    assert first == source_fingerprint(declare(speech), memo=memo)
    assert first == source_fingerprint(declare(speech))
    (speech / "notes.txt").write_text("not read by anyone")
    assert source_fingerprint(declare(speech), memo=memo) == first
    clip = speech / "yes" / "00000000_nohash_0.wav"
    clip.write_bytes(clip.read_bytes()[:-2] + b"zz")
    changed = source_fingerprint(declare(speech), memo=memo)
    assert changed != first
    clip.unlink()
    assert source_fingerprint(declare(speech), memo=memo) not in (first, changed)


def test_lists_and_noise_are_part_of_the_fingerprint(speech: Path, tmp_path: Path) -> None:
    first = source_fingerprint(_official(speech))
    (speech / "testing_list.txt").write_text("")
    second = source_fingerprint(_official(speech))
    noise = tmp_path / "noise"
    noise.mkdir()
    (noise / "tap.wav").write_bytes(b"1")
    third = source_fingerprint(_own(speech, background=str(noise)))
    (noise / "tap.wav").write_bytes(b"2")
    fourth = source_fingerprint(_own(speech, background=str(noise)))
    assert len({first, second, third, fourth}) == 4


def test_an_unchanged_folder_costs_no_reading(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo = tmp_path / "memo.json"
    first = source_fingerprint(_own(speech), memo=memo)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("a file was read"))
    assert source_fingerprint(_own(speech), memo=memo) == first
    monkeypatch.setattr(digest.Memo, "find", lambda *_: None)
    with pytest.raises(pytest.fail.Exception, match="was read"):
        source_fingerprint(_own(speech), memo=memo)


def test_a_missing_source_names_its_key(tmp_path: Path) -> None:
    for data in (_official(tmp_path / "none"), _own(tmp_path / "none")):
        with pytest.raises(DatasetError, match="does not exist") as caught:
            source_fingerprint(data)
        assert str(caught.value.where).startswith("data.source: ")
