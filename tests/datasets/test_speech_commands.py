"""The official layout: folder, archive and URL; lists and hash rule; noise, test set, bad clips."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets import Dataset, make
from edgeprune.datasets.assembly import Request, split_of
from edgeprune.datasets.sources import open_source
from edgeprune.datasets.speech_commands import make as make_speech_commands
from edgeprune.errors import DatasetError, DownloadError
from edgeprune.progress import SilentProgress
from edgeprune.recipe import SpeechCommandsData

MINI = "speech_commands_mini_v0.02.tar.gz"
MINI_TEST = "speech_commands_mini_test_set_v0.02.tar.gz"
TEN_WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")

Requests = Callable[..., Request]


def _declare(source: object, **changes: Any) -> SpeechCommandsData:
    fields: dict[str, Any] = {
        "kind": "speech-commands",
        "keywords": ("yes", "no"),
        "source": str(source),
    }
    return SpeechCommandsData(**(fields | changes))


@pytest.fixture
def folder(tmp_path: Path, files: Any) -> Path:
    return files.write(tmp_path / "speech", files.speech_commands())


def test_clips_go_where_the_lists_say(folder: Path, request_of: Requests) -> None:
    dataset = make_speech_commands(_declare(folder), request_of())
    assert dataset.labels == ("_silence_", "_unknown_", "yes", "no")
    assert dataset.counts() == {
        "train": {"_silence_": 8, "_unknown_": 8, "yes": 8, "no": 8},
        "validation": {"_silence_": 2, "_unknown_": 2, "yes": 2, "no": 2},
        "test": {"_silence_": 2, "_unknown_": 2, "yes": 2, "no": 2},
    }
    assert set(dataset.validation.speakers) == {"", "00000000", "00000001"}
    assert set(dataset.test.speakers) == {"", "00000002", "00000003"}
    assert dataset.skipped == ()


def test_each_clip_holds_the_samples_of_its_file(
    folder: Path, request_of: Requests, files: Any
) -> None:
    dataset = make_speech_commands(_declare(folder), request_of())
    row = dataset.train.names.index("no/00000007_nohash_0.wav")
    assert np.array_equal(dataset.train.pcm[row], files.tone(20 + 7))
    assert dataset.labels[dataset.train.labels[row]] == "no"
    assert dataset.train.speakers[row] == "00000007"


def test_folder_archive_and_seed_give_the_same_clips(
    folder: Path, tmp_path: Path, request_of: Requests, files: Any
) -> None:
    archive = files.pack(tmp_path / "speech.tar.gz", files.speech_commands())
    first = make_speech_commands(_declare(folder), request_of())
    second = make_speech_commands(_declare(archive), request_of())
    other = make_speech_commands(_declare(archive), request_of(seed=2))
    first.save(tmp_path / "first")
    second.save(tmp_path / "second")
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    assert first.train.names != other.train.names
    assert sorted(first.validation.names)[-2:] == sorted(other.validation.names)[-2:]


def test_clips_are_in_a_drawn_order(folder: Path, request_of: Requests) -> None:
    labels = make_speech_commands(_declare(folder), request_of()).train.labels
    assert len(set(labels[:8].tolist())) >= 3


def test_keywords_keep_their_order_and_labels_can_be_left_out(
    folder: Path, request_of: Requests
) -> None:
    data = _declare(folder, keywords=("no", "cat", "yes"), silence_percent=0.0)
    dataset = make_speech_commands(data, request_of())
    assert dataset.labels == ("_unknown_", "no", "cat", "yes")
    words = {name.partition("/")[0] for name in dataset.test.names}
    assert words == {"no", "cat", "yes", "bed"}
    bare = make_speech_commands(
        _declare(folder, unknown_percent=0.0, silence_percent=0.0), request_of()
    )
    assert bare.labels == ("yes", "no")
    assert len(bare.train) == 16


def test_shares_are_of_the_clips_of_a_keyword(folder: Path, request_of: Requests) -> None:
    data = _declare(folder, unknown_percent=50.0, silence_percent=150.0)
    counts = make_speech_commands(data, request_of()).counts()
    assert counts["train"] == {"_silence_": 12, "_unknown_": 4, "yes": 8, "no": 8}


def test_too_few_other_words_are_all_taken_and_noted(folder: Path, request_of: Requests) -> None:
    dataset = make_speech_commands(_declare(folder, unknown_percent=900.0), request_of())
    assert dataset.counts()["train"]["_unknown_"] == 16
    assert any("16 clips of _unknown_" in note and "72" in note for note in dataset.provenance)


@pytest.mark.parametrize(
    ("speaker", "percent"), [("bob", 77.0298), ("alice", 24.0620), ("0a7c2a8d", 56.8364)]
)
def test_the_hash_rule_is_that_of_the_readme(speaker: str, percent: float) -> None:
    assert split_of(speaker, percent + 0.001, 0.0) == "validation"
    assert split_of(speaker, percent - 0.001, 1.0) == "test"
    assert split_of(speaker, percent - 1.0, 0.999) == "train"
    assert split_of(speaker, percent - 1.0, 1.001) == "test"


def test_speakers_can_be_split_by_hash(tmp_path: Path, request_of: Requests, files: Any) -> None:
    content = files.speech_commands(words=("yes", "no"), speakers=40)
    del content["validation_list.txt"], content["testing_list.txt"]
    folder = files.write(tmp_path / "speech", content)
    data = _declare(
        folder, split="hash", validation_percent=20.0, test_percent=20.0, unknown_percent=0.0
    )
    dataset = make_speech_commands(data, request_of())
    for name, split in dataset.splits.items():
        speakers = set(split.speakers) - {""}
        assert speakers
        assert {split_of(speaker, 20.0, 20.0) for speaker in speakers} == {name}


def test_missing_lists_point_at_the_hash_rule(
    tmp_path: Path, request_of: Requests, files: Any
) -> None:
    content = files.speech_commands()
    del content["testing_list.txt"]
    folder = files.write(tmp_path / "speech", content)
    with pytest.raises(DatasetError, match=r"has no testing_list\.txt") as caught:
        make_speech_commands(_declare(folder), request_of())
    assert caught.value.where == str(folder)
    assert "data.split = 'hash'" in str(caught.value.hint)


def test_lists_may_name_clips_that_are_not_there(folder: Path, request_of: Requests) -> None:
    (folder / "cat" / "00000002_nohash_0.wav").unlink()
    dataset = make_speech_commands(_declare(folder), request_of())
    assert "clips in testing_list.txt that are not there: 1 of 8" in dataset.provenance


def test_a_list_that_is_not_text(folder: Path, request_of: Requests) -> None:
    (folder / "testing_list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="not UTF-8"):
        make_speech_commands(_declare(folder), request_of())


def test_speakers_in_two_lists_are_dropped_from_the_earlier_split(
    folder: Path, request_of: Requests, shared: Any
) -> None:
    listed = (folder / "testing_list.txt").read_text().splitlines()
    more = ["yes/00000000_nohash_0.wav", "yes/00000009_nohash_0.wav"]
    (folder / "testing_list.txt").write_text("\n".join([*listed, *more]))
    validation = (folder / "validation_list.txt").read_text().replace(more[0] + "\n", "")
    (folder / "validation_list.txt").write_text(validation)
    dataset = make_speech_commands(_declare(folder), request_of())
    assert shared(dataset) == set()
    assert {"00000000", "00000009"} <= set(dataset.test.speakers)
    assert dataset.counts()["train"]["no"] == 7
    for split in ("validation", "train"):
        said = (
            f"clips dropped from the {split} split: 3, since a later split has their speakers (1)"
        )
        assert said in dataset.provenance


def test_noise_of_a_split_is_heard_in_no_other(
    tmp_path: Path, request_of: Requests, files: Any
) -> None:
    content = files.speech_commands()
    ramp = np.arange(-15_000, 15_000, dtype=np.int16).repeat(8)
    content["_background_noise_/tap.wav"] = content["_background_noise_/bike.wav"] = files.encode(
        ramp
    )
    dataset = make_speech_commands(
        _declare(files.write(tmp_path / "speech", content)), request_of()
    )
    assert [len(noise) for noise in dataset.noise] == [192_000, 192_000]
    starts: dict[str, list[int]] = {}
    for name, split in dataset.splits.items():
        silence = [n for n in split.names if n.startswith("_silence_")]
        assert silence
        starts[name] = [int(n.partition("@")[2]) for n in silence]
    assert max(starts["train"]) < 192_000
    assert max(starts["validation"] + starts["test"]) < 24_000 - 16_000 + 1
    assert not any(np.isin(noise, ramp[192_000:]).any() for noise in dataset.noise)


def test_without_recordings_noise_is_synthesized(
    tmp_path: Path, request_of: Requests, files: Any
) -> None:
    content = {k: v for k, v in files.speech_commands().items() if not k.startswith("_back")}
    dataset = make_speech_commands(
        _declare(files.write(tmp_path / "speech", content)), request_of()
    )
    assert len(dataset.noise) >= 5
    assert dataset.counts()["train"]["_silence_"] == 8
    assert any("synthesized" in note for note in dataset.provenance)


def test_short_noise_recordings_are_an_error(
    folder: Path, request_of: Requests, files: Any
) -> None:
    for name in ("tap", "bike"):
        (folder / "_background_noise_" / f"{name}.wav").write_bytes(files.encode(files.tone(1, 3)))
    with pytest.raises(DatasetError, match="too short to give each split a part"):
        make_speech_commands(_declare(folder), request_of())


def test_a_separate_test_set_replaces_the_test_split(
    folder: Path, tmp_path: Path, request_of: Requests, files: Any, shared: Any
) -> None:
    archive = files.pack(tmp_path / "test.tar.gz", files.test_set())
    dataset = make_speech_commands(_declare(folder, test_source=str(archive)), request_of())
    assert dataset.counts()["test"] == {"_silence_": 3, "_unknown_": 3, "yes": 3, "no": 3}
    assert set(dataset.test.speakers) == {"", "000000a0", "000000a1", "000000a2"}
    assert shared(dataset) == set()
    assert dataset.counts()["train"]["yes"] == 8
    row = dataset.test.names.index("_unknown_/bed_000000a1_nohash_0.wav")
    assert dataset.test.speakers[row] == "000000a1"
    assert np.array_equal(dataset.test.pcm[row], files.tone(201))


def test_speakers_of_the_separate_test_set_leave_training(
    folder: Path, tmp_path: Path, request_of: Requests, files: Any, shared: Any
) -> None:
    content = files.test_set()
    content["_unknown_/cat_00000005_nohash_9.wav"] = files.encode(files.tone(1))
    archive = files.pack(tmp_path / "test.tar.gz", content)
    dataset = make_speech_commands(_declare(folder, test_source=str(archive)), request_of())
    assert "00000005" in dataset.test.speakers
    assert shared(dataset) == set()
    assert dataset.counts()["train"]["yes"] == 7


def test_the_separate_test_set_must_have_the_keywords(
    folder: Path, tmp_path: Path, request_of: Requests, files: Any
) -> None:
    archive = files.pack(tmp_path / "test.tar.gz", files.test_set(words=("yes", "up")))
    with pytest.raises(DatasetError, match="keyword 'no'") as caught:
        make_speech_commands(_declare(folder, test_source=str(archive)), request_of())
    assert caught.value.where == str(archive)
    dataset = make_speech_commands(
        _declare(folder, keywords=("yes",), test_source=str(archive)), request_of()
    )
    assert dataset.counts()["test"] == {"_silence_": 3, "_unknown_": 3, "yes": 3}
    assert any("left out: up" in note for note in dataset.provenance)


def test_a_test_set_without_silence_gets_it_from_the_noise(
    folder: Path, tmp_path: Path, request_of: Requests, files: Any
) -> None:
    content = {k: v for k, v in files.test_set().items() if not k.startswith("_silence_")}
    archive = files.pack(tmp_path / "test.tar.gz", content)
    dataset = make_speech_commands(_declare(folder, test_source=str(archive)), request_of())
    assert dataset.counts()["test"]["_silence_"] == 3


def _bad_clips(files: Any) -> dict[str, tuple[bytes, str]]:
    wav = files.encode(files.tone(1))
    nan = files.tone(1) / 32768.0
    nan[100] = np.nan
    stereo = np.stack([files.tone(1)] * 2, axis=1)
    return {
        "empty": (b"", "0 bytes"),
        "truncated": (wav[:9000], "truncated"),
        "text": (b"hello", "neither WAV nor FLAC"),
        "nan": (files.encode(nan, subtype="FLOAT"), "not finite"),
        "rate": (files.encode(files.tone(1, rate=8000), 8000), "has 8000 Hz, the recipe's"),
        "stereo": (files.encode(stereo), "has 2 channels"),
        "long": (files.encode(files.tone(1, 1.2)), "is 1.200 s long"),
        "short": (files.encode(files.tone(1, 0.05)), "is 0.050 s long"),
    }


@pytest.mark.parametrize(
    "case", ["empty", "truncated", "text", "nan", "rate", "stereo", "long", "short"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_bad_clip_is_refused_or_skipped(
    tmp_path: Path, request_of: Requests, files: Any, case: str, packed: bool
) -> None:
    clip, said = _bad_clips(files)[case]
    content = files.speech_commands() | {"yes/00000007_nohash_0.wav": clip}
    root = tmp_path / "speech"
    source = files.pack(tmp_path / "a.tar.gz", content) if packed else files.write(root, content)
    where = (
        f"{source}: yes/00000007_nohash_0.wav"
        if packed
        else str(root / "yes" / "00000007_nohash_0.wav")
    )
    with pytest.raises(DatasetError, match=said) as caught:
        make_speech_commands(_declare(source), request_of())
    assert caught.value.where == where
    assert caught.value.hint

    dataset = make_speech_commands(_declare(source, bad_clips="skip"), request_of())
    [(skipped, reason)] = dataset.skipped
    assert skipped == where
    assert said in reason
    assert dataset.counts()["train"]["yes"] == 7
    assert "yes/00000007_nohash_0.wav" not in dataset.train.names
    assert len(dataset.train.pcm) == len(dataset.train) == len(dataset.train.names)


def test_a_bad_noise_recording_is_refused_or_skipped(folder: Path, request_of: Requests) -> None:
    (folder / "_background_noise_" / "tap.wav").write_bytes(b"")
    with pytest.raises(DatasetError, match="0 bytes") as caught:
        make_speech_commands(_declare(folder), request_of())
    assert str(caught.value.where).endswith("tap.wav")
    dataset = make_speech_commands(_declare(folder, bad_clips="skip"), request_of())
    assert len(dataset.noise) == 1
    assert len(dataset.skipped) == 1


def test_short_clips_are_padded_and_longer_ones_cut_to_a_short_window(
    folder: Path, request_of: Requests, files: Any
) -> None:
    (folder / "yes" / "00000007_nohash_0.wav").write_bytes(files.encode(files.tone(7, 0.5)))
    dataset = make_speech_commands(_declare(folder), request_of())
    row = dataset.train.names.index("yes/00000007_nohash_0.wav")
    assert not dataset.train.pcm[row][:4_000].any()
    assert np.array_equal(dataset.train.pcm[row][4_000:12_000], files.tone(7, 0.5))
    short = make_speech_commands(_declare(folder), request_of(clip_samples=8_000))
    assert short.train.pcm.shape[1] == short.clip_samples == 8_000


def test_too_few_clips_are_an_error_with_the_count(
    tmp_path: Path, request_of: Requests, files: Any
) -> None:
    content = files.speech_commands()
    for speaker in range(4, 9):
        del content[f"yes/{speaker:08x}_nohash_0.wav"]
    folder = files.write(tmp_path / "speech", content)
    with pytest.raises(
        DatasetError, match="train split has 3 clips of 'yes'; at least 4"
    ) as caught:
        make_speech_commands(_declare(folder), request_of())
    assert caught.value.hint


def test_a_keyword_without_a_folder(folder: Path, request_of: Requests) -> None:
    with pytest.raises(DatasetError, match="keyword 'marvin'") as caught:
        make_speech_commands(_declare(folder, keywords=("yes", "marvin")), request_of())
    assert caught.value.hint == "it has bed, cat, no, yes"


def test_a_missing_source_names_its_key(tmp_path: Path, folder: Path, request_of: Requests) -> None:
    with pytest.raises(DatasetError, match="does not exist") as caught:
        make_speech_commands(_declare(tmp_path / "none"), request_of())
    assert str(caught.value.where).startswith("data.source: ")
    with pytest.raises(DatasetError, match="does not exist") as caught:
        make_speech_commands(_declare(folder, test_source="none.tar.gz"), request_of())
    assert caught.value.where == "data.test_source: none.tar.gz"


def test_a_local_archive_is_compared_with_its_hash(
    tmp_path: Path, folder: Path, request_of: Requests, files: Any
) -> None:
    archive = files.pack(tmp_path / "speech.tar.gz", files.speech_commands())
    good = hashlib.sha256(archive.read_bytes()).hexdigest()
    make_speech_commands(_declare(archive, sha256=good), request_of())
    with pytest.raises(DatasetError, match=f"its SHA-256 is {good}"):
        make_speech_commands(_declare(archive, sha256="0" * 64), request_of())
    with pytest.raises(DatasetError, match="is a folder"):
        make_speech_commands(_declare(folder, sha256=good), request_of())


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_archive_by_url(tmp_path: Path, request_of: Requests, files: Any) -> None:
    archive = files.pack(tmp_path / "speech.tar.gz", files.speech_commands())
    good = hashlib.sha256(archive.read_bytes()).hexdigest()
    handler = partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/speech.tar.gz"
        try:
            dataset = make_speech_commands(_declare(url, sha256=good), request_of())
            with pytest.raises(DownloadError, match="SHA-256"):
                make_speech_commands(_declare(url, sha256="0" * 64), request_of())
        finally:
            server.shutdown()
            thread.join()
    again = make_speech_commands(_declare(url, sha256=good), request_of())
    assert again.train.names == dataset.train.names


# On real speech


@pytest.fixture(scope="module")
def mini(shared_data: Path) -> Dataset:
    data = SpeechCommandsData(
        kind="speech-commands",
        keywords=TEN_WORDS,
        source=str(shared_data / MINI),
        test_source=str(shared_data / MINI_TEST),
    )
    return make(data, sample_rate_hz=16_000, clip_samples=16_000, seed=1)


def test_no_speaker_of_the_mini_archive_is_in_two_splits(mini: Dataset, shared: Any) -> None:
    assert shared(mini) == set()
    assert all(len(set(split.speakers)) > 10 for split in mini.splits.values())
    assert not any("dropped" in note for note in mini.provenance)


def test_the_mini_archive_has_the_clips_that_it_should(mini: Dataset) -> None:
    counts = mini.counts()
    assert mini.labels == ("_silence_", "_unknown_", *TEN_WORDS)
    assert sum(counts["train"][word] for word in TEN_WORDS) == 2184
    assert counts["test"]["_silence_"] == 72
    assert counts["test"]["_unknown_"] == 60
    assert sum(counts["test"].values()) == 812
    assert len(mini.noise) == 6
    assert all(
        np.abs(split.pcm.astype(np.int32)).max(axis=1).min() > 0 for split in mini.splits.values()
    )


def test_the_mini_archive_confirms_the_hash_rule(shared_data: Path) -> None:
    """Its clips are all of the official testing list, so the rule must put all in the test."""
    names = [
        n for n in open_source(shared_data / MINI, SilentProgress()).names() if "_nohash_" in n
    ]
    speakers = {name.partition("/")[2].partition("_nohash_")[0] for name in names}
    assert len(speakers) > 100
    assert {split_of(speaker, 10.0, 10.0) for speaker in speakers} == {"test"}
