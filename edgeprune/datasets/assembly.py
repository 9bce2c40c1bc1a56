"""From a plan of clips to a data set: drawing, decoding, counting, and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeprune.datasets.audio import to_pcm
from edgeprune.datasets.dataset import SPLITS, Dataset, Pcm, Split
from edgeprune.datasets.noise import KINDS, silence_clip, synthesize
from edgeprune.datasets.sources import Source
from edgeprune.errors import DatasetError
from edgeprune.progress import Progress
from edgeprune.recipe import SILENCE, UNKNOWN

__all__ = [
    "Assembly",
    "Clip",
    "Request",
    "generator",
    "split_of",
    "synthesized_noise",
    "wanted_count",
]

#: The fewest clips of a label that a split can do with.
_FEWEST = {"train": 4, "validation": 1, "test": 1}

#: Length of a synthesized noise recording of each split.
_NOISE_S = {"train": 20, "validation": 6, "test": 6}

_HASH_MODULUS = 2**27
_HASH_SCALE = 100.0 / (2**27 - 1)


@dataclass(frozen=True)
class Request:
    """What every kind of data set is asked for.

    Attributes:
        sample_rate_hz: of every clip.
        clip_samples: of every clip.
        seed: of every draw.
        progress: is told of long work.
        downloads: where archives by URL are kept.
        memo: the file in which digests are remembered; None hashes anew.
    """

    sample_rate_hz: int
    clip_samples: int
    seed: int
    progress: Progress
    downloads: Path
    memo: Path | None = None


@dataclass(frozen=True)
class Clip:
    """A clip that shall be in the data set.

    Attributes:
        label: its label.
        speaker: who speaks; ``""`` for nobody.
        name: its name, in its source where it has one.
        source: what holds its bytes; None for a clip that is made.
    """

    label: str
    speaker: str
    name: str
    source: Source | None = None


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator of its own for each purpose, so that one draw never moves another."""
    text = "\0".join(str(part) for part in purpose)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), "<u4")
    return np.random.default_rng([seed, *(int(word) for word in words)])


def split_of(speaker: str, validation_percent: float, test_percent: float) -> str:
    """The split that a speaker falls into by hash: adding clips never moves others.

    The rule of Speech Commands (``which_set`` in the README of v0.02, Warden 2018): SHA-1 of the
    speaker, modulo 2^27, times 100 / (2^27 - 1); below ``validation_percent`` is validation, the
    next ``test_percent`` are the test.
    """
    hashed = hashlib.sha1(speaker.encode("utf-8", "surrogateescape"), usedforsecurity=False)
    percent = (int(hashed.hexdigest(), 16) % _HASH_MODULUS) * _HASH_SCALE
    if percent < validation_percent:
        return "validation"
    return "test" if percent < validation_percent + test_percent else "train"


def wanted_count(keyword_clips: float, percent: float) -> int:
    """Clips of ``_unknown_`` or ``_silence_``: a share of the clips of one keyword, at least 1."""
    return max(round(keyword_clips * percent / 100.0), 1) if percent else 0


def synthesized_noise(request: Request) -> dict[str, dict[str, Pcm]]:
    """For each split one noise recording of each kind: some seconds, and a clip at least."""
    rate = request.sample_rate_hz
    return {
        split: {
            kind: to_pcm(
                synthesize(
                    kind,
                    max(_NOISE_S[split] * rate, request.clip_samples),
                    rate,
                    generator(request.seed, "noise", split, kind),
                )
            )
            for kind in KINDS
        }
        for split in SPLITS
    }


