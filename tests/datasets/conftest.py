"""Small data sets in every layout, made in a temporary folder."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.assembly import Request
from edgeprune.datasets.dataset import Dataset
from edgeprune.progress import SilentProgress

RATE = 16_000


class Files:
    """Makes clips, folders and archives."""

    rate = RATE

    @staticmethod
    def tone(seed: int, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
        """An int16 tone whose pitch tells clips apart."""
        time = np.arange(round(seconds * rate)) / rate
        return (8000 * np.sin(2 * np.pi * (200 + 13 * seed) * time)).astype(np.int16)

    @staticmethod
    def encode(
        samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str | None = None
    ) -> bytes:
        """The bytes of a WAV or FLAC file."""
        import soundfile

        buffer = io.BytesIO()
        soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
        return buffer.getvalue()

    @staticmethod
    def write(root: Path, files: dict[str, bytes]) -> Path:
        """A folder with these files."""
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return root

    @staticmethod
    def pack(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
        """A tar archive with these files."""
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return path

    @classmethod
    def speech_commands(
        cls, words: Iterable[str] = ("yes", "no", "bed", "cat"), speakers: int = 12
    ) -> dict[str, bytes]:
        """The official layout: two speakers are listed for validation, two for the test."""
        files: dict[str, bytes] = {}
        lists: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
        for index, word in enumerate(words):
            for speaker in range(speakers):
                name = f"{word}/{speaker:08x}_nohash_0.wav"
                files[name] = cls.encode(cls.tone(index * 20 + speaker))
                if speaker < 2:
                    lists["validation_list.txt"].append(name)
                elif speaker < 4:
                    lists["testing_list.txt"].append(name)
        noise = np.random.default_rng(0).normal(0, 300, (2, 15 * RATE)).astype(np.int16)
        files["_background_noise_/tap.wav"] = cls.encode(noise[0])
        files["_background_noise_/bike.wav"] = cls.encode(noise[1])
        files["README.md"] = b"speech"
        files |= {name: ("\n".join(lines) + "\n").encode() for name, lines in lists.items()}
        return files

    @classmethod
    def test_set(cls, words: Iterable[str] = ("yes", "no")) -> dict[str, bytes]:
        """The layout of the official test archive, with speakers of its own."""
        files = {}
        for index, word in enumerate(words):
            for speaker in range(3):
                name = f"{word}/{0xA0 + speaker:08x}_nohash_0.wav"
                files[name] = cls.encode(cls.tone(index * 20 + speaker + 100))
        for speaker in range(3):
            name = f"_unknown_/bed_{0xA0 + speaker:08x}_nohash_0.wav"
            files[name] = cls.encode(cls.tone(speaker + 200))
            files[f"_silence_/{1000 + speaker}.wav"] = cls.encode(cls.tone(speaker) // 1000)
        return files


def shared_speakers(dataset: Dataset) -> set[str]:
    """Speakers that are heard in more than one split."""
    train, validation, test = (set(s.speakers) - {""} for s in dataset.splits.values())
    return train & validation | train & test | validation & test


@pytest.fixture
def files() -> type[Files]:
    return Files


@pytest.fixture
def shared() -> Callable[[Dataset], set[str]]:
    return shared_speakers


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., Request]:
    """What :func:`edgeprune.datasets.make` asks of every kind."""

    def build(**changes: Any) -> Request:
        fields = {
            "sample_rate_hz": RATE,
            "clip_samples": RATE,
            "seed": 1,
            "progress": SilentProgress(),
            "downloads": tmp_path / "downloads",
        }
        return Request(**(fields | changes))

    return build
