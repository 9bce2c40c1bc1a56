"""What to build: data, front-end, network, training, pruning, quantization, evaluation.

A recipe is a TOML file; every option is declared here, once, with its type, default, unit and
meaning. ``docs/reference.md`` is generated from these classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgeprune.declaration import Declaration, load, option

__all__ = [
    "SILENCE",
    "UNKNOWN",
    "Augmentation",
    "Data",
    "DsCnn",
    "Evaluation",
    "FolderData",
    "Frontend",
    "MatchboxNet",
    "Model",
    "Pruning",
    "Quantization",
    "Recipe",
    "SpeechCommandsData",
    "SyntheticData",
    "Training",
]

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


class Frontend(Declaration):
    """PCM to features, in fixed point: the same C for training and for the device."""

    kind: Literal["log-mel", "mfcc"] = option("what the network hears", default="log-mel")
    sample_rate_hz: Literal[8000, 16000] = option(
        "sample rate of every clip after loading", default=16000, unit="Hz"
    )
    clip_ms: int = option(
        "audio that one inference looks at", default=1000, unit="ms", ge=100, le=4000
    )
    window_ms: float = option("length of a frame's window", default=30.0, unit="ms", ge=4, le=64)
    hop_ms: float = option("step from frame to frame", default=20.0, unit="ms", ge=2, le=64)
    mel_bins: int = option("triangular filters on the mel scale", default=40, ge=4, le=80)
    low_hz: float = option("lower edge of the first filter", default=20.0, unit="Hz", ge=0)
    high_hz: float = option("upper edge of the last filter", default=7600.0, unit="Hz", gt=0)
    coefficients: int = option(
        "cepstral coefficients kept; read only when kind = 'mfcc'", default=10, ge=2, le=80
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Frontend:
        if self.high_hz > self.sample_rate_hz / 2:
            raise ValueError(
                f"high_hz = {self.high_hz:g} is above half of sample_rate_hz = "
                f"{self.sample_rate_hz}"
            )
        if self.low_hz >= self.high_hz:
            raise ValueError(f"low_hz = {self.low_hz:g} is not below high_hz = {self.high_hz:g}")
        if self.hop_ms > self.window_ms:
            raise ValueError(
                f"hop_ms = {self.hop_ms:g} is longer than window_ms = {self.window_ms:g}: "
                "samples would go unheard"
            )
        if self.clip_ms < self.window_ms:
            raise ValueError("clip_ms is shorter than window_ms")
        for key, value in (("window_ms", self.window_ms), ("hop_ms", self.hop_ms)):
            if not (value * self.sample_rate_hz / 1000).is_integer():
                raise ValueError(f"{key} = {value:g} is not a whole number of samples")
        if self.kind == "mfcc" and self.coefficients > self.mel_bins:
            raise ValueError(
                f"coefficients = {self.coefficients} is more than mel_bins = {self.mel_bins}"
            )
        return self

    @property
    def clip_samples(self) -> int:
        return self.clip_ms * self.sample_rate_hz // 1000

    @property
    def window(self) -> int:
        """Samples in a frame's window."""
        return round(self.window_ms * self.sample_rate_hz / 1000)

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return round(self.hop_ms * self.sample_rate_hz / 1000)

    @property
    def fft(self) -> int:
        """Points of the Fourier transform: the window, padded to a power of two."""
        return max(1 << (self.window - 1).bit_length(), 64)

    @property
    def frames(self) -> int:
        """Whole frames in a clip."""
        return 1 + (self.clip_samples - self.window) // self.hop

    @property
    def features(self) -> int:
        """Values in a frame."""
        return self.mel_bins if self.kind == "log-mel" else self.coefficients


