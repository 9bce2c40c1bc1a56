"""The integer arithmetic of TensorFlow Lite Micro that is known when the code is generated.

Real multipliers become an int32 ``multiplier`` and a ``shift``: ``x * real`` is
``round(round(x * 2**max(shift, 0) * multiplier / 2**31) / 2**max(-shift, 0))``, the first rounding
half up, the second half away from zero (Jacob et al. 2017, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", and the gemmlowp library that came with
it). All functions work on Python's unbounded integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeprune.graph import Activation

__all__ = [
    "INT32_MAX",
    "Rescale",
    "activation_range",
    "exp_table",
    "mean_rescale",
    "rescale",
]

INT32_MAX = 2**31 - 1
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


def rescale(real: float) -> Rescale:
    """The nearest :class:`Rescale` of a positive real number; 0 below 2**-32."""
    fraction, shift = math.frexp(real)
    multiplier = _round_half_away(math.ldexp(fraction, 31))
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
        return zero_point + _round_half_away(max(-1024.0, min(1024.0, ratio)))

    low, high = {
        "none": (_INT8_MIN, _INT8_MAX),
        "relu": (quantize(0.0), _INT8_MAX),
        "relu6": (quantize(0.0), quantize(6.0)),
        "relu_n1_to_1": (quantize(-1.0), quantize(1.0)),
    }[activation]
    return max(low, _INT8_MIN), min(high, _INT8_MAX)


def _round_half_away(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else -math.floor(0.5 - value)


def _high_multiply(a: int, b: int) -> int:
    """Gemmlowp's SaturatingRoundingDoublingHighMul, where it does not saturate: ties go up."""
    return (a * b + 2**30) >> 31


def _divide_by_power(value: int, exponent: int) -> int:
    """Gemmlowp's RoundingDivideByPOT: ties go away from zero."""
    if exponent == 0:
        return value
    half = 1 << (exponent - 1)
    return (value + half - (value < 0)) >> exponent


# SOFTMAX: exp() of Q5.26 inputs, as gemmlowp computes it, for every difference that int8 can have.

_SCALED_DIFF_INTEGER_BITS = 5
#: exp(-2**k) in Q0.31 for k = -2 … 4, gemmlowp's constants.
_EXP_OF_MINUS_POWERS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
_EXP_MINUS_ONE_EIGHTH = 1895147668
_ONE_THIRD = 715827883


def exp_table(scale: float, beta: float) -> tuple[int, ...]:
    """exp(-i * scale * beta) in Q0.31 for i = 0, 1, …; what lies past the end counts as zero.

    The multiplier is capped and the table cut where TensorFlow Lite's softmax does so.

    Args:
        scale: of the input tensor.
        beta: the operator's factor.

    Raises:
        ValueError: ``scale * beta`` is below 2**-26, which TensorFlow Lite refuses.
    """
    fraction_bits = 31 - _SCALED_DIFF_INTEGER_BITS
    real = min(beta * scale * (1 << fraction_bits), 2.0**31 - 1.0)
    if real <= 1.0:
        raise ValueError("the scale of a softmax's input is below 2**-26")
    by = rescale(real)
    radius = math.floor(((1 << _SCALED_DIFF_INTEGER_BITS) - 1) * 2.0**fraction_bits / 2.0**by.left)
    return tuple(
        _exp_on_negative_values(_high_multiply(-difference << by.left, by.multiplier))
        for difference in range(min(radius, 255) + 1)
    )


def _exp_on_negative_values(a: int) -> int:
    """exp(a) in Q0.31 for a <= 0 in Q5.26."""
    if a == 0:
        return INT32_MAX
    quarter = 1 << 24
    within = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(within << _SCALED_DIFF_INTEGER_BITS)
    remainder = within - a
    for power, factor in _EXP_OF_MINUS_POWERS:
        if remainder & (1 << (26 + power)):
            result = _high_multiply(result, factor)
    return result


def _exp_between_minus_quarter_and_zero(a: int) -> int:
    """exp(a) in Q0.31 for -1/4 <= a < 0 in Q0.31: Taylor's series around -1/8."""
    x = a + (1 << 28)
    x2 = _high_multiply(x, x)
    x3 = _high_multiply(x2, x)
    x4_over_4 = _divide_by_power(_high_multiply(x2, x2), 2)
    tail = _divide_by_power(_high_multiply(x4_over_4 + x3, _ONE_THIRD) + x2, 1)
    return _EXP_MINUS_ONE_EIGHTH + _high_multiply(_EXP_MINUS_ONE_EIGHTH, x + tail)
