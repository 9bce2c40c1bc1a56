"""A folder of recordings: any rate and channels, speakers, unknown words, noise, bad files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.assembly import Request
from edgeprune.datasets.folder import make as make_folder
from edgeprune.errors import DatasetError
from edgeprune.recipe import FolderData

Requests = Callable[..., Request]


def _declare(source: object, **changes: Any) -> FolderData:
    fields: dict[str, Any] = {
        "kind": "folder",
        "keywords": ("turn on", "stop"),
        "source": str(source),
        "speaker_pattern": r"^(\w+)-\d+",
    }
    return FolderData(**(fields | changes))


def _content(files: Any, speakers: int = 30) -> dict[str, bytes]:
    content = {}
    for index, word in enumerate(("Turn_On", "stop", "music", "water")):
        for speaker in range(speakers):
            suffix = ".flac" if speaker % 3 == 0 else ".WAV" if speaker % 3 == 1 else ".wav"
            name = f"{word}/speaker{speaker:02d}-{index}{suffix}"
            kind = "FLAC" if speaker % 3 == 0 else "WAV"
            content[name] = files.encode(files.tone(index * 40 + speaker, 0.3), kind=kind)
    return content


@pytest.fixture
def folder(tmp_path: Path, files: Any) -> Path:
    return files.write(tmp_path / "speech", _content(files))


def test_folders_are_keywords_and_other_words(folder: Path, request_of: Requests) -> None:
    dataset = make_folder(_declare(folder), request_of())
    assert dataset.labels == ("_silence_", "_unknown_", "turn on", "stop")
    counts = dataset.counts()
    assert sum(split["turn on"] for split in counts.values()) == 30
    for split in counts.values():
        assert split["turn on"] == split["stop"] == split["_unknown_"] == split["_silence_"]
        assert split["stop"] >= 1
    folders = {
        name.partition("/")[0]
        for name, label in zip(dataset.train.names, dataset.train.labels, strict=True)
        if dataset.labels[label] == "_unknown_"
    }
    assert folders == {"music", "water"}


def test_no_speaker_is_in_two_splits(folder: Path, request_of: Requests, shared: Any) -> None:
    dataset = make_folder(_declare(folder), request_of())
    assert shared(dataset) == set()
    everybody = {s for split in dataset.splits.values() for s in split.speakers} - {""}
    assert everybody == {f"speaker{index:02d}" for index in range(30)}


def test_new_recordings_move_no_speaker(folder: Path, request_of: Requests, files: Any) -> None:
    def homes() -> dict[str, str]:
        dataset = make_folder(_declare(folder), request_of())
        return {
            speaker: name
            for name, split in dataset.splits.items()
            for speaker in split.speakers
            if speaker
        }

    before = homes()
    files.write(
        folder,
        {f"stop/fresh{index}-1.wav": files.encode(files.tone(index)) for index in range(10)},
    )
    after = homes()
    assert len(after) == 40
    assert {speaker: after[speaker] for speaker in before} == before


def test_without_a_pattern_each_file_is_a_speaker(
    folder: Path, request_of: Requests, shared: Any
) -> None:
    dataset = make_folder(_declare(folder, speaker_pattern=None), request_of())
    assert shared(dataset) == set()
    speech = [name for name in dataset.train.names if not name.startswith("_silence_")]
    assert sorted(set(dataset.train.speakers) - {""}) == sorted(speech)
    assert any("speaker of its own" in note for note in dataset.provenance)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channel_count_is_brought_to_the_recipes(
    tmp_path: Path, request_of: Requests, files: Any, rate: int, channels: int
) -> None:
    content = _content(files, speakers=40)
    time = np.arange(rate) / rate
    tone = 0.25 * np.sin(2 * np.pi * 440 * time)
    content["stop/special-1.wav"] = files.encode(np.stack([tone] * channels, axis=1), rate)
    dataset = make_folder(_declare(files.write(tmp_path / "speech", content)), request_of())
    [pcm] = [
        split.pcm[split.names.index("stop/special-1.wav")]
        for split in dataset.splits.values()
        if "stop/special-1.wav" in split.names
    ]
    middle = pcm[4_000:12_000] / 32768.0
    assert np.abs(np.fft.rfft(middle)).argmax() * 2 == 440
    assert np.abs(middle).max() == pytest.approx(0.25, abs=0.01)


def test_channels_are_mixed_not_dropped(tmp_path: Path, request_of: Requests, files: Any) -> None:
    content = _content(files)
    left = np.zeros(16_000, np.int16)
    content["stop/special-1.wav"] = files.encode(np.stack([left, files.tone(3)], axis=1))
    dataset = make_folder(_declare(files.write(tmp_path / "speech", content)), request_of())
    [pcm] = [
        split.pcm[split.names.index("stop/special-1.wav")]
        for split in dataset.splits.values()
        if "stop/special-1.wav" in split.names
    ]
    np.testing.assert_allclose(pcm, files.tone(3) / 2, atol=1)


def test_of_a_long_clip_the_loudest_second_is_kept(
    tmp_path: Path, request_of: Requests, files: Any
) -> None:
    content = _content(files)
    long = np.zeros(80_000, np.int16)
    long[50_000:58_000] = files.tone(5, 0.5)
    content["stop/special-1.wav"] = files.encode(long)
    dataset = make_folder(_declare(files.write(tmp_path / "speech", content)), request_of())
    [pcm] = [
        split.pcm[split.names.index("stop/special-1.wav")]
        for split in dataset.splits.values()
        if "stop/special-1.wav" in split.names
    ]
    assert np.square(pcm, dtype=np.int64).sum() == np.square(long, dtype=np.int64).sum()


def test_recorded_silence_and_noise_are_used(
    tmp_path: Path, request_of: Requests, files: Any
) -> None:
    content = _content(files)
    for index in range(60):
        content[f"_silence_/room{index}.wav"] = files.encode(files.tone(index) // 800)
    content["_background_noise_/street.wav"] = files.encode(files.tone(9, 12.0, 44_100), 44_100)
    dataset = make_folder(_declare(files.write(tmp_path / "speech", content)), request_of())
    for split in dataset.splits.values():
        silent = [n for n, label in zip(split.names, split.labels, strict=True) if label == 0]
        assert silent
        assert all(name.startswith("_silence_/room") for name in silent)
    assert [len(noise) for noise in dataset.noise] == [int(0.8 * 12 * 16_000)]


def test_noise_may_lie_in_a_folder_of_its_own(
    folder: Path, tmp_path: Path, request_of: Requests, files: Any
) -> None:
    noise = files.write(
        tmp_path / "noise", {"tap.flac": files.encode(files.tone(2, 11), kind="FLAC")}
    )
    dataset = make_folder(_declare(folder, background=str(noise)), request_of())
    assert [len(recording) for recording in dataset.noise] == [int(0.8 * 11 * 16_000)]
    assert any("tap.flac@" in name for name in dataset.test.names)
    empty = files.write(tmp_path / "empty", {"readme.txt": b""})
    with pytest.raises(DatasetError, match=r"no \.wav and no \.flac") as caught:
        make_folder(_declare(folder, background=str(empty)), request_of())
    assert caught.value.where == f"data.background: {empty}"


def test_other_files_are_counted(folder: Path, request_of: Requests, files: Any) -> None:
    files.write(folder, {"stop/notes.txt": b"", "stop/song.mp3": b"", "top.txt": b""})
    dataset = make_folder(_declare(folder), request_of())
    assert "files that are neither .wav nor .flac, and were ignored: 2" in dataset.provenance


def _bad_clips(files: Any) -> dict[str, tuple[bytes, str]]:
    nan = files.tone(1) / 32768.0
    nan[100] = np.inf
    return {
        "empty": (b"", "0 bytes"),
        "truncated": (files.encode(files.tone(1))[:9000], "truncated"),
        "text": (b"hello", "neither WAV nor FLAC"),
        "nan": (files.encode(nan, subtype="DOUBLE"), "not finite"),
        "no samples": (files.encode(files.tone(1)[:0]), "no samples"),
        "long": (files.encode(files.tone(1, 31.0)), "is 31.000 s long"),
        "short": (files.encode(files.tone(1, 0.05)), "is 0.050 s long"),
    }


@pytest.mark.parametrize(
    "case", ["empty", "truncated", "text", "nan", "no samples", "long", "short"]
)
def test_a_bad_clip_is_refused_or_skipped(
    folder: Path, request_of: Requests, files: Any, case: str
) -> None:
    clip, said = _bad_clips(files)[case]
    bad = folder / "stop" / "bad-1.wav"
    bad.write_bytes(clip)
    with pytest.raises(DatasetError, match=said) as caught:
        make_folder(_declare(folder), request_of())
    assert caught.value.where == str(bad)
    assert "bad_clips" in str(caught.value.hint)

    dataset = make_folder(_declare(folder, bad_clips="skip"), request_of())
    [(skipped, reason)] = dataset.skipped
    assert (skipped, said in reason) == (str(bad), True)
    assert sum(split["stop"] for split in dataset.counts().values()) == 30


def test_a_name_without_a_speaker(folder: Path, request_of: Requests, files: Any) -> None:
    files.write(folder, {"stop/noname.wav": files.encode(files.tone(1))})
    with pytest.raises(DatasetError, match="shows no speaker") as caught:
        make_folder(_declare(folder), request_of())
    assert str(caught.value.where).endswith("noname.wav")
    dataset = make_folder(_declare(folder, bad_clips="skip"), request_of())
    assert len(dataset.skipped) == 1


def test_too_few_speakers_are_an_error_with_the_count(
    tmp_path: Path, request_of: Requests, files: Any
) -> None:
    folder = files.write(tmp_path / "speech", _content(files, speakers=3))
    with pytest.raises(DatasetError, match=r"split has \d clips? of '.*'; at least") as caught:
        make_folder(_declare(folder), request_of())
    assert "more speakers" in str(caught.value.hint)


def test_no_other_words(tmp_path: Path, request_of: Requests, files: Any) -> None:
    content = {k: v for k, v in _content(files).items() if k.startswith(("Turn", "stop"))}
    folder = files.write(tmp_path / "speech", content)
    with pytest.raises(DatasetError, match="0 clips of '_unknown_'") as caught:
        make_folder(_declare(folder), request_of())
    assert "unknown_percent = 0" in str(caught.value.hint)
    dataset = make_folder(_declare(folder, unknown_percent=0.0), request_of())
    assert dataset.labels == ("_silence_", "turn on", "stop")


def test_a_keyword_without_a_folder(folder: Path, request_of: Requests) -> None:
    with pytest.raises(DatasetError, match="keyword 'go'") as caught:
        make_folder(_declare(folder, keywords=("stop", "go")), request_of())
    assert caught.value.hint == "it has Turn_On, music, stop, water"


def test_what_is_not_a_folder(tmp_path: Path, request_of: Requests) -> None:
    (tmp_path / "speech.tar.gz").write_bytes(b"")
    with pytest.raises(DatasetError, match="is not a folder") as caught:
        make_folder(_declare(tmp_path / "speech.tar.gz"), request_of())
    assert "speech-commands" in str(caught.value.hint)
    with pytest.raises(DatasetError, match="does not exist"):
        make_folder(_declare(tmp_path / "none"), request_of())


def test_the_same_folder_and_seed_give_the_same_bytes(
    folder: Path, tmp_path: Path, request_of: Requests
) -> None:
    for name in ("a", "b"):
        make_folder(_declare(folder), request_of()).save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