class MatchboxNet(Declaration):
    """A 1-D residual network over time, mel bins as channels (after Majumdar & Ginsburg 2020)."""

    kind: Literal["matchbox"]
    width: int = option("channels of the stem and of every block", default=64, ge=4, le=512)
    blocks: int = option("residual blocks", default=5, ge=1, le=20)
    kernel: int = option("depthwise kernel, in frames", default=9, ge=1, le=31)
    stem_kernel: int = option("kernel of the first convolution, in frames", default=5, ge=1, le=31)
    stem_stride: int = option("stride of the first convolution, in frames", default=2, ge=1, le=8)
    dropout: float = option("dropout before the classifier", default=0.1, ge=0, lt=1)


class DsCnn(Declaration):
    """Depthwise-separable CNN over time and frequency (Zhang et al. 2017, "Hello Edge")."""

    kind: Literal["ds-cnn"]
    width: int = option("channels of every convolution", default=64, ge=4, le=512)
    blocks: int = option("depthwise-separable blocks", default=4, ge=1, le=20)
    kernel: tuple[int, int] = option("depthwise kernel: frames, features", default=(3, 3))
    stem_kernel: tuple[int, int] = option(
        "kernel of the first convolution: frames, features", default=(10, 4)
    )
    stem_stride: tuple[int, int] = option(
        "stride of the first convolution: frames, features", default=(2, 2)
    )
    dropout: float = option("dropout before the classifier", default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _sizes_are_positive(self) -> DsCnn:
        for key in ("kernel", "stem_kernel", "stem_stride"):
            for value in getattr(self, key):
                if not 1 <= value <= 31:
                    raise ValueError(f"{key} holds {value}; each must be from 1 to 31")
        return self


Model = Annotated[MatchboxNet | DsCnn, Field(discriminator="kind")]


class Training(Declaration):
    """The training loop of the dense model."""

    epochs: int = option("passes over the training clips", default=80, unit="epochs", ge=1, le=5000)
    batch: int = option("clips in a step", default=64, unit="clips", ge=1, le=4096)
    learning_rate: float = option("AdamW's highest rate", default=8e-3, gt=0, le=1)
    schedule: Literal["cosine", "constant"] = option(
        "how the rate falls after its rise", default="cosine"
    )
    patience: int = option(
        "epochs without a better validation loss before it stops; 0 never stops early",
        default=0,
        unit="epochs",
        ge=0,
    )
    mixup: float = option("Beta parameter of mixup; 0 is off", default=0.3, ge=0, le=10)
    label_smoothing: float = option("label smoothing", default=0.0, ge=0, lt=1)


class Augmentation(Declaration):
    """What training clips go through; validation and test clips never do."""

    time_shift_ms: int = option("largest shift either way", default=100, unit="ms", ge=0, le=1000)
    gain_db: float = option("largest gain either way", default=6.0, unit="dB", ge=0, le=40)
    speed_percent: float = option("largest change of speed", default=12.0, unit="%", ge=0, le=30)
    noise_percent: float = option(
        "clips that get background noise", default=80.0, unit="%", ge=0, le=100
    )
    snr_low_db: float = option("lowest signal-to-noise ratio", default=5.0, unit="dB", ge=-20)
    snr_high_db: float = option("highest signal-to-noise ratio", default=40.0, unit="dB", le=100)
    time_masks: int = option("SpecAugment masks over time", default=0, ge=0, le=8)
    time_mask_frames: int = option("longest time mask", default=8, unit="frames", ge=1)
    frequency_masks: int = option("SpecAugment masks over features", default=0, ge=0, le=8)
    frequency_mask_bins: int = option("widest feature mask", default=6, unit="features", ge=1)

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Augmentation:
        if self.snr_low_db > self.snr_high_db:
            raise ValueError(
                f"snr_low_db = {self.snr_low_db:g} is above snr_high_db = {self.snr_high_db:g}"
            )
        return self


class Pruning(Declaration):
    """What is taken out of the trained network, and how it recovers."""

    structure: Literal["none", "channel", "unstructured"] = option(
        "whole channels, single weights, or nothing", default="channel"
    )
    criterion: Literal["l1", "l2", "magnitude"] | None = option(
        "how a channel (l1, l2) or a weight (magnitude) is scored; by default l1 or magnitude",
        default=None,
    )
    sparsity: float = option(
        "share of the channels, or of the weights, taken out of each layer",
        default=0.4,
        ge=0,
        le=0.98,
    )
    channel_multiple: int = option(
        "kept channels are rounded to a multiple of this; read only for channels",
        default=4,
        unit="channels",
        ge=1,
        le=64,
    )
    exclude: tuple[str, ...] = option("layers left alone, by name or by shell pattern", default=())
    schedule: Literal["one-shot", "cubic"] = option(
        "all at once, or along the cubic ramp of Zhu & Gupta 2017", default="cubic"
    )
    ramp_percent: float = option(
        "share of the epochs over which the ramp runs", default=50.0, unit="%", gt=0, le=100
    )
    epochs: int = option(
        "epochs of pruning and fine-tuning", default=40, unit="epochs", ge=0, le=5000
    )
    learning_rate: float = option("AdamW's highest rate", default=4e-3, gt=0, le=1)
    distillation: float = option(
        "weight of the dense model's scores in the loss; 0 is off", default=0.9, ge=0, le=1
    )
    temperature: float = option("temperature of the distillation", default=2.0, gt=0, le=20)

    @model_validator(mode="after")
    def _criterion_fits(self) -> Pruning:
        allowed = {"channel": ("l1", "l2"), "unstructured": ("magnitude",)}.get(self.structure)
        if allowed and self.criterion is not None and self.criterion not in allowed:
            raise ValueError(
                f"criterion = {self.criterion!r} does not score a structure = "
                f"{self.structure!r}; allowed: {', '.join(allowed)}"
            )
        return self


class Quantization(Declaration):
    """Full int8: weights per channel, activations per tensor, int8 in and out."""

    calibration_clips: int = option(
        "training clips that the activation ranges are read from",
        default=256,
        unit="clips",
        ge=1,
        le=100_000,
    )


class Evaluation(Declaration):
    """What is run where."""

    device_clips: int = option(
        "test clips sent through an emulated device, from PCM; the host runs all of them",
        default=48,
        unit="clips",
        ge=1,
    )
    counted_clips: int = option(
        "of those, clips whose instructions are counted; the report gives the largest count",
        default=2,
        unit="clips",
        ge=1,
    )


class Recipe(Declaration):
    """A recipe: ``recipes/<name>.toml``."""

    schema_version: Literal[1] = option("version of this layout", default=1)
    name: str = option("a short name", pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)
    description: str = option("one line for people", default="")
    seed: int = option("seed of everything that is drawn", default=1, ge=0, lt=2**31)
    data: Data = option("where clips come from")
    frontend: Frontend = option("PCM to features", default=Frontend())
    model: Model = option("the network", default=MatchboxNet(kind="matchbox"))
    training: Training = option("training", default=Training())
    augmentation: Augmentation = option("augmentation", default=Augmentation())
    pruning: Pruning = option("pruning", default=Pruning())
    quantization: Quantization = option("quantization", default=Quantization())
    evaluation: Evaluation = option("evaluation", default=Evaluation())

    @model_validator(mode="after")
    def _masks_fit(self) -> Recipe:
        spec = self.augmentation
        if spec.time_masks and spec.time_mask_frames >= self.frontend.frames:
            raise ValueError("augmentation.time_mask_frames covers the whole clip")
        if spec.frequency_masks and spec.frequency_mask_bins >= self.frontend.features:
            raise ValueError("augmentation.frequency_mask_bins covers the whole frame")
        return self

    @classmethod
    def read(cls, path: Path, settings: Mapping[str, object] | None = None) -> Recipe:
        """Read ``path`` with ``--set`` overrides laid over it.

        Raises:
            DeclarationError: naming file and key.
        """
        return load(cls, path, settings)
