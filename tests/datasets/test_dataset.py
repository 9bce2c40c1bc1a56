"""A data set on disk: whole, memory-mapped, or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeprune.datasets import Dataset, Split
from edgeprune.errors import StoreError

FILES = (
    "dataset.json",
    "noise.npy",
    "train-pcm.npy",
    "train-labels.npy",
    "validation-pcm.npy",
    "validation-labels.npy",
    "test-pcm.npy",
    "test-labels.npy",
)


def _split(clips: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    return Split(
        pcm=rng.integers(-32768, 32768, (clips, 50)).astype(np.int16),
        labels=rng.integers(0, 3, clips).astype(np.int16),
        speakers=[f"speaker {seed} {i}" if i % 3 else "" for i in range(clips)],
        names=[f"yes/{i} ü\udcff.wav" for i in range(clips)],
    )


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(
        labels=("_silence_", "yes", "no"),
        sample_rate_hz=16_000,
        train=_split(9, 0),
        validation=_split(4, 1),
        test=_split(3, 2),
        noise=[np.arange(70, dtype=np.int16), np.arange(5, dtype=np.int16)],
        provenance=("made up",),
        skipped=(("a.wav", "is empty"),),
    )


def _same(one: Dataset, other: Dataset) -> bool:
    plain = ("labels", "sample_rate_hz", "provenance", "skipped")
    return (
        all(getattr(one, key) == getattr(other, key) for key in plain)
        and len(one.noise) == len(other.noise)
        and all(np.array_equal(a, b) for a, b in zip(one.noise, other.noise, strict=True))
        and all(
            np.array_equal(a.pcm, b.pcm)
            and np.array_equal(a.labels, b.labels)
            and (a.speakers, a.names) == (b.speakers, b.names)
            for a, b in zip(one.splits.values(), other.splits.values(), strict=True)
        )
    )


def test_what_is_saved_is_loaded(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path / "new" / "folder")
    loaded = Dataset.load(tmp_path / "new" / "folder")
    assert _same(loaded, dataset)
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == set(FILES)


def test_samples_are_mapped_and_can_not_be_changed(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    pcm = Dataset.load(tmp_path).train.pcm
    assert isinstance(pcm, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pcm[0, 0] = 1


def test_a_loaded_data_set_can_be_saved_over_itself(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    Dataset.load(tmp_path).save(tmp_path)
    assert _same(Dataset.load(tmp_path), dataset)


def test_the_same_data_set_gives_the_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path / "a")
    dataset.save(tmp_path / "b")
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_empty_splits_and_no_noise_are_kept(dataset: Dataset, tmp_path: Path) -> None:
    empty = Split(np.empty((0, 50), np.int16), np.empty(0, np.int16), [], [])
    bare = Dataset(dataset.labels, 8_000, dataset.train, empty, empty, noise=[])
    bare.save(tmp_path)
    assert _same(Dataset.load(tmp_path), bare)


def test_counts_are_by_split_and_label(dataset: Dataset) -> None:
    counts = dataset.counts()
    assert list(counts) == ["train", "validation", "test"]
    assert sum(counts["train"].values()) == len(dataset.train) == 9
    assert counts["test"]["no"] == int((dataset.test.labels == 2).sum())


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "shortened", "garbage"])
def test_a_damaged_file_is_refused(
    dataset: Dataset, tmp_path: Path, name: str, damage: str
) -> None:
    dataset.save(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        new = {"empty": b"", "shortened": content[:-5], "garbage": b"\x80\x04garbage" * 20}
        path.write_bytes(new[damage])
    with pytest.raises(StoreError, match="not a whole data set") as caught:
        Dataset.load(tmp_path)
    assert caught.value.where == str(tmp_path)
    if damage == "missing":
        assert name in caught.value.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda index: index.update(format=99), "format is 99"),
        (lambda index: index.pop("labels"), "labels"),
        (lambda index: index.update(labels="yes"), "labels is not a list"),
        (lambda index: index.update(labels=["yes"]), "label outside of 0 to 0"),
        (lambda index: index.update(clip_samples=49), "not int16"),
        (lambda index: index.update(noise=[70, 6]), "noise.npy"),
        (lambda index: index["splits"]["test"]["speakers"].pop(), "3 names and 2 speakers"),
        (lambda index: index.pop("splits"), "splits"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(
    dataset: Dataset, tmp_path: Path, change: Callable[[dict[str, object]], object], said: str
) -> None:
    dataset.save(tmp_path)
    index = json.loads((tmp_path / "dataset.json").read_text())
    change(index)
    (tmp_path / "dataset.json").write_text(json.dumps(index))
    with pytest.raises(StoreError, match=said):
        Dataset.load(tmp_path)


def test_pickles_are_never_loaded(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    np.save(tmp_path / "train-labels.npy", np.array([{}] * 9, object), allow_pickle=True)
    with pytest.raises(StoreError, match=r"train-labels\.npy"):
        Dataset.load(tmp_path)


def test_loading_needs_no_extra(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    program = (
        "import sys\n"
        "for name in ('soundfile', 'librosa', 'soxr', 'espeakng_loader', 'tensorflow'):\n"
        "    sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from edgeprune.datasets import Dataset\n"
        "print(len(Dataset.load(Path(sys.argv[1])).train))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "9"
