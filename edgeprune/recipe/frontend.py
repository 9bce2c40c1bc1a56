"""``[frontend]``: PCM to features."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from edgeprune.declaration import Declaration, option

__all__ = ["Frontend"]


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
