"""The model that the field compares itself by: MLPerf Tiny's keyword spotting reference."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgeprune.datasets.download import Downloader, default_folder
from edgeprune.errors import DownloadError
from edgeprune.progress import Progress

__all__ = ["SHA256", "reference_model"]

SHA256 = "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae"
_COMMIT = "1afd2c9820f795965a6134facd0b4dfae41ef23f"
URL = (
    f"https://raw.githubusercontent.com/mlcommons/tiny/{_COMMIT}"
    "/benchmark/training/keyword_spotting/trained_models/kws_ref_model.tflite"
)

#: Folders beside which a copy is looked for before anything is downloaded.
_NEAR = (Path(), Path(".."))


def is_reference(content: bytes) -> bool:
    """Whether a file is the reference model."""
    return hashlib.sha256(content).hexdigest() == SHA256


def reference_model(progress: Progress) -> Path:
    """The model's file: a copy in a folder ``models`` nearby, or else a download that is kept.

    Raises:
        DownloadError: there is no copy and no connection.
    """
    for folder in _NEAR:
        for path in sorted([*folder.glob("models/*.tflite"), *folder.glob("*/models/*.tflite")]):
            if is_reference(path.read_bytes()):
                return path
    try:
        return Downloader(default_folder()).fetch(URL, SHA256, progress)
    except DownloadError as error:
        error.hint = "give a model with --model FILE.tflite, or put a copy into models/"
        raise
