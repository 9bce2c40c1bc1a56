"""The data set as it is stored: clips, labels, speakers, background noise, and what to say of it.

Loading needs NumPy only, and maps the samples into memory instead of reading them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import StoreError

__all__ = ["SPLITS", "Dataset", "Pcm", "Split"]

#: 16-bit samples, of any shape.
Pcm = NDArray[np.int16]

#: The names of the splits.
SPLITS = ("train", "validation", "test")

_FORMAT = 1
_INDEX = "dataset.json"
_NOISE = "noise.npy"


@dataclass(frozen=True)
class Split:
    """Clips of one split, in a drawn order: any head of it is a fair sample.

    Attributes:
        pcm: int16 [clips, samples], mono.
        labels: int16 [clips], indices into :attr:`Dataset.labels`.
        speakers: who speaks in each clip; ``""`` where nobody does.
        names: where each clip comes from, for reports and errors.
    """

    pcm: Pcm
    labels: Pcm
    speakers: list[str]
    names: list[str]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Everything that training and evaluation hear.

    Attributes:
        labels: the labels, in the order of the network's scores.
        sample_rate_hz: of every clip and of the noise.
        train: clips to train on.
        validation: clips to choose the best weights by.
        test: clips that the accuracy is measured on.
        noise: recordings of background noise, int16 [samples] of any length, for training only.
        provenance: sentences for the report: what the clips are, and what they are not.
        skipped: damaged clips that were left out: file and reason.
    """

    labels: tuple[str, ...]
    sample_rate_hz: int
    train: Split
    validation: Split
    test: Split
    noise: list[Pcm]
    provenance: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name, in the order of :data:`SPLITS`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def clip_samples(self) -> int:
        """Samples in a clip."""
        return int(self.train.pcm.shape[1])

    def counts(self) -> dict[str, dict[str, int]]:
        """Clips by split and label."""
        found = {}
        for name, split in self.splits.items():
            counter = Counter(split.labels.tolist())
            found[name] = {label: counter[index] for index, label in enumerate(self.labels)}
        return found

    def save(self, folder: Path) -> None:
        """Write ``dataset.json`` and ``.npy`` files; the same data set gives the same bytes.

        Args:
            folder: made when it does not exist. The index is written last.
        """
        folder.mkdir(parents=True, exist_ok=True)
        index = {
            "format": _FORMAT,
            "labels": self.labels,
            "sample_rate_hz": self.sample_rate_hz,
            "clip_samples": self.clip_samples,
            "provenance": self.provenance,
            "skipped": self.skipped,
            "noise": [len(recording) for recording in self.noise],
            "splits": {
                name: {"speakers": split.speakers, "names": split.names}
                for name, split in self.splits.items()
            },
        }
        for name, split in self.splits.items():
            _write_array(_pcm_file(folder, name), split.pcm)
            _write_array(_labels_file(folder, name), split.labels)
        _write_array(folder / _NOISE, np.concatenate([*self.noise, np.empty(0, np.int16)]))
        text = json.dumps(index, indent=1, sort_keys=True)
        (folder / _INDEX).write_text(text + "\n", encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read what :meth:`save` wrote; samples stay on disk until they are used.

        Raises:
            StoreError: when a file is missing, damaged, or of another version.
        """
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="ascii"))
            return _restore(folder, index)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"is not a whole data set: {_reason(error)}",
                where=str(folder),
                hint="delete this folder and run `invoke data` again",
            ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}"
    if isinstance(error, KeyError):
        return f"{_INDEX} has no {error}"
    return str(error) or type(error).__name__


def _pcm_file(folder: Path, split: str) -> Path:
    return folder / f"{split}-pcm.npy"


def _labels_file(folder: Path, split: str) -> Path:
    return folder / f"{split}-labels.npy"


def _write_array(path: Path, array: Pcm) -> None:
    """Write beside and rename, since ``array`` may be a map of the very file at ``path``."""
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        np.save(file, np.ascontiguousarray(array, dtype=np.int16), allow_pickle=False)
    beside.replace(path)


def _read_array(path: Path, shape: tuple[int, ...]) -> Pcm:
    mapped: Literal["r"] | None = "r" if math.prod(shape) else None
    try:
        array: Pcm = np.load(path, mmap_mode=mapped, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    if array.dtype != np.int16 or array.shape != shape:
        raise ValueError(
            f"{path.name} holds {array.dtype} {list(array.shape)}, not int16 {list(shape)}"
        )
    return array


def _restore(folder: Path, index: dict[str, Any]) -> Dataset:
    if index["format"] != _FORMAT:
        raise ValueError(f"its format is {index['format']!r}; this version reads {_FORMAT}")
    labels = _strings(index["labels"], "labels")
    samples, rate = index["clip_samples"], index["sample_rate_hz"]
    if not (isinstance(samples, int) and isinstance(rate, int) and samples > 0 and rate > 0):
        raise ValueError("clip_samples or sample_rate_hz is not a whole number")
    splits = {
        name: _restore_split(folder, name, index["splits"][name], samples, len(labels))
        for name in SPLITS
    }
    return Dataset(
        labels=tuple(labels),
        sample_rate_hz=rate,
        noise=_restore_noise(folder, index["noise"]),
        provenance=tuple(_strings(index["provenance"], "provenance")),
        skipped=tuple((str(file), str(reason)) for file, reason in index["skipped"]),
        **splits,
    )


def _restore_split(
    folder: Path, name: str, index: dict[str, Any], samples: int, labels: int
) -> Split:
    names = _strings(index["names"], "names")
    speakers = _strings(index["speakers"], "speakers")
    if len(names) != len(speakers):
        raise ValueError(f"{name} has {len(names)} names and {len(speakers)} speakers")
    pcm = _read_array(_pcm_file(folder, name), (len(names), samples))
    stored = _labels_file(folder, name)
    indices = np.array(_read_array(stored, (len(names),)))
    if indices.size and not 0 <= indices.min() <= indices.max() < labels:
        raise ValueError(f"{stored.name} holds a label outside of 0 to {labels - 1}")
    return Split(pcm, indices, speakers, names)


def _restore_noise(folder: Path, lengths: list[int]) -> list[Pcm]:
    if not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise ValueError("noise has a length that is not a whole number")
    joined = _read_array(folder / _NOISE, (sum(lengths),))
    return np.split(joined, np.cumsum(lengths)[:-1]) if lengths else []


def _strings(values: object, key: str) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} is not a list of strings")
    return values
