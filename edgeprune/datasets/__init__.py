"""Clips and labels: synthesized, from Speech Commands, or from a folder of recordings."""

from __future__ import annotations

from pathlib import Path

from edgeprune.datasets import espeak, folder, speech_commands, synthetic
from edgeprune.datasets.assembly import Request
from edgeprune.datasets.dataset import Dataset, Split
from edgeprune.datasets.digest import Memo, file_digest, files_digest
from edgeprune.datasets.download import default_folder, is_url
from edgeprune.datasets.sources import FolderSource, existing
from edgeprune.progress import Progress, SilentProgress
from edgeprune.recipe import Data, FolderData, SpeechCommandsData, SyntheticData

__all__ = ["Dataset", "Split", "make", "source_fingerprint"]


def make(
    data: Data,
    *,
    sample_rate_hz: int,
    clip_samples: int,
    seed: int,
    progress: Progress | None = None,
    downloads: Path | None = None,
    memo: Path | None = None,
) -> Dataset:
    """Make the data set that a recipe declares; the same recipe and sources give the same bytes.

    Args:
        data: the recipe's ``data``.
        sample_rate_hz: of every clip.
        clip_samples: samples in every clip.
        seed: of everything that is drawn.
        progress: is told of long work.
        downloads: where archives by URL are kept; by default
            :func:`edgeprune.datasets.download.default_folder`.
        memo: a JSON file in which the SHA-256 of local archives is remembered.

    Raises:
        DatasetError: for what is missing, damaged, or too little: its file and what to try.
        DownloadError: for a URL that does not deliver what the recipe expects.
        MissingExtraError: without the packages of the extra ``train``.
        ProcessError: when the synthesizer fails.
    """
    request = Request(
        sample_rate_hz=sample_rate_hz,
        clip_samples=clip_samples,
        seed=seed,
        progress=progress or SilentProgress(),
        downloads=downloads or default_folder(),
        memo=memo,
    )
    match data:
        case SyntheticData():
            return synthetic.make(data, request)
        case SpeechCommandsData():
            return speech_commands.make(data, request)
        case FolderData():
            return folder.make(data, request)


def source_fingerprint(
    data: Data, *, memo: Path | None = None, progress: Progress | None = None
) -> str:
    """What the source of a data set holds, in one line: it changes when the content does.

    Args:
        data: the recipe's ``data``.
        memo: a JSON file in which digests are remembered by path, size and time of modification,
            so that an unchanged source is not read again.
        progress: is told of what is read.

    Returns:
        For archives their SHA-256 (of a URL the one that the recipe pins: nothing is downloaded);
        for folders a SHA-256 over relative paths and contents; for synthetic speech the series
        of the synthesizer, which need not be installed.

    Raises:
        DatasetError: when a source is missing or can't be read.
    """
    known = Memo(memo) if memo is not None else None
    told = progress or SilentProgress()
    match data:
        case SyntheticData():
            return espeak.SERIES
        case SpeechCommandsData():
            parts = [_archive_or_folder(data.source, data.sha256, "source", known, told)]
            if data.test_source is not None:
                parts.append(
                    _archive_or_folder(
                        data.test_source, data.test_sha256, "test_source", known, told
                    )
                )
            return ", test ".join(parts)
        case FolderData():
            source = folder.folder_source(data.source, "data.source")
            parts = [_folder(source, folder.clip_names(source), known, told)]
            if data.background is not None:
                background = folder.folder_source(data.background, "data.background")
                names = folder.background_names(background)
                parts.append(_folder(background, names, known, told))
            return ", background ".join(parts)


def _archive_or_folder(
    source: str, sha256: str | None, key: str, memo: Memo | None, progress: Progress
) -> str:
    if is_url(source):
        return f"archive {sha256}"
    path = existing(source, f"data.{key}")
    if path.is_dir():
        contents = FolderSource(path)
        return _folder(contents, speech_commands.used_names(contents), memo, progress)
    return f"archive {file_digest(path, memo, progress)}"


def _folder(source: FolderSource, names: list[str], memo: Memo | None, progress: Progress) -> str:
    return f"folder {files_digest(source.root, names, memo, progress)}"
