"""Operators from one 8-bit value to another, as maps of all 256 bytes.

The arithmetic is TensorFlow Lite Micro's reference kernels' for int8, in integers; single-precision
steps of theirs are single-precision here. Where they and LiteRT's reference kernels differ it is
said below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.fixed_point import (
    INT32_MAX,
    Rescale,
    activation_range,
    divide_by_power,
    rescale,
)
from edgeprune.codegen.kernels.transcendental import logistic, tanh
from edgeprune.codegen.lowering import unsupported
from edgeprune.graph import (
    HardSwish,
    LeakyRelu,
    Logistic,
    Operator,
    Quantize,
    Relu,
    Tanh,
    Tensor,
)

__all__ = ["UnaryMap", "byte_map"]

#: The operators that are a map of bytes.
UnaryMap = HardSwish | LeakyRelu | Logistic | Quantize | Relu | Tanh

#: Below this scale TensorFlow Lite's fixed-point set-up shifts by negative amounts.
_LEAST_SCALE = 2.0**-28


def byte_map(operator: UnaryMap) -> npt.NDArray[np.uint8]:
    """The output's byte for every byte of the input: uint8 ``[256]``.

    A byte is an int8 value in two's complement, or a uint8 value, as the tensors' types say.

    Raises:
        UnsupportedError: scales for which TensorFlow Lite Micro's arithmetic overflows or that
            it refuses.
    """
    of_value = _value_map(operator)
    low, high = (0, 255) if operator.output.dtype == "uint8" else (-128, 127)
    zero_point = operator.input.zero_point
    return np.array(
        [
            max(low, min(high, of_value(_value(byte, operator.input) - zero_point))) % 256
            for byte in range(256)
        ],
        dtype=np.uint8,
    )


def _value(byte: int, tensor: Tensor) -> int:
    return byte - 256 if tensor.dtype == "int8" and byte > 127 else byte


def _value_map(operator: UnaryMap) -> Callable[[int], int]:
    """An input minus its zero point to an output that is not clamped to 8 bits yet."""
    if isinstance(operator, Quantize):
        return _quantize(operator)
    if isinstance(operator, Relu):
        return _relu(operator)
    if isinstance(operator, LeakyRelu):
        return _leaky_relu(operator)
    if isinstance(operator, HardSwish):
        return _hard_swish(operator)
    if isinstance(operator, Logistic):
        return _logistic(operator)
    return _tanh(operator)


def _quantize(operator: Quantize) -> Callable[[int], int]:
    """The ratio of the scales is in double precision."""
    by = _rescale(operator, operator.input.scale / operator.output.scale)
    zero_point = operator.output.zero_point
    return lambda value: by(value) + zero_point


def _relu(operator: Relu) -> Callable[[int], int]:
    """The ratio of the scales is in single precision.

    TFLite Micro's RELU6 leaves values as they are, as if the output always had the input's scale
    and zero point, and it has no RELU_N1_TO_1. Both requantize here, as they do in LiteRT; where
    input and output are quantized alike there is no difference.
    """
    output = operator.output
    by = _rescale(operator, _single_ratio(operator.input, output))
    low, high = activation_range(operator.activation, output.scale, output.zero_point)
    return lambda value: max(low, min(high, by(value) + output.zero_point))


def _leaky_relu(operator: LeakyRelu) -> Callable[[int], int]:
    """Both factors are in single precision; that of a negative alpha is negated after rounding."""
    zero_point = operator.output.zero_point
    scale, alpha = np.float32(operator.input.scale), np.float32(operator.alpha)
    with np.errstate(over="ignore"):
        real = float(scale * alpha / np.float32(operator.output.scale))
    above = _rescale(operator, _single_ratio(operator.input, operator.output))
    below = _rescale(operator, abs(real))
    sign = -1 if real < 0 else 1
    return lambda value: zero_point + (above(value) if value >= 0 else sign * below(value))


def _hard_swish(operator: HardSwish) -> Callable[[int], int]:
    """In 16-bit fixed point: x on a scale 128 times finer, times relu6(x + 3) / 6 in Q0.15."""
    finer = np.float32(operator.input.scale) * np.float32(1 / 128)
    scale = rescale(float(finer / np.float32(operator.output.scale)))
    gate = rescale(float(finer / np.float32(3 / 32768)))
    if not (-15 <= scale.shift <= 0 and -15 <= gate.shift <= 31):
        raise unsupported(
            operator,
            f"its scales {operator.input.scale:g} and {operator.output.scale:g} are out of the "
            "range of 16-bit arithmetic",
            hint="convert the model again with calibration data that is typical",
        )
    scale_factor, gate_factor = _to_16_bits(scale.multiplier), _to_16_bits(gate.multiplier)
    zero_point = operator.output.zero_point

    def of_value(value: int) -> int:
        fine = value << 7
        scaled = _high_multiply_16(fine, scale_factor)
        opening = fine
        if gate.shift > 0:
            opening = _saturate_16(opening << (gate.shift - 1))
        opening = _high_multiply_16(opening, gate_factor)
        if gate.shift > 0:
            opening = _saturate_16(opening << 1)
        opening = divide_by_power(opening, max(-gate.shift, 0))
        opening = (opening + (1 << 15)) >> 1
        # This product is rounded towards zero.
        product = math.trunc(opening * scaled / 2**15)
        return divide_by_power(product, -scale.shift) + zero_point

    return of_value


def _to_16_bits(multiplier: int) -> int:
    return min((multiplier + (1 << 15)) >> 16, 2**15 - 1)


def _high_multiply_16(a: int, b: int) -> int:
    return (a * b + 2**14) >> 15


def _saturate_16(value: int) -> int:
    return max(-(2**15), min(2**15 - 1, value))


def _logistic(operator: Logistic) -> Callable[[int], int]:
    scale = _fixed_output(operator, operator.input, 1 / 256, -128)
    return lambda value: logistic(value, scale) - 128


def _tanh(operator: Tanh) -> Callable[[int], int]:
    scale = _fixed_output(operator, operator.input, 1 / 128, 0)
    return lambda value: tanh(value, scale)


def _fixed_output(operator: Operator, source: Tensor, scale: float, zero_point: int) -> float:
    """The input's scale, where the output is quantized as the operator's arithmetic has it."""
    output = operator.output
    if (output.scale, output.zero_point) != (scale, zero_point):
        raise unsupported(
            operator,
            f"its output has scale {output.scale:g} and zero point {output.zero_point}; "
            f"1/{round(1 / scale)} and {zero_point} are supported, as converters write",
        )
    if source.scale < _LEAST_SCALE:
        raise unsupported(operator, f"its input's scale {source.scale:g} is below 2**-28")
    return source.scale


def _single_ratio(source: Tensor, output: Tensor) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(source.scale) / np.float32(output.scale))


def _rescale(operator: Any, real: float) -> Rescale:
    """A multiplier of a value minus its zero point, which 9 bits and a sign hold."""
    by = rescale(real) if math.isfinite(real) else None
    if by is None or 255 << by.left > INT32_MAX:
        raise unsupported(
            operator,
            f"its scales multiply by {real:g}, which overflows 32 bits",
            hint="convert the model again with calibration data that is typical",
        )
    return by