class Assembly:
    """Collects the clips of a data set, then builds it.

    Args:
        labels: as in :class:`~edgeprune.datasets.dataset.Dataset`.
        request: rate, length and seed.
        skip: leave damaged clips out, instead of raising at the first.

    Attributes:
        notes: sentences for the report; add to it freely.
    """

    def __init__(self, labels: tuple[str, ...], request: Request, *, skip: bool = False) -> None:
        self.labels = labels
        self.request = request
        self.skip = skip
        self.notes: list[str] = []
        self._planned: dict[str, list[tuple[Clip, Pcm | None]]] = {name: [] for name in SPLITS}
        self._skipped: list[tuple[str, str]] = []

    def add(self, split: str, clips: Iterable[Clip]) -> None:
        """Plan clips that lie in a source; those of a label that is not wanted are ignored."""
        self._planned[split] += [(clip, None) for clip in clips if clip.label in self.labels]

    def add_made(self, split: str, clip: Clip, pcm: Pcm) -> None:
        """Add a clip whose samples are there: int16 [clip_samples]."""
        self._planned[split].append((clip, pcm))

    def keyword_clips(self, split: str) -> float:
        """Clips of a keyword that are planned for a split, on average."""
        keywords = [label for label in self.labels if label not in (SILENCE, UNKNOWN)]
        clips = sum(clip.label in keywords for clip, _ in self._planned[split])
        return clips / len(keywords)

    def add_speech(self, split: str, clips: Sequence[Clip], unknown_percent: float) -> None:
        """Plan all clips of keywords, and of the other words a drawn share.

        Args:
            split: their split.
            clips: labelled with a keyword or ``_unknown_``.
            unknown_percent: the share; when there are fewer, all are taken, and a note says so.
        """
        self.add(split, (clip for clip in clips if clip.label != UNKNOWN))
        self.add_drawn(split, [clip for clip in clips if clip.label == UNKNOWN], unknown_percent)

    def add_drawn(self, split: str, clips: Sequence[Clip], percent: float) -> None:
        """Plan a drawn share of the clips of one label, relative to the clips of a keyword."""
        wanted = wanted_count(self.keyword_clips(split), percent)
        if 0 < len(clips) < wanted:
            self.notes.append(
                f"the {split} split has {len(clips)} clips of {clips[0].label}, where the recipe"
                f" asks for {wanted}: there are no more"
            )
        order = generator(self.request.seed, "drawn", split).permutation(len(clips))
        self.add(split, (clips[index] for index in order[:wanted]))

    def add_silence(self, split: str, parts: Mapping[str, Pcm], percent: float) -> None:
        """Add drawn stretches of noise recordings as clips without speech.

        Raises:
            DatasetError: when clips are wanted and there is no recording.
        """
        rng = generator(self.request.seed, "silence", split)
        for index in range(wanted_count(self.keyword_clips(split), percent)):
            name, pcm = silence_clip(parts, self.request.clip_samples, rng)
            self.add_made(split, Clip(SILENCE, "", f"{SILENCE}/{split}-{index}-{name}"), pcm)

    def skip_or_raise(self, where: str, error: DatasetError) -> None:
        """Note a damaged clip, or raise with what to do about it."""
        if not self.skip:
            hint = error.hint or "mend or delete the file, or set data.bad_clips = 'skip'"
            raise DatasetError(error.message, where=error.where or where, hint=hint) from error
        self._skipped.append((where, error.message))

    def build(
        self,
        noise: Iterable[Pcm],
        convert: Callable[[bytes, str], Pcm],
        *,
        hint: str,
    ) -> Dataset:
        """Read what lies in sources, and put everything together.

        Args:
            noise: background noise for training.
            convert: file content and its place to int16 [clip_samples]; raises DatasetError.
            hint: what to try when a label has too few clips.

        Raises:
            DatasetError: for a damaged clip (unless they are skipped), for a label with too few
                clips in a split, and for a speaker in two splits.
        """
        building = {split: self._allocate(split) for split in SPLITS}
        self._read(building, convert)
        splits = {split: rows.finish(self.labels) for split, rows in building.items()}
        dataset = Dataset(
            labels=self.labels,
            sample_rate_hz=self.request.sample_rate_hz,
            noise=list(noise),
            provenance=tuple(self.notes),
            skipped=tuple(sorted(self._skipped)),
            **splits,
        )
        _refuse_too_few(dataset, hint)
        _refuse_shared_speakers(dataset)
        return dataset

    def _allocate(self, split: str) -> _Rows:
        planned = self._planned[split]
        order = generator(self.request.seed, "order", split).permutation(len(planned))
        rows = _Rows([planned[index][0] for index in order], self.request.clip_samples)
        for row, index in enumerate(order):
            pcm = planned[index][1]
            if pcm is not None:
                rows.put(row, pcm)
        return rows

    def _read(self, building: Mapping[str, _Rows], convert: Callable[[bytes, str], Pcm]) -> None:
        places: dict[Source, dict[str, tuple[_Rows, int]]] = {}
        for rows in building.values():
            for row, clip in enumerate(rows.clips):
                if clip.source is not None:
                    places.setdefault(clip.source, {})[clip.name] = (rows, row)
        for source, names in places.items():
            with self.request.progress.task("read clips", len(names), "clips") as task:
                for name, content in source.read(names):
                    rows, row = names[name]
                    try:
                        rows.put(row, convert(content, source.where(name)))
                    except DatasetError as error:
                        self.skip_or_raise(source.where(name), error)
                    task.advance()


class _Rows:
    """One split under way: all rows exist, some are filled."""

    def __init__(self, clips: list[Clip], clip_samples: int) -> None:
        self.clips = clips
        self._pcm = np.zeros((len(clips), clip_samples), np.int16)
        self._filled = np.zeros(len(clips), np.bool_)

    def put(self, row: int, pcm: Pcm) -> None:
        self._pcm[row] = pcm
        self._filled[row] = True

    def finish(self, labels: Sequence[str]) -> Split:
        pcm = self._pcm if self._filled.all() else self._pcm[self._filled]
        kept = [clip for clip, filled in zip(self.clips, self._filled, strict=True) if filled]
        return Split(
            pcm=pcm,
            labels=np.array([labels.index(clip.label) for clip in kept], np.int16),
            speakers=[clip.speaker for clip in kept],
            names=[clip.name for clip in kept],
        )


def _refuse_too_few(dataset: Dataset, hint: str) -> None:
    for split, counts in dataset.counts().items():
        for label, count in reversed(counts.items()):  # keywords first: the others follow them
            if count < _FEWEST[split]:
                clips = "clip" if count == 1 else "clips"
                raise DatasetError(
                    f"the {split} split has {count} {clips} of {label!r}; at least"
                    f" {_FEWEST[split]} are needed",
                    where="data",
                    hint=hint,
                )


def _refuse_shared_speakers(dataset: Dataset) -> None:
    homes: dict[str, str] = {}
    for name, split in dataset.splits.items():
        for speaker in sorted(set(split.speakers) - {""}):
            home = homes.setdefault(speaker, name)
            if home != name:
                raise DatasetError(
                    f"speaker {speaker!r} is in the {home} split and in the {name} split",
                    where="data",
                    hint="each speaker must be in one split only",
                )
