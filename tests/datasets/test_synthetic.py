"""Synthetic speech: repeatable to the bit, in voices that no two splits share."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets import Dataset
from edgeprune.datasets.assembly import Request
from edgeprune.datasets.audio import level_db
from edgeprune.datasets.espeak import RATE_HZ, Utterance, speak, version
from edgeprune.datasets.synthetic import make as make_synthetic
from edgeprune.datasets.voices import ACCENTS, FAMILIES, deal
from edgeprune.errors import DatasetError, MissingExtraError, ProcessError
from edgeprune.progress import SilentProgress
from edgeprune.recipe import SyntheticData

Requests = Callable[..., Request]
QUIET = SilentProgress()


def _declare(**changes: Any) -> SyntheticData:
    fields: dict[str, Any] = {
        "kind": "synthetic",
        "keywords": ("yes", "stop", "turn on"),
        "unknown_words": ("house", "water", "bird"),
        "train_clips": 12,
        "validation_clips": 3,
        "test_clips": 4,
    }
    return SyntheticData(**(fields | changes))


def _request(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "sample_rate_hz": 16_000,
        "clip_samples": 16_000,
        "seed": 1,
        "progress": QUIET,
        "downloads": Path("unused"),
    }
    return Request(**(fields | changes))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_synthetic(_declare(), _request())


def _digest(folder: Path) -> str:
    hashed = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()


def test_every_label_has_the_clips_that_were_asked_for(dataset: Dataset) -> None:
    assert dataset.labels == ("_silence_", "_unknown_", "yes", "stop", "turn on")
    for split, clips in (("train", 12), ("validation", 3), ("test", 4)):
        assert dataset.counts()[split] == dict.fromkeys(dataset.labels, clips)
        assert dataset.splits[split].pcm.dtype == np.int16
        assert dataset.splits[split].pcm.shape == (5 * clips, 16_000)


def test_labels_can_be_left_out_and_shares_changed() -> None:
    bare = make_synthetic(_declare(unknown_percent=0.0, silence_percent=0.0), _request())
    assert bare.labels == ("yes", "stop", "turn on")
    shares = make_synthetic(_declare(unknown_percent=50.0, silence_percent=200.0), _request())
    assert shares.counts()["train"]["_unknown_"] == 6
    assert shares.counts()["test"]["_silence_"] == 8
    assert shares.counts()["validation"]["_unknown_"] == 2


def test_another_process_makes_the_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path / "here")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from edgeprune.datasets import make\n"
        "from edgeprune.recipe import SyntheticData\n"
        "data = SyntheticData.model_validate_json(sys.argv[1])\n"
        "made = make(data, sample_rate_hz=16000, clip_samples=16000, seed=1)\n"
        "made.save(Path(sys.argv[2]))\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, _declare().model_dump_json(), str(tmp_path / "there")],
        check=True,
        env={"PYTHONHASHSEED": "7", "PATH": ""},
    )
    assert _digest(tmp_path / "here") == _digest(tmp_path / "there")


def test_another_seed_makes_another_data_set(dataset: Dataset) -> None:
    other = make_synthetic(_declare(), _request(seed=2))
    assert set(other.test.speakers) != set(dataset.test.speakers)
    assert not np.array_equal(other.train.pcm, dataset.train.pcm)


def test_no_speaker_and_no_family_is_in_two_splits(dataset: Dataset, shared: Any) -> None:
    assert shared(dataset) == set()
    family = {
        variant: index for index, members in enumerate(sum(FAMILIES, ())) for variant in members
    }
    heard = {
        name: {family[speaker.partition("+")[2]] for speaker in split.speakers if speaker}
        for name, split in dataset.splits.items()
    }
    assert not heard["train"] & heard["test"]
    assert not heard["train"] & heard["validation"]
    assert not heard["validation"] & heard["test"]


@pytest.mark.parametrize("seed", range(20))
def test_voices_are_dealt_to_all_splits(seed: int) -> None:
    dealt = deal(np.random.default_rng(seed))
    variants = [variant for families in FAMILIES for family in families for variant in family]
    assert len(set(variants)) == len(variants)
    everything = [speaker for speakers in dealt.values() for speaker in speakers]
    assert len(set(everything)) == len(everything) == len(ACCENTS) * len(variants)
    shares = {split: len(speakers) / len(everything) for split, speakers in dealt.items()}
    assert shares["train"] > 0.4
    assert shares["validation"] > 0.14
    assert shares["test"] > 0.24
    high = {variant for family in FAMILIES[1] for variant in family}
    for speakers in dealt.values():
        assert any(speaker.partition("+")[2] in high for speaker in speakers)


def _spoken(text: str, speaker: str = "en-us+f3", **changes: int) -> np.ndarray:
    fields = {"rate": 175, "pitch": 50, "range": 50, "volume": 100, "longest": RATE_HZ} | changes
    [pcm] = speak([Utterance(text=text, speaker=speaker, **fields)], QUIET)
    return pcm


def _pitch_hz(pcm: np.ndarray) -> float:
    half = pcm[: len(pcm) // 2].astype(float)
    spectrum = np.abs(np.fft.rfft(half, 1 << 16)) ** 2
    correlation = np.fft.irfft(spectrum)[RATE_HZ // 400 : RATE_HZ // 60]
    return RATE_HZ / (RATE_HZ // 400 + int(correlation.argmax()))


def test_every_voice_exists_and_speaks() -> None:
    variants = [variant for families in FAMILIES for family in families for variant in family]
    speakers = [f"{ACCENTS[index % len(ACCENTS)]}+{v}" for index, v in enumerate(variants)]
    speakers += [f"{accent}+m3" for accent in ACCENTS]
    utterances = [Utterance("marvin", speaker, 175, 50, 50, 100, RATE_HZ) for speaker in speakers]
    heard = list(speak(utterances, QUIET))
    assert len(heard) == len(speakers)
    for speaker, pcm in zip(speakers, heard, strict=True):
        assert 0.2 < len(pcm) / RATE_HZ < 1.0, speaker
        assert -35 < level_db(pcm / 32768.0) < -8, speaker
    assert len({pcm.tobytes() for pcm in heard}) == len(heard)


def test_pitch_speed_and_emphasis_are_heard() -> None:
    assert _pitch_hz(_spoken("yes", pitch=80)) > 1.3 * _pitch_hz(_spoken("yes", pitch=20))
    assert len(_spoken("yes", rate=120)) > 1.4 * len(_spoken("yes", rate=200))
    strong = _spoken("<emphasis level='strong'>yes</emphasis>")
    weak = _spoken("<emphasis level='reduced'>yes</emphasis>")
    assert level_db(strong / 32768.0) > level_db(weak / 32768.0) + 6


def _shape(pcm: np.ndarray) -> np.ndarray:
    """Log spectrum of an utterance, brought to 20 frames."""
    frames = np.lib.stride_tricks.sliding_window_view(pcm.astype(float), 512)[::128]
    spectra = np.log(np.abs(np.fft.rfft(frames * np.hanning(512)))[:, :128] + 10)
    spectra = spectra[np.linspace(0, len(spectra) - 1, 20).astype(int)]
    return (spectra - spectra.mean()).ravel()


def test_voices_differ_and_words_differ_more() -> None:
    speakers = ("en-us+f3", "en+m3", "en-us+shelby", "en-gb-scotland+Andy")
    words = ("yes", "stop", "left")
    pairs = [(word, speaker) for word in words for speaker in speakers]
    utterances = [Utterance(w, s, 175, 50, 50, 100, RATE_HZ) for w, s in pairs]
    heard = dict(zip(pairs, map(_shape, speak(utterances, QUIET)), strict=True))

    def likeness(one: tuple[str, str], other: tuple[str, str]) -> float:
        return float(np.corrcoef(heard[one], heard[other])[0, 1])

    voices = [likeness((w, s), (w, t)) for w in words for s in speakers for t in speakers if s < t]
    others = [likeness((w, s), (v, s)) for s in speakers for w in words for v in words if w < v]
    assert max(voices) < 0.97
    assert np.mean(voices) > np.mean(others) + 0.1


def test_an_unknown_voice_is_not_quietly_another() -> None:
    with pytest.raises(ProcessError, match="no voice 'en-us\\+nobody'"):
        _spoken("yes", "en-us+nobody")
    with pytest.raises(ProcessError, match="no voice 'xx\\+f3'"):
        _spoken("yes", "xx+f3")


def test_a_long_word_is_spoken_faster() -> None:
    slow = len(_spoken("marvin", rate=100))
    hurried = _spoken("marvin", rate=100, longest=int(0.7 * slow))
    assert len(hurried) <= int(0.7 * slow)


def test_a_word_that_does_not_fit_is_named_with_what_to_try() -> None:
    word = "supercalifragilisticexpialidocious"
    with pytest.raises(DatasetError, match=f"'{word}' takes") as caught:
        make_synthetic(_declare(keywords=("yes", word)), _request())
    assert caught.value.where == "data.keywords"
    hint = str(caught.value.hint)
    assert hint.startswith("--set frontend.clip_ms=")
    clip_ms = int(hint.partition("=")[2].split(",")[0])
    fitting = make_synthetic(_declare(keywords=("yes", word)), _request(clip_samples=16 * clip_ms))
    assert fitting.counts()["train"][word] == 12
    with pytest.raises(DatasetError, match="takes") as caught:
        make_synthetic(_declare(unknown_words=(word,)), _request())
    assert caught.value.where == "data.unknown_words"


def test_no_clip_is_digital_silence(dataset: Dataset) -> None:
    for split in dataset.splits.values():
        spoken = split.pcm[split.labels > 0].astype(np.int32)
        edges = np.concatenate([spoken[:, :800], spoken[:, -800:]], axis=1)
        assert (np.abs(edges).max(axis=1) > 0).all()
        assert (np.abs(spoken).max(axis=1) > 300).all()
        assert np.abs(split.pcm.astype(np.int32)).max(axis=1).min() > 0


def test_words_stand_at_different_places(dataset: Dataset) -> None:
    keyword = dataset.train.pcm[dataset.train.labels > 1].astype(float)
    energy = np.square(keyword).reshape(len(keyword), 40, 400).sum(axis=2)
    centres = (energy * np.arange(40)).sum(axis=1) / energy.sum(axis=1)
    assert centres.std() > 4


def test_another_rate_and_length() -> None:
    made = make_synthetic(
        _declare(train_clips=4), _request(sample_rate_hz=8_000, clip_samples=9_600)
    )
    assert made.train.pcm.shape == (20, 9_600)
    assert made.sample_rate_hz == 8_000


def test_the_most_keywords_that_a_recipe_can_have() -> None:
    words = tuple(
        f"{a}{b}"
        for a in ("ba", "de", "ki", "lo", "mu", "na", "po", "ri")
        for b in ("tam", "lek", "din", "sol", "rug", "fam", "vit", "zon")
    )
    data = _declare(keywords=words, train_clips=4, validation_clips=1, test_clips=1)
    made = make_synthetic(data, _request())
    assert made.labels == ("_silence_", "_unknown_", *words)
    assert made.train.labels.max() == 65
    assert min(made.counts()["test"].values()) == 1


def test_the_report_says_that_it_is_not_people(dataset: Dataset) -> None:
    assert "not people" in dataset.provenance[0]
    assert importlib.metadata.version("espeakng-loader") in dataset.provenance[0]
    assert len(dataset.noise) >= 7


def test_a_missing_package_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match="espeakng-loader") as caught:
        make_synthetic(_declare(), _request())
    assert caught.value.extra == "train"

    def missing(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(MissingExtraError):
        version()
