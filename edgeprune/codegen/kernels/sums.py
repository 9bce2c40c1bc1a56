"""ADD and SUB of int8: TensorFlow Lite Micro's five roundings as one, proven for every pair.

TensorFlow Lite Micro rescales both operands to a common scale, adds, and rescales again, with a
rounding at each step. A pair of int8 values has only 65,536 states, so a cheaper formula can be
tried on all of them: two multiplications, a sum and a shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.fixed_point import INT32_MAX, Rescale, activation_range, rescale
from edgeprune.codegen.lowering import unsupported
from edgeprune.graph import Add, Sub

__all__ = ["ExactSum", "LinearSum", "exact_sum", "exact_sums", "linear_sum"]

#: Bits that the operands are shifted left by before they are rescaled.
_EXTRA_BITS = 20
_VALUES = np.arange(-128, 128, dtype=np.int64)
#: How far from their real values the factors are looked for.
_NEIGHBOURS = 3


@dataclass(frozen=True)
class LinearSum:
    """``(left * x + right * y + offset [- 1 if negative] + rounding) >> shift``, then clamped.

    No intermediate sum leaves int32 for any two int8 values.

    Attributes:
        left: the factor of the left operand.
        right: the factor of the right operand.
        offset: takes in the operands' zero points.
        ties_away: whether a negative sum is lowered by one before the rounding is added, so that
            halves go away from zero on either side.
        rounding: takes in the output's zero point; 0 where it is part of ``offset``.
        shift: bits.
    """

    left: int
    right: int
    offset: int
    ties_away: bool
    rounding: int
    shift: int


@dataclass(frozen=True)
class ExactSum:
    """The arithmetic step by step: what multiplies the operands and their sum.

    Attributes:
        left: the left operand's multiplier, after it was shifted left by 20 bits.
        right: the right operand's.
        output: the sum's.
        sign: of the right operand.
    """

    left: Rescale
    right: Rescale
    output: Rescale
    sign: int


def exact_sum(operator: Add | Sub) -> ExactSum:
    """The multipliers: quotients of scales in double precision.

    So do LiteRT and TFLite Micro as it is released. TFLite Micro's sources from 2023 to August 2026
    divide SUB's scales in single precision, which changes about one output in 100,000 by one.

    Raises:
        UnsupportedError: the output's scale is so small that the arithmetic overflows.
    """
    left, right, output = operator.left, operator.right, operator.output
    twice_larger = 2.0 * max(left.scale, right.scale)
    real = twice_larger / ((1 << _EXTRA_BITS) * output.scale)
    by = rescale(real)
    if real >= 1.0 or by.shift > 0:
        raise unsupported(
            operator,
            f"its output's scale {output.scale:g} is too small for its inputs'",
            hint="convert the model again with calibration data that is typical",
        )
    return ExactSum(
        left=rescale(left.scale / twice_larger),
        right=rescale(right.scale / twice_larger),
        output=by,
        sign=-1 if isinstance(operator, Sub) else 1,
    )


def exact_sums(operator: Add | Sub) -> npt.NDArray[np.int64]:
    """The output for every pair: int64 ``[256, 256]``, by left and right value from -128 on.

    Raises:
        UnsupportedError: as of :func:`exact_sum`.
    """
    by = exact_sum(operator)
    left = by.left((_VALUES - operator.left.zero_point) << _EXTRA_BITS)
    right = by.right((_VALUES - operator.right.zero_point) << _EXTRA_BITS)
    sums = by.output(left[:, np.newaxis] + by.sign * right[np.newaxis, :])
    return np.clip(sums + operator.output.zero_point, *_limits(operator))


def _limits(operator: Add | Sub) -> tuple[int, int]:
    output = operator.output
    return activation_range(operator.activation, output.scale, output.zero_point)


def linear_sum(operator: Add | Sub) -> LinearSum | None:
    """A :class:`LinearSum` that gives :func:`exact_sums` for every pair.

    There is none where a pair comes so close to a half that 32 bits can't tell its side, as with
    scales of a few decimal digits, whose quotients are almost small fractions.

    Raises:
        UnsupportedError: as of :func:`exact_sum`.
    """
    expected = exact_sums(operator)
    for ties_away in (False, True):
        for left, right, shift in _candidates(operator):
            found = _fitted(operator, expected, left, right, shift, ties_away=ties_away)
            if found is not None:
                return found
    return None


def _candidates(operator: Add | Sub) -> Iterator[tuple[int, int, int]]:
    """Factors and a shift, the likeliest first."""
    sign = -1 if isinstance(operator, Sub) else 1
    ratios = (
        operator.left.scale / operator.output.scale,
        sign * operator.right.scale / operator.output.scale,
    )
    # Below the products of the values and the zero points comes the output, shifted.
    room = 256 * (abs(ratios[0]) + abs(ratios[1])) + 130
    shift = 30
    while shift > 0 and room * 2.0**shift + 256 * 2 * _NEIGHBOURS > INT32_MAX:
        shift -= 1
    steps = sorted(range(-_NEIGHBOURS, _NEIGHBOURS + 1), key=abs)
    nearest = [round(ratio * 2.0**shift) for ratio in ratios]
    for distance in range(2 * _NEIGHBOURS + 1):
        for left in steps:
            for right in steps:
                if abs(left) + abs(right) == distance:
                    yield nearest[0] + left, nearest[1] + right, shift


def _fitted(
    operator: Add | Sub,
    expected: npt.NDArray[np.int64],
    left: int,
    right: int,
    shift: int,
    *,
    ties_away: bool,
) -> LinearSum | None:
    """The sum with these factors and the middle one of all constants that are right, if any is."""
    zero_points = (operator.left.zero_point, operator.right.zero_point)
    products = left * (_VALUES - zero_points[0])[:, np.newaxis] + right * (_VALUES - zero_points[1])
    if ties_away:
        products = products - (products < 0)
    # Each pair that is not clamped leaves an interval of constants: from `least` to `most`.
    low, high = _limits(operator)
    least = ((expected << shift) - products)[expected > low]
    most = (((expected + 1) << shift) - 1 - products)[expected < high]
    if least.size == 0 or most.size == 0:
        constant = int(expected.flat[0]) << shift
        left = right = 0
    elif int(least.max()) <= int(most.min()):
        constant = (int(least.max()) + int(most.min())) // 2
    else:
        return None
    start = -left * zero_points[0] - right * zero_points[1]
    found = LinearSum(
        left=left,
        right=right,
        offset=start if ties_away else start + constant,
        ties_away=ties_away,
        rounding=constant if ties_away else 0,
        shift=shift,
    )
    reach = 128 * (abs(left) + abs(right)) + abs(found.offset) + abs(found.rounding) + 1
    return found if reach <= INT32_MAX else None
