"""Speech Commands v0.02 (Warden 2018), and data sets in its layout.

``<word>/<speaker>_nohash_<n>.wav`` with ``_background_noise_``, ``validation_list.txt`` and
``testing_list.txt``, as a folder, an archive or a URL; and the separate test set, whose folders are
the labels themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from edgeprune.datasets.assembly import Assembly, Clip, Request, split_of, synthesized_noise
from edgeprune.datasets.audio import SHORTEST_S, Recording, decode, fit, is_audio_name, to_pcm
from edgeprune.datasets.dataset import SPLITS, Dataset, Pcm
from edgeprune.datasets.digest import Memo, file_digest
from edgeprune.datasets.download import Downloader, is_url
from edgeprune.datasets.noise import divide
from edgeprune.datasets.sources import Source, existing, open_source
from edgeprune.errors import DatasetError
from edgeprune.recipe import SILENCE, UNKNOWN, SpeechCommandsData

__all__ = ["BACKGROUND", "LISTS", "make", "used_names"]

#: The folder of background noise.
BACKGROUND = "_background_noise_"
#: The lists of clips by split.
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}

_LONGEST_S = 1.0
_FOREIGN = re.compile(r"(?:[^_]+_)?([0-9a-f]{8})")
_TOO_FEW = (
    "more clips, other keywords, or split = 'hash' with other validation_percent and test_percent;"
    " unknown_percent = 0 or silence_percent = 0 leave a label out"
)


def make(data: SpeechCommandsData, request: Request) -> Dataset:
    """Read the data set.

    Raises:
        DatasetError: for an archive or a clip that is missing or damaged, a keyword that has no
            folder, and too few clips.
        DownloadError: for a URL that does not deliver.
    """
    source = _open(data.source, data.sha256, "source", request)
    names = used_names(source)
    words = _by_folder(name for name in names if "/" in name and not name.startswith("_"))
    _refuse_missing_keywords(data.keywords, words, source)
    assembly = Assembly(data.labels, request, skip=data.bad_clips == "skip")

    small = _small_files(source, names, request)
    clips = _by_split(data, source, words, small, set(names), assembly.notes)
    test = None
    if data.test_source is not None:
        test = _open(data.test_source, data.test_sha256, "test_source", request)
        clips["test"] = _test_clips(data, test, set(words), assembly.notes)
    _drop_shared_speakers(clips, assembly.notes)
    for split in SPLITS:
        whole = split == "test" and test is not None
        speech = [clip for clip in clips[split] if clip.label != SILENCE]
        if whole:
            assembly.add(split, speech)
        else:
            assembly.add_speech(split, speech, data.unknown_percent)

    noise = _noise(source, small, assembly)
    for split in SPLITS:
        silence = [clip for clip in clips[split] if clip.label == SILENCE]
        if silence:
            assembly.add(split, silence)
        else:
            assembly.add_silence(split, noise[split], data.silence_percent)
    return assembly.build(noise["train"].values(), _converter(request), hint=_TOO_FEW)


def used_names(source: Source) -> list[str]:
    """The files of a source that decide what the data set is: clips, noise and lists."""
    return [
        name
        for name in source.names()
        if name in LISTS.values() or (name.count("/") == 1 and is_audio_name(name))
    ]


def _open(source: str, sha256: str | None, key: str, request: Request) -> Source:
    if is_url(source):
        downloader = Downloader(request.downloads)
        path = downloader.fetch(source, sha256 or "", request.progress)
        return open_source(path, request.progress)
    path = existing(source, f"data.{key}")
    if sha256 is not None:
        _compare(path, sha256, request)
    return open_source(path, request.progress)


def _compare(path: Path, sha256: str, request: Request) -> None:
    if path.is_dir():
        raise DatasetError(
            "is a folder, but the recipe gives the SHA-256 of an archive",
            where=str(path),
            hint="leave the SHA-256 out, or give the archive",
        )
    memo = Memo(request.memo) if request.memo else None
    found = file_digest(path, memo, request.progress)
    if found != sha256:
        raise DatasetError(
            f"its SHA-256 is {found}, the recipe expects {sha256}",
            where=str(path),
            hint="get the archive again, or mend the recipe",
        )


def _small_files(source: Source, names: list[str], request: Request) -> dict[str, bytes]:
    """The lists and the background noise, in one pass over an archive."""
    wanted = [n for n in names if n in LISTS.values() or n.startswith(f"{BACKGROUND}/")]
    files = {}
    with request.progress.task("read noise and lists", len(wanted), "files") as task:
        for name, content in source.read(wanted):
            files[name] = content
            task.advance()
    return files


def _by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name.partition("/")[0], []).append(name)
    return folders


def _refuse_missing_keywords(
    keywords: Iterable[str], folders: dict[str, list[str]], source: Source
) -> None:
    for keyword in keywords:
        if keyword not in folders:
            known = ", ".join(sorted(folders)) or "no folders of clips at all"
            raise DatasetError(
                f"has no folder with clips of the keyword {keyword!r}",
                where=source.place,
                hint=f"it has {known}",
            )


def _speaker(name: str, words: set[str]) -> str:
    """Who speaks: ``yes/0a1b2c3d_nohash_0.wav`` and ``_unknown_/bed_0a1b2c3d_nohash_0.wav``."""
    folder, _, file = name.partition("/")
    speaker = re.sub(r"_nohash_.*$", "", PurePosixPath(file).stem)
    if folder == UNKNOWN:
        if match := _FOREIGN.fullmatch(speaker):
            return match[1]
        word, _, rest = speaker.partition("_")
        return rest if rest and word in words else speaker
    return speaker


def _by_split(
    data: SpeechCommandsData,
    source: Source,
    words: dict[str, list[str]],
    small: dict[str, bytes],
    names: set[str],
    notes: list[str],
) -> dict[str, list[Clip]]:
    find = _listed(source, small, names, notes) if data.split == "lists" else _hashed(data)
    clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
    for word, members in words.items():
        label = word if word in data.keywords else UNKNOWN
        for name in members:
            speaker = _speaker(name, set())
            clips[find(name, speaker)].append(Clip(label, speaker, name, source))
    return clips


def _hashed(data: SpeechCommandsData) -> Callable[[str, str], str]:
    return lambda _, speaker: split_of(speaker, data.validation_percent, data.test_percent)


def _listed(
    source: Source, small: dict[str, bytes], names: set[str], notes: list[str]
) -> Callable[[str, str], str]:
    for file in LISTS.values():
        if file not in small:
            raise DatasetError(
                f"has no {file}",
                where=source.place,
                hint="set data.split = 'hash', which needs no lists",
            )
    listed: dict[str, str] = {}
    for split, file in LISTS.items():
        try:
            lines = small[file].decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise DatasetError("is not UTF-8 text", where=source.where(file)) from error
        entries = {line.strip() for line in lines if line.strip()}
        listed |= dict.fromkeys(entries, split)
        absent = len(entries - names)
        if absent:
            notes.append(f"clips in {file} that are not there: {absent} of {len(entries)}")
    return lambda name, _: listed.get(name, "train")


def _test_clips(
    data: SpeechCommandsData, source: Source, words: set[str], notes: list[str]
) -> list[Clip]:
    """All clips of the separate test set that have a label of the recipe."""
    folders = _by_folder(name for name in used_names(source) if "/" in name)
    _refuse_missing_keywords(data.keywords, folders, source)
    others = sorted(set(folders) - {*data.keywords, SILENCE, UNKNOWN})
    if others:
        notes.append(f"folders of the test archive that are left out: {', '.join(others)}")
    if SILENCE in folders and SILENCE in data.labels:
        notes.append(
            f"the test's {SILENCE} clips are the test archive's; where they were cut from the same"
            " background recordings as the training noise (the official ones were), they flatter"
        )
    return [
        Clip(label, "" if label == SILENCE else _speaker(name, words), name, source)
        for label in data.labels
        for name in folders.get(label, [])
    ]


def _drop_shared_speakers(clips: dict[str, list[Clip]], notes: list[str]) -> None:
    """Keep every speaker in one split: test before validation before training.

    The test stays whole, so that its accuracy can be compared with published ones.
    """
    taken: set[str] = set()
    for split in reversed(SPLITS):
        kept = [clip for clip in clips[split] if clip.speaker not in taken]
        dropped = {clip.speaker for clip in clips[split]} & taken
        if dropped:
            notes.append(
                f"clips dropped from the {split} split: {len(clips[split]) - len(kept)}, since a"
                f" later split has their speakers ({len(dropped)})"
            )
        clips[split] = kept
        taken |= {clip.speaker for clip in kept if clip.speaker}


def _noise(
    source: Source, small: dict[str, bytes], assembly: Assembly
) -> dict[str, dict[str, Pcm]]:
    """Background noise by split: the source's, cut in time, or synthesized."""
    wanted = sorted(set(small) - set(LISTS.values()))
    if not wanted:
        assembly.notes.append(f"there is no {BACKGROUND}: background noise is synthesized")
        return synthesized_noise(assembly.request)
    recordings: dict[str, Pcm] = {}
    for name in wanted:
        try:
            recording = decode(small[name], source.where(name))
            _refuse_foreign(recording, assembly.request.sample_rate_hz, source.where(name))
            recordings[PurePosixPath(name).stem] = to_pcm(recording.samples[:, 0])
        except DatasetError as error:
            assembly.skip_or_raise(source.where(name), error)
    return divide(recordings, assembly.request.clip_samples)


def _converter(request: Request) -> Callable[[bytes, str], Pcm]:
    longest = max(_LONGEST_S, request.clip_samples / request.sample_rate_hz)

    def convert(content: bytes, where: str) -> Pcm:
        recording = decode(content, where)
        _refuse_foreign(recording, request.sample_rate_hz, where)
        if not SHORTEST_S <= recording.seconds <= longest:
            raise DatasetError(
                f"is {recording.seconds:.3f} s long; a clip of this layout has from {SHORTEST_S:g}"
                f" to {longest:g} s",
                where=where,
            )
        return fit(to_pcm(recording.samples[:, 0]), request.clip_samples)

    return convert


def _refuse_foreign(recording: Recording, sample_rate_hz: int, where: str) -> None:
    if recording.rate_hz != sample_rate_hz:
        raise DatasetError(
            f"has {recording.rate_hz} Hz, the recipe's front-end {sample_rate_hz} Hz",
            where=where,
            hint="data.kind = 'folder' resamples; or change frontend.sample_rate_hz",
        )
    if recording.channels != 1:
        raise DatasetError(
            f"has {recording.channels} channels; clips of this layout are mono",
            where=where,
            hint="data.kind = 'folder' mixes channels",
        )
