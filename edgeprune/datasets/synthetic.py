"""Synthetic speech: any keywords, spoken by eSpeak NG in many voices, over synthesized noise.

No voice of the test is heard in training, nor one that sounds like it. Pitch, its movement, speed,
volume, emphasis and intonation vary from clip to clip; so do the level, the place of the word in
the clip, and the noise under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.assembly import (
    Assembly,
    Clip,
    Request,
    generator,
    synthesized_noise,
    wanted_count,
)
from edgeprune.datasets.audio import level_db, resample, scale_to_level, to_pcm
from edgeprune.datasets.dataset import SPLITS, Dataset, Pcm
from edgeprune.datasets.espeak import RATE_HZ, Utterance, speak, version
from edgeprune.datasets.noise import babble
from edgeprune.datasets.voices import deal
from edgeprune.errors import DatasetError
from edgeprune.recipe import UNKNOWN, SyntheticData

__all__ = ["make"]

#: What is drawn for each utterance: the lowest and the highest value.
_RATES, _PITCHES, _RANGES = (130, 210), (30, 75), (20, 85)
_EMPHASES = ("none", "reduced", "moderate", "strong")
_ENDINGS = (".", "!", "?", ",")
#: What is drawn for each clip, in dB: the word's level below full scale, and the noise under it.
_LEVELS_DB, _SNRS_DB = (-35.0, -12.0), (12.0, 45.0)
#: The noise of the microphone itself, under everything: about one step of 16 bits.
_HISS = 1.0 / 32768.0
#: Utterances of other words that a split's babble is mixed of.
_BABBLE_VOICES = 24


@dataclass(frozen=True)
class _Word:
    """A word that becomes a clip, or with label "" a voice in the babble."""

    split: str
    label: str
    word: str
    index: int


def make(data: SyntheticData, request: Request) -> Dataset:
    """Synthesize the data set.

    Raises:
        DatasetError: for a word that does not fit in a clip.
        MissingExtraError: without ``espeakng-loader`` or ``soxr``.
        ProcessError: when the synthesizer fails.
    """
    words = [word for split in SPLITS for word in _words(data, split, request.seed)]
    voices = deal(generator(request.seed, "voices"))
    utterances = [_utterance(word, voices[word.split], request) for word in words]
    assembly = Assembly(data.labels, request)
    assembly.notes.append(
        f"the speech is synthetic (eSpeak NG, espeakng-loader {version()}), not people:"
        " the accuracy says little about people"
    )
    assembly.notes.append(
        f"{len(voices['train'])} voices in training, {len(voices['validation'])} in validation,"
        f" {len(voices['test'])} in the test; none in two, nor one that sounds like it"
    )
    noise = synthesized_noise(request)
    chatter: dict[str, list[NDArray[np.float32]]] = {split: [] for split in SPLITS}
    with closing(speak(utterances, request.progress)) as spoken:
        for word, utterance, pcm in zip(words, utterances, spoken, strict=True):
            heard = resample(pcm.astype(np.float32) / 32768.0, RATE_HZ, request.sample_rate_hz)
            if not word.label:
                chatter[word.split].append(heard)
                continue
            _refuse_unfit(heard, word, data, request)
            name = f"{word.label}/{word.word}-{word.split}-{word.index}"
            clip = Clip(word.label, utterance.speaker, name)
            rng = generator(request.seed, "clip", name)
            assembly.add_made(word.split, clip, _mix(heard, noise[word.split], request, rng))
    for split in SPLITS:
        samples = max(map(len, noise[split].values()))
        rng = generator(request.seed, "babble", split)
        noise[split]["babble"] = to_pcm(babble(chatter[split], samples, rng))
        assembly.add_silence(split, noise[split], data.silence_percent)
    return assembly.build(noise["train"].values(), _nothing_to_read, hint="more clips")


def _nothing_to_read(content: bytes, where: str) -> Pcm:
    raise RuntimeError(f"synthetic clips lie in no source: {where}")


def _words(data: SyntheticData, split: str, seed: int) -> list[_Word]:
    """The clips of a split: all keywords alike, the other words in turn, and the babble."""
    counts = {
        "train": data.train_clips,
        "validation": data.validation_clips,
        "test": data.test_clips,
    }
    rng = generator(seed, "words", split)
    others = [data.unknown_words[i] for i in rng.permutation(len(data.unknown_words))]
    unknown = wanted_count(counts[split], data.unknown_percent)
    keywords = [
        _Word(split, word, word, index) for word in data.keywords for index in range(counts[split])
    ]
    unknowns = [
        _Word(split, UNKNOWN, others[index % len(others)], index) for index in range(unknown)
    ]
    voices = [
        _Word(split, "", others[index % len(others)], index) for index in range(_BABBLE_VOICES)
    ]
    return [*keywords, *unknowns, *voices]


def _utterance(word: _Word, speakers: Sequence[str], request: Request) -> Utterance:
    """How a word is said; the speakers of a split take turns, beginning anywhere."""
    rng = generator(request.seed, "utterance", word.split, word.label, word.word, word.index)
    first = int(generator(request.seed, "turns", word.split, word.label).integers(len(speakers)))
    emphasis, ending = rng.choice(_EMPHASES), rng.choice(_ENDINGS)
    return Utterance(
        text=f"<emphasis level='{emphasis}'>{word.word}{ending}</emphasis>",
        speaker=speakers[(first + word.index) % len(speakers)],
        rate=int(rng.integers(*_RATES)),
        pitch=int(rng.integers(*_PITCHES)),
        range=int(rng.integers(*_RANGES)),
        volume=100,
        longest=request.clip_samples * RATE_HZ // request.sample_rate_hz - 1,
    )


def _refuse_unfit(
    heard: NDArray[np.float32], word: _Word, data: SyntheticData, request: Request
) -> None:
    key = "keywords" if word.label in data.keywords else "unknown_words"
    if len(heard) == 0:
        raise DatasetError(
            f"eSpeak NG says nothing for {word.word!r}",
            where=f"data.{key}",
            hint="spell it otherwise",
        )
    if len(heard) > request.clip_samples:
        rate = request.sample_rate_hz
        raise DatasetError(
            f"{word.word!r} takes {len(heard) / rate:.2f} s even when spoken fast; a clip has"
            f" {request.clip_samples / rate:g} s",
            where=f"data.{key}",
            hint=f"--set frontend.clip_ms={-(-len(heard) * 1100 // rate // 100) * 100}, or a"
            " shorter word",
        )


def _mix(
    heard: NDArray[np.float32],
    noise: dict[str, Pcm],
    request: Request,
    rng: np.random.Generator,
) -> Pcm:
    """Put a word anywhere into a clip, and a stretch of the split's noise under it."""
    word = scale_to_level(heard, rng.uniform(*_LEVELS_DB))
    bed = noise[sorted(noise)[rng.integers(len(noise))]]
    start = int(rng.integers(len(bed) - request.clip_samples + 1))
    stretch = bed[start : start + request.clip_samples].astype(np.float32) / 32768.0
    clip = scale_to_level(stretch, level_db(word) - rng.uniform(*_SNRS_DB))
    place = int(rng.integers(request.clip_samples - len(word) + 1))
    clip[place : place + len(word)] += word
    hiss = rng.standard_normal(len(clip), np.float32) * np.float32(_HISS)
    return to_pcm(clip + hiss)
