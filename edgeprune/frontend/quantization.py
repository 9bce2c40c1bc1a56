"""Features to the network's int8 input: one multiply, one add and one shift a feature, in int32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeprune.errors import FrontendError
from edgeprune.frontend import generate

__all__ = ["InputQuantization"]

_LARGEST_INT32 = 2**31 - 1
_LARGEST_SHIFT = 30
#: What rounding the multipliers may cost, in steps of the int8 input.
_TOLERANCE = 1 / 16


@dataclass(frozen=True)
class InputQuantization:
    """``q = clamp((feature * multiplier + offset) >> shift, -128, 127)``.

    The offset holds the mean, the zero point and the rounding. For every int16 feature the sum fits
    int32.

    Attributes:
        multipliers: one a feature.
        offsets: one a feature.
        shift: the same for all.
    """

    multipliers: tuple[int, ...]
    offsets: tuple[int, ...]
    shift: int

    @classmethod
    def derive(
        cls,
        mean: ArrayLike,
        std: ArrayLike,
        fraction_bits: int,
        scale: float,
        zero_point: int,
    ) -> InputQuantization:
        """Fold normalization and quantization into integers.

        With x = feature * 2^-fraction_bits, the network's input is (x - mean) / std, and its int8
        value round(input / scale) + zero_point, clamped. The result is within half a step, plus
        :attr:`error`, of the same without rounding.

        Args:
            mean: [features], in real units.
            std: [features], in real units.
            fraction_bits: of the features.
            scale: of the int8 input.
            zero_point: of the int8 input, -128 … 127.

        Raises:
            FrontendError: for values that are not finite or not positive, or deviations so far
                apart that no shift serves all features.
        """
        means, stds = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (mean, std))
        _check(means, stds, scale, zero_point)
        slopes = [float(v) for v in 2.0**-fraction_bits / (stds * scale)]
        centers = [float(v) for v in means * 2.0**fraction_bits]
        for shift in range(_LARGEST_SHIFT, 0, -1):
            multipliers = tuple(round(slope * 2**shift) for slope in slopes)
            # Exact at the mean, so that the error of a rounded multiplier grows from there.
            offsets = tuple(
                round((zero_point + 0.5) * 2**shift - center * multiplier)
                for center, multiplier in zip(centers, multipliers, strict=True)
            )
            if all(map(_fits, multipliers, offsets)):
                break
        else:
            raise FrontendError(
                "the input's normalization does not fit 32 bits",
                hint="check the features' mean and standard deviation",
            )
        result = cls(multipliers, offsets, shift)
        worst = min(range(len(slopes)), key=lambda i: multipliers[i])
        if result.error > _TOLERANCE:
            raise FrontendError(
                f"feature {worst}, with the mean {means[worst]:g} and the standard deviation "
                f"{stds[worst]:g}, can't share a shift with the others: the smallest standard "
                f"deviation is {stds.min():g}, the largest mean {abs(means).max():g}",
                hint="give features that hardly vary a larger standard deviation",
            )
        return result

    @property
    def error(self) -> float:
        """Bound of the error besides rounding to a step, in steps, wherever q is not clamped."""
        smallest = min(abs(multiplier) for multiplier in self.multipliers)
        if smallest == 0:
            return math.inf
        # 256 steps from the mean at most, times the multiplier's relative rounding; the offset's.
        return 256 * 0.5 / smallest + 0.5 / float(2**self.shift)

    def sources(self) -> dict[str, str]:
        """File name to text of the C files: the tables and what reads them."""
        return {
            "model_input.c": self._tables(),
            "quantize.c": generate.c_file("quantize.c"),
            "quantize.h": generate.c_file("quantize.h"),
        }

    def apply(self, features: NDArray[np.int16]) -> NDArray[np.int8]:
        """What the C computes: int16 [..., features] to int8 of the same shape.

        Raises:
            FrontendError: for another type, or another number of features.
        """
        count = len(self.multipliers)
        if features.dtype != np.int16 or features.shape[-1:] != (count,):
            raise FrontendError(
                f"features are {features.dtype} {list(features.shape)}; int16 [..., {count}] "
                "is needed"
            )
        multipliers, offsets = (np.array(a, np.int32) for a in (self.multipliers, self.offsets))
        values = (features.astype(np.int32) * multipliers + offsets) >> self.shift
        result: NDArray[np.int8] = np.clip(values, -128, 127).astype(np.int8)
        return result

    def _tables(self) -> str:
        return "\n".join(
            [
                "/* Generated by edgeprune. */",
                '#include "quantize.h"',
                "",
                _array("multipliers", self.multipliers),
                _array("offsets", self.offsets),
                f"const uint8_t edgeprune_input_shift = {self.shift};",
                "",
            ]
        )


def _check(
    means: NDArray[np.float64], stds: NDArray[np.float64], scale: float, zero_point: int
) -> None:
    if means.ndim != 1 or means.shape != stds.shape or not len(means):
        raise FrontendError(
            f"mean and std have the shapes {list(means.shape)} and {list(stds.shape)}; two "
            "vectors of one length are needed"
        )
    if not (np.isfinite(means).all() and np.isfinite(stds).all() and (stds > 0).all()):
        worst = int(np.argmin(np.where(np.isfinite(means) & np.isfinite(stds), stds, -np.inf)))
        raise FrontendError(
            f"feature {worst} has the mean {means[worst]:g} and the standard deviation "
            f"{stds[worst]:g}",
            hint="give features that never vary a standard deviation above 0",
        )
    if not (math.isfinite(scale) and scale > 0 and -128 <= zero_point <= 127):
        raise FrontendError(f"the input has the scale {scale:g} and the zero point {zero_point}")


def _fits(multiplier: int, offset: int) -> bool:
    return abs(multiplier) * 2**15 + abs(offset) <= _LARGEST_INT32


def _array(name: str, values: Sequence[int]) -> str:
    lines = (values[i : i + 8] for i in range(0, len(values), 8))
    rows = "\n".join("    " + " ".join(f"{value}," for value in line) for line in lines)
    return f"const int32_t edgeprune_input_{name}[{len(values)}] = {{\n{rows}\n}};\n"
