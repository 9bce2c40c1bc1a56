"""The integer tables of the front-end, computed from its parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeprune.errors import FrontendError
from edgeprune.recipe import Frontend

__all__ = [
    "FLOOR_RMS",
    "LOG_MEL_FRACTION_BITS",
    "Tables",
    "energy_floor",
    "largest_log2_energy",
    "mel_edges_hz",
]

#: Every mel energy gets what white noise of this many units of PCM, root mean square, leaves in one
#: FFT bin: -76 dB of full scale. Digital silence stays finite, and noise fainter than that does not
#: make the features dance.
FLOOR_RMS = 5

LOG_MEL_FRACTION_BITS = 8

_ONE = 1 << 15
#: A filter whose weights add up to less than this (Q15) hardly hears anything.
_THINNEST_FILTER = _ONE // 64


@dataclass(frozen=True)
class Tables:
    """What ``frontend_tables.h`` declares, and the constants that go with it.

    Attributes:
        window: periodic Hann window, Q15, padded to an even length.
        order: the first point of each first-stage butterfly.
        minus_sine: a quarter wave, negated, Q15.
        first_bin: the first FFT bin inside any mel filter.
        segment: bins between each two neighbouring filter edges.
        rising: weight of each bin in the filter that rises there, Q15.
        log2: log2(1 + i / 32), Q15.
        dct: left half of the DCT-II, a row a coefficient; empty for log-mel.
        dct_bits: fraction bits of ``dct``.
        fraction_bits: fraction bits of the features.
    """

    window: tuple[int, ...]
    order: tuple[int, ...]
    minus_sine: tuple[int, ...]
    first_bin: int
    segment: tuple[int, ...]
    rising: tuple[int, ...]
    log2: tuple[int, ...]
    dct: tuple[tuple[int, ...], ...]
    dct_bits: int
    fraction_bits: int

    @classmethod
    def of(cls, frontend: Frontend) -> Tables:
        """Compute the tables.

        Raises:
            FrontendError: when a mel filter holds no FFT bin.
        """
        first_bin, segment, rising = _mel(frontend)
        mfcc = frontend.kind == "mfcc"
        dct, dct_bits = _dct(frontend.mel_bins, frontend.coefficients) if mfcc else ((), 0)
        return cls(
            window=_window(frontend.window),
            order=tuple(_leaves(list(range(frontend.fft // 2)))),
            minus_sine=tuple(
                -round(_ONE * math.sin(2 * math.pi * j / frontend.fft))
                for j in range(frontend.fft // 4 + 1)
            ),
            first_bin=first_bin,
            segment=segment,
            rising=rising,
            log2=tuple(round(_ONE * math.log2(1 + i / 32)) for i in range(33)),
            dct=dct,
            dct_bits=dct_bits,
            fraction_bits=_mfcc_fraction_bits(frontend) if mfcc else LOG_MEL_FRACTION_BITS,
        )


def energy_floor(frontend: Frontend) -> int:
    """What is added to every mel energy, in units of PCM squared; see :data:`FLOOR_RMS`.

    White noise has the power rms^2 times the sum of the squared window in every bin, and that sum
    is 3/8 of a Hann window's length.
    """
    return round(FLOOR_RMS**2 * 0.375 * frontend.window)


def largest_log2_energy(frontend: Frontend) -> float:
    """An upper bound of log2 of a mel energy plus the floor, for any PCM, in bits.

    By Parseval's theorem the powers of bins 1 … N/2 - 1 add up to at most N/2 times the energy of
    the windowed samples, which is largest at full scale, and no filter weight is above 1.
    """
    energy = frontend.fft / 2 * 2.0**30 * 0.375 * frontend.window
    return math.log2(energy + energy_floor(frontend))


def mel_edges_hz(frontend: Frontend) -> list[float]:
    """The ``mel_bins + 2`` edges of the filters, in Hz, evenly spaced on the HTK mel scale.

    mel = 2595 log10(1 + f / 700) (Young et al., The HTK Book, section 5.4).
    """
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (frontend.low_hz, frontend.high_hz))
    step = (high - low) / (frontend.mel_bins + 1)
    inner = [700 * (10 ** ((low + step * i) / 2595) - 1) for i in range(1, frontend.mel_bins + 1)]
    return [frontend.low_hz, *inner, frontend.high_hz]


def _window(length: int) -> tuple[int, ...]:
    values = [round(_ONE * (0.5 - 0.5 * math.cos(2 * math.pi * i / length))) for i in range(length)]
    return (*values, *([0] * (length % 2)))


def _leaves(indices: list[int]) -> list[int]:
    """First indices of the four-point transforms that decimation in time ends with, in order.

    The last stage joins two transforms where the length is no power of four.
    """
    if len(indices) == 4:
        return indices[:1]
    radix = 4 if (len(indices).bit_length() - 1) % 2 == 0 else 2
    return [leaf for first in range(radix) for leaf in _leaves(indices[first::radix])]


def _mel(frontend: Frontend) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """First bin, bins a segment, rising weights of the bins.

    The triangles have straight sides over Hz and a peak of 1, as librosa makes them with
    ``htk=True, norm=None``; so the two filters that share a bin have weights that add up to 1.
    """
    edges = mel_edges_hz(frontend)
    bin_hz = frontend.sample_rate_hz / frontend.fft
    # Neither DC nor half the sample rate can have a weight: both lie on or outside the outer edges.
    inner = [k for k in range(1, frontend.fft // 2) if edges[0] <= k * bin_hz < edges[-1]]
    segment = [0] * (frontend.mel_bins + 1)
    rising: list[int] = []
    totals = [0] * (frontend.mel_bins + 2)
    at = 0
    for k in inner:
        while k * bin_hz >= edges[at + 1]:
            at += 1
        weight = round(_ONE * (k * bin_hz - edges[at]) / (edges[at + 1] - edges[at]))
        segment[at] += 1
        rising.append(weight)
        totals[at] += _ONE - weight
        totals[at + 1] += weight
    for number in range(1, frontend.mel_bins + 1):
        if totals[number] < _THINNEST_FILTER:
            _refuse_empty_filter(frontend, number - 1, edges[number - 1], edges[number + 1])
    return inner[0], tuple(segment), tuple(rising)


def _refuse_empty_filter(frontend: Frontend, number: int, low_hz: float, high_hz: float) -> None:
    bin_hz = frontend.sample_rate_hz / frontend.fft
    raise FrontendError(
        f"mel filter {number} of mel_bins = {frontend.mel_bins} (low_hz = {frontend.low_hz:g}, "
        f"high_hz = {frontend.high_hz:g}) reaches from {low_hz:.1f} to {high_hz:.1f} Hz and hears "
        f"nothing: window_ms = {frontend.window_ms:g} at sample_rate_hz = "
        f"{frontend.sample_rate_hz} gives FFT bins {bin_hz:g} Hz apart",
        where="frontend",
        hint="fewer mel_bins, a longer window_ms, or a wider range from low_hz to high_hz",
    )


def _dct(mel_bins: int, coefficients: int) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Left half of the orthonormal DCT-II, and its fraction bits: as many as fit int16."""
    bits = 15 + math.floor(-math.log2(math.sqrt(2 / mel_bins)) - 1e-9)
    rows = []
    for k in range(coefficients):
        norm = math.sqrt((1 if k == 0 else 2) / mel_bins) * (1 << bits)
        row = [
            norm * math.cos(math.pi * k * (2 * i + 1) / (2 * mel_bins))
            for i in range((mel_bins + 1) // 2)
        ]
        if mel_bins % 2:
            row[-1] /= 2
        rows.append(tuple(round(value) for value in row))
    return tuple(rows), bits


def _mfcc_fraction_bits(frontend: Frontend) -> int:
    """As many as c0, the largest coefficient, leaves room for in int16, at most 8."""
    largest = math.sqrt(frontend.mel_bins) * (largest_log2_energy(frontend) + 0.1)
    return min(8, math.floor(math.log2(32767 / largest)))
