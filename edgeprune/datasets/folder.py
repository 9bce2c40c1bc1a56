"""Your own recordings: ``<label>/*.wav`` or ``.flac``, of any rate and number of channels.

A folder whose name is a keyword holds clips of it; ``Turn_On`` is the keyword ``turn on``. Every
other folder holds other words, ``_unknown_`` too. ``_silence_`` holds clips without speech,
``_background_noise_`` recordings of noise of any length, as does the folder ``data.background``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.assembly import Assembly, Clip, Request, split_of, synthesized_noise
from edgeprune.datasets.audio import (
    LONGEST_S,
    SHORTEST_S,
    Recording,
    decode,
    fit,
    is_audio_name,
    resample,
    to_pcm,
)
from edgeprune.datasets.dataset import SPLITS, Dataset, Pcm
from edgeprune.datasets.noise import divide
from edgeprune.datasets.sources import FolderSource, existing
from edgeprune.datasets.speech_commands import BACKGROUND
from edgeprune.errors import DatasetError
from edgeprune.recipe import SILENCE, UNKNOWN, FolderData

__all__ = ["background_names", "clip_names", "folder_source", "make"]

#: Hashed with each speaker: a split of Speech Commands, read as a folder, must not fall together.
_SALT = "folder/"
_TOO_FEW = (
    "clips of more speakers, or another validation_percent and test_percent; unknown_percent = 0"
    " or silence_percent = 0 leave a label out"
)


def make(data: FolderData, request: Request) -> Dataset:
    """Read the recordings.

    Raises:
        DatasetError: for a folder or a clip that is missing or damaged, a keyword that has no
            folder, a file name without a speaker, and too few clips.
    """
    source = folder_source(data.source, "data.source")
    assembly = Assembly(data.labels, request, skip=data.bad_clips == "skip")
    clips = _by_split(data, source, assembly)
    noise = _noise(data, source, assembly)
    for split in SPLITS:
        silence = [clip for clip in clips[split] if clip.label == SILENCE]
        speech = [clip for clip in clips[split] if clip.label != SILENCE]
        assembly.add_speech(split, speech, data.unknown_percent)
        if silence:
            assembly.add_drawn(split, silence, data.silence_percent)
        else:
            assembly.add_silence(split, noise[split], data.silence_percent)
    return assembly.build(noise["train"].values(), _converter(request), hint=_TOO_FEW)


def folder_source(path: str, key: str) -> FolderSource:
    """The folder that a key of the recipe names.

    Raises:
        DatasetError: when there is none.
    """
    root = existing(path, key)
    if not root.is_dir():
        raise DatasetError(
            "is not a folder",
            where=f"{key}: {path}",
            hint="data.kind = 'speech-commands' reads archives",
        )
    return FolderSource(root)


def clip_names(source: FolderSource) -> list[str]:
    """The audio files in the folders of a source, noise included."""
    return [name for name in source.names() if name.count("/") == 1 and is_audio_name(name)]


def background_names(source: FolderSource) -> list[str]:
    """The audio files right in a folder of background noise."""
    return [name for name in source.names() if "/" not in name and is_audio_name(name)]


def _by_split(data: FolderData, source: FolderSource, assembly: Assembly) -> dict[str, list[Clip]]:
    names = [name for name in clip_names(source) if not name.startswith(f"{BACKGROUND}/")]
    others = sum(name.count("/") == 1 for name in source.names()) - len(clip_names(source))
    if others:
        assembly.notes.append(f"files that are neither .wav nor .flac, and were ignored: {others}")
    if data.speaker_pattern is None:
        assembly.notes.append(
            "without data.speaker_pattern each file counts as a speaker of its own: the test may"
            " hear voices that training heard"
        )
    labels = {name: _label(name, data) for name in names}
    for keyword in data.keywords:
        if keyword not in labels.values():
            folders = sorted({name.partition("/")[0] for name in names})
            raise DatasetError(
                f"has no folder with clips of the keyword {keyword!r}",
                where=f"data.source: {source.place}",
                hint=f"it has {', '.join(folders) or 'no folders of clips at all'}",
            )
    clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
    for name, label in labels.items():
        try:
            speaker = _speaker(name, label, data.speaker_pattern)
        except DatasetError as error:
            assembly.skip_or_raise(source.where(name), error)
            continue
        owner = f"{_SALT}{speaker or name}"
        split = split_of(owner, data.validation_percent, data.test_percent)
        clips[split].append(Clip(label, speaker, name, source))
    return clips


def _label(name: str, data: FolderData) -> str:
    folder = name.partition("/")[0]
    word = folder.lower().replace("_", " ")
    for candidate in (folder, word):
        if candidate in (SILENCE, *data.keywords):
            return candidate
    return UNKNOWN


def _speaker(name: str, label: str, pattern: str | None) -> str:
    """Who speaks in a file; without a pattern the file itself, in silence nobody."""
    if label == SILENCE:
        return ""
    if pattern is None:
        return name
    found = re.search(pattern, PurePosixPath(name).name)
    if found is None or not found[1]:
        raise DatasetError(
            f"its name shows no speaker: it does not match {pattern!r}",
            hint="rename the file, or mend data.speaker_pattern",
        )
    return found[1]


def _noise(data: FolderData, source: FolderSource, assembly: Assembly) -> dict[str, dict[str, Pcm]]:
    """Background noise by split: recordings, cut in time, or synthesized."""
    if data.background is not None:
        holder = folder_source(data.background, "data.background")
        wanted = background_names(holder)
        if not wanted:
            raise DatasetError(
                "holds no .wav and no .flac", where=f"data.background: {data.background}"
            )
    else:
        holder = source
        wanted = [name for name in clip_names(source) if name.startswith(f"{BACKGROUND}/")]
    if not wanted:
        assembly.notes.append("there are no recordings of noise: it is synthesized")
        return synthesized_noise(assembly.request)
    recordings: dict[str, Pcm] = {}
    for name, content in holder.read(wanted):
        try:
            recording = decode(content, holder.where(name))
        except DatasetError as error:
            assembly.skip_or_raise(holder.where(name), error)
        else:
            mono = _mono(recording, assembly.request.sample_rate_hz)
            recordings[PurePosixPath(name).name] = to_pcm(mono)
    return divide(recordings, assembly.request.clip_samples)


def _converter(request: Request) -> Callable[[bytes, str], Pcm]:
    def convert(content: bytes, where: str) -> Pcm:
        recording = decode(content, where)
        if not SHORTEST_S <= recording.seconds <= LONGEST_S:
            raise DatasetError(
                f"is {recording.seconds:.3f} s long; a clip has from {SHORTEST_S:g} to"
                f" {LONGEST_S:g} s",
                where=where,
                hint="cut a recording into clips of one word; or set data.bad_clips = 'skip'",
            )
        return fit(to_pcm(_mono(recording, request.sample_rate_hz)), request.clip_samples)

    return convert


def _mono(recording: Recording, sample_rate_hz: int) -> NDArray[np.float32]:
    """The mean of the channels at the recipe's rate, float32 [samples], full scale 1.0."""
    samples = recording.samples
    scale = 1.0 / 32768.0 if samples.dtype == np.int16 else 1.0
    mono = (samples.mean(axis=1, dtype=np.float64) * scale).astype(np.float32)
    return resample(mono, recording.rate_hz, sample_rate_hz)
