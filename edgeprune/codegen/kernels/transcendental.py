"""exp, logistic and tanh in integers, as TensorFlow Lite Micro computes them for int8.

The arithmetic is that of the gemmlowp library: fixed-point numbers of 32 bits, exp() by a Taylor
series and a product of constants, division by Newton-Raphson. ``Qm.n`` has m integer and n
fraction bits beside the sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeprune.codegen.fixed_point import (
    INT32_MAX,
    Rescale,
    divide_by_power,
    high_multiply,
    rescale,
)

__all__ = ["Exponentials", "logistic", "softmax_exponentials", "tanh"]

#: Integer bits of what SOFTMAX, LOGISTIC and TANH take exp() of.
_SOFTMAX_INTEGER_BITS = 5
_LOGISTIC_INTEGER_BITS = 4

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
#: Newton-Raphson's first estimate of 1 / d is 48/17 - 32/17 * d; both in Q2.29.
_48_OVER_17 = 1515870810
_32_OVER_17 = 1010580540
_NEWTON_STEPS = 3


@dataclass(frozen=True)
class Exponentials:
    """exp(-i * scale * beta) for i = 0, 1, … up to ``reach``, from where on it counts as zero.

    Attributes:
        by: i to ``-i * scale * beta`` in Q5.26.
        reach: the first i that counts as zero; at most 256, as no difference of int8 is larger.
    """

    by: Rescale
    reach: int

    def table(self) -> tuple[int, ...]:
        """The values in Q0.31: as many as ``reach``."""
        return tuple(_exp(self.by(-below), _SOFTMAX_INTEGER_BITS) for below in range(self.reach))


def softmax_exponentials(scale: float, beta: float) -> Exponentials:
    """What SOFTMAX adds up; the multiplier is capped and the reach cut as in TensorFlow Lite.

    Args:
        scale: of the input tensor.
        beta: the operator's factor.

    Raises:
        ValueError: ``scale * beta`` is below 2**-26, which TensorFlow Lite refuses.
    """
    fraction_bits = 31 - _SOFTMAX_INTEGER_BITS
    real = min(beta * scale * (1 << fraction_bits), 2.0**31 - 1.0)
    if real <= 1.0:
        raise ValueError("the scale of a softmax's input is below 2**-26")
    by = rescale(real)
    return Exponentials(by, min(_input_radius(_SOFTMAX_INTEGER_BITS, by.left), 255) + 1)


def _input_radius(integer_bits: int, left: int) -> int:
    """The least integer that leaves ``integer_bits`` when it is shifted left by ``left``."""
    return math.floor(((1 << integer_bits) - 1) * 2.0 ** (31 - integer_bits) / 2.0**left)


def logistic(value: int, scale: float) -> int:
    """1 / (1 + exp(-value * scale)) in units of 1/256, from 0 to 256.

    Args:
        value: an input minus its zero point.
        scale: of the input tensor, at least 2**-28.
    """
    x = _to_q4(value, scale)
    if isinstance(x, _Beyond):
        return 256 if x.is_positive else 0
    if x == 0:
        return 128
    result = _reciprocal_of_one_plus(_exp(-abs(x), _LOGISTIC_INTEGER_BITS))
    return divide_by_power(result if x > 0 else INT32_MAX - result, 31 - 8)


def tanh(value: int, scale: float) -> int:
    """The hyperbolic tangent of value * scale in units of 1/128, from -128 to 128.

    Args:
        value: an input minus its zero point.
        scale: of the input tensor, at least 2**-28.
    """
    x = _to_q4(value, scale)
    if isinstance(x, _Beyond):
        return 128 if x.is_positive else -128
    if x == 0:
        return 0
    # The bits of x in Q4.27 are those of 2 * x in Q5.26.
    exponential = _exp(-abs(x), _LOGISTIC_INTEGER_BITS + 1)
    result = _saturate((_newton(exponential) - (1 << 29)) << 2)
    return divide_by_power(result if x > 0 else -result, 31 - 7)


class _Beyond:
    """A number outside Q4.27."""

    def __init__(self, *, is_positive: bool) -> None:
        self.is_positive = is_positive


def _to_q4(value: int, scale: float) -> int | _Beyond:
    by = rescale(scale * 2.0 ** (31 - _LOGISTIC_INTEGER_BITS))
    radius = _input_radius(_LOGISTIC_INTEGER_BITS, by.shift)
    # In this order: where the radius is 0, so is zero below it.
    if value <= -radius:
        return _Beyond(is_positive=False)
    if value >= radius:
        return _Beyond(is_positive=True)
    return high_multiply(value << by.left, by.multiplier)


def _exp(a: int, integer_bits: int) -> int:
    """exp(a) in Q0.31 for a <= 0 with ``integer_bits`` integer bits, at most 5."""
    if a == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    within = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(within << integer_bits)
    remainder = within - a
    for power, factor in _EXP_OF_MINUS_POWERS:
        if power < integer_bits and remainder & (1 << (fraction_bits + power)):
            result = high_multiply(result, factor)
    return result


def _exp_between_minus_quarter_and_zero(a: int) -> int:
    """exp(a) in Q0.31 for -1/4 <= a < 0 in Q0.31: Taylor's series around -1/8."""
    x = a + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4_over_4 = divide_by_power(high_multiply(x2, x2), 2)
    tail = divide_by_power(high_multiply(x4_over_4 + x3, _ONE_THIRD) + x2, 1)
    return _EXP_MINUS_ONE_EIGHTH + high_multiply(_EXP_MINUS_ONE_EIGHTH, x + tail)


def _reciprocal_of_one_plus(a: int) -> int:
    """1 / (1 + a) in Q0.31, for a in Q0.31 from 0 to 1."""
    return _saturate(_newton(a) << 1)


def _newton(a: int) -> int:
    """2 / (1 + a) in Q2.29, for a in Q0.31 from 0 to 1."""
    half_denominator = (a >> 1) + (1 << 30)
    x = _48_OVER_17 - high_multiply(half_denominator, _32_OVER_17)
    for _ in range(_NEWTON_STEPS):
        rest = (1 << 29) - high_multiply(half_denominator, x)
        x += high_multiply(x, rest) << 2
    return x


def _saturate(value: int) -> int:
    return max(-(2**31), min(INT32_MAX, value))
