"""The integer arithmetic of TensorFlow Lite Micro that is known when the code is generated.

Real multipliers become an int32 ``multiplier`` and a ``shift``: ``x * real`` is
``round(round(x * 2**max(shift, 0) * multiplier / 2**31) / 2**max(-shift, 0))``, the first rounding
half up, the second half away from zero (Jacob et al. 2017, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", and the gemmlowp library that came with
it). The functions work on unbounded
integers, or on arrays of int64 that must hold every product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edgeprune.graph import Activation

__all__ = [
    "INT32_MAX",
    "Rescale",
    "activation_range",
    "divide_by_power",
    "high_multiply",
    "mean_rescale",
    "rescale",
    "round_half_away",
]

INT32_MAX = 2**31 - 1
#: A number, or many at once.
_Integers = TypeVar("_Integers", int, npt.NDArray[np.int64])
_INT8_MIN, _INT8_MAX = -128, 127


@dataclass(frozen=True)
class Rescale:
    """A real multiplier: ``multiplier / 2**31 * 2**shift``, multiplier from 0 to 2**31 - 1."""

    multiplier: int
    shift: int

    @property
    def left(self) -> int:
        """Bits that the value is shifted left before it is multiplied."""
        return max(self.shift, 0)

    def __float__(self) -> float:
        return math.ldexp(self.multiplier, self.shift - 31)

    def __call__(self, value: _Integers) -> _Integers:
        """``value`` times the real multiplier, rounded twice."""
        high = high_multiply(value << self.left, self.multiplier)
        return divide_by_power(high, max(-self.shift, 0))


def rescale(real: float) -> Rescale:
    """The nearest :class:`Rescale` of a positive real number; 0 below 2**-32."""
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(math.ldexp(fraction, 31))
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    # What would be shifted out entirely is zero; so decides TensorFlow Lite.
    return Rescale(multiplier, shift) if shift >= -31 else Rescale(0, 0)


def mean_rescale(real: float, count: int) -> Rescale:
    """The :class:`Rescale` of ``real / count``, with the bits that MEAN computes it with."""
    whole = rescale(real)
    bits = min(count.bit_length() - 1, 32, 31 + whole.shift)
    return Rescale((whole.multiplier << bits) // count, whole.shift - bits)


def activation_range(activation: Activation, scale: float, zero_point: int) -> tuple[int, int]:
    """The least and the greatest int8 value that a fused activation lets through.

    Args:
        activation: the fused activation.
        scale: of the output tensor; a float32 value.
        zero_point: of the output tensor.
    """

    def quantize(real: float) -> int:
        # The division is TensorFlow Lite's, in single precision.
        with np.errstate(over="ignore"):
            ratio = float(np.float32(real) / np.float32(scale))
        # Beyond int8 every value clamps alike, infinity included.
        return zero_point + round_half_away(max(-1024.0, min(1024.0, ratio)))

    low, high = {
        "none": (_INT8_MIN, _INT8_MAX),
        "relu": (quantize(0.0), _INT8_MAX),
        "relu6": (quantize(0.0), quantize(6.0)),
        "relu_n1_to_1": (quantize(-1.0), quantize(1.0)),
    }[activation]
    return max(low, _INT8_MIN), min(high, _INT8_MAX)


def round_half_away(value: float) -> int:
    """The nearest integer of a finite number; ties go away from zero."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(0.5 - value)


def high_multiply(a: _Integers, b: int) -> _Integers:
    """Gemmlowp's SaturatingRoundingDoublingHighMul, where it does not saturate: ties go up."""
    return (a * b + 2**30) >> 31


def divide_by_power(value: _Integers, exponent: int) -> _Integers:
    """Gemmlowp's RoundingDivideByPOT: ties go away from zero."""
    if exponent == 0:
        return value
    half = 1 << (exponent - 1)
    return (value + half - (value < 0)) >> exponent
