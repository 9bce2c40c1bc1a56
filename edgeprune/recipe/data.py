"""``[data]``: where clips come from."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgeprune.declaration import Declaration, option

__all__ = ["SILENCE", "UNKNOWN", "Data", "FolderData", "SpeechCommandsData", "SyntheticData"]

#: The labels that every data set may have besides its keywords, in this order, before them.
SILENCE = "_silence_"
UNKNOWN = "_unknown_"

_OTHER_WORDS = (
    "bed",
    "bird",
    "cat",
    "dog",
    "eight",
    "five",
    "four",
    "happy",
    "house",
    "marvin",
    "nine",
    "one",
    "seven",
    "sheila",
    "six",
    "three",
    "tree",
    "two",
    "wow",
    "zero",
    "back",
    "ward",
    "hello",
    "music",
    "water",
    "people",
    "table",
    "window",
)

_Word = Annotated[str, Field(pattern=r"^[a-z][a-z' -]*$", max_length=40)]


class _AnyData(Declaration):
    """What every kind of data set has."""

    keywords: tuple[_Word, ...] = option(
        "words to spot, in the order of their scores", min_length=1, max_length=64
    )
    unknown_percent: float = option(
        "clips of other words, as a share of the clips of one keyword",
        default=100.0,
        unit="%",
        ge=0,
        le=1000,
    )
    silence_percent: float = option(
        "clips without speech, as a share of the clips of one keyword",
        default=100.0,
        unit="%",
        ge=0,
        le=1000,
    )
    bad_clips: Literal["refuse", "skip"] = option(
        "refuse the data set at the first damaged clip, or skip, count and list such clips",
        default="refuse",
    )

    @model_validator(mode="after")
    def _keywords_differ(self) -> _AnyData:
        if len(set(self.keywords)) != len(self.keywords):
            raise ValueError("keywords has the same word twice")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Silence and unknown, where the recipe has them, then the keywords."""
        first = (SILENCE,) if self.silence_percent else ()
        second = (UNKNOWN,) if self.unknown_percent else ()
        return (*first, *second, *self.keywords)


class SyntheticData(_AnyData):
    """Speech synthesized with eSpeak NG: any words, no download; not people."""

    kind: Literal["synthetic"]
    unknown_words: tuple[_Word, ...] = option(
        "words that stand for all others",
        default=_OTHER_WORDS,
        min_length=1,
    )
    train_clips: int = option(
        "training clips of each keyword", default=250, unit="clips", ge=4, le=20_000
    )
    validation_clips: int = option(
        "validation clips of each keyword", default=30, unit="clips", ge=1, le=5_000
    )
    test_clips: int = option("test clips of each keyword", default=60, unit="clips", ge=1, le=5_000)

    @model_validator(mode="after")
    def _unknown_words_are_others(self) -> SyntheticData:
        both = sorted(set(self.keywords) & set(self.unknown_words))
        if both:
            raise ValueError(f"unknown_words holds the keyword {both[0]!r}")
        return self


class SpeechCommandsData(_AnyData):
    """Speech Commands v0.02 (Warden 2018) or a data set in its layout."""

    kind: Literal["speech-commands"]
    source: str = option("folder, .tar.gz or http(s) URL in the official layout", min_length=1)
    sha256: str | None = option(
        "SHA-256 of the archive; must be given for a URL",
        default=None,
        pattern=r"^[0-9a-f]{64}$",
    )
    split: Literal["lists", "hash"] = option(
        "validation and test clips by the archive's lists, or by the hash of the speaker",
        default="lists",
    )
    validation_percent: float = option(
        "validation speakers under split = 'hash'", default=10.0, unit="%", gt=0, lt=50
    )
    test_percent: float = option(
        "test speakers under split = 'hash'", default=10.0, unit="%", gt=0, lt=50
    )
    test_source: str | None = option(
        "folder, .tar.gz or URL of the separate test set, one folder a label", default=None
    )
    test_sha256: str | None = option(
        "SHA-256 of the test archive; must be given for a URL",
        default=None,
        pattern=r"^[0-9a-f]{64}$",
    )

    @model_validator(mode="after")
    def _urls_are_pinned(self) -> SpeechCommandsData:
        for key, source, digest in (
            ("sha256", self.source, self.sha256),
            ("test_sha256", self.test_source or "", self.test_sha256),
        ):
            if source.startswith(("http://", "https://")) and digest is None:
                raise ValueError(f"{key} is missing; a URL needs the SHA-256 of what it serves")
        return self


class FolderData(_AnyData):
    """Your own recordings: ``<label>/*.wav`` or ``.flac``, any rate, any number of channels."""

    kind: Literal["folder"]
    source: str = option("folder with one folder of clips a label", min_length=1)
    speaker_pattern: str | None = option(
        "regular expression on the file name; its group 1 is the speaker. Without it each file"
        " counts as a speaker of its own",
        default=None,
    )
    validation_percent: float = option(
        "speakers held out for validation", default=10.0, unit="%", gt=0, lt=50
    )
    test_percent: float = option(
        "speakers held out for the test", default=20.0, unit="%", gt=0, lt=50
    )
    background: str | None = option(
        "folder of background noise; without it noise is synthesized", default=None
    )

    @model_validator(mode="after")
    def _pattern_has_a_group(self) -> FolderData:
        if self.speaker_pattern is not None:
            try:
                groups = re.compile(self.speaker_pattern).groups
            except re.error as error:
                raise ValueError(f"speaker_pattern is not a regular expression: {error}") from None
            if groups != 1:
                raise ValueError(f"speaker_pattern needs one group, found {groups}")
        return self


Data = Annotated[SyntheticData | SpeechCommandsData | FolderData, Field(discriminator="kind")]
