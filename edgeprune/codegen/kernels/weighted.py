"""What convolutions and FULLY_CONNECTED share: their constants, folded and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.fixed_point import INT32_MAX, Rescale, activation_range, rescale
from edgeprune.codegen.lowering import Constant, Field, unsupported
from edgeprune.graph import (
    Activation,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Operator,
    Tensor,
)

__all__ = [
    "MATRIX_SOURCES",
    "Channels",
    "channels",
    "matrix",
    "matrix_rows",
    "output_range",
    "per_channel",
    "weight_values",
]

MATRIX_SOURCES = ("kernel_matrix.c", "kernel_matrix.h", "kernel_requantize.h")

#: From one int8 value to another; farther from the zero point, an output is clamped anyway.
_LARGEST_DISTANCE = 255
#: Times this, every product of 4 is exact.
_QUARTER = Rescale(1 << 30, -1)

_Weighted = Conv2D | DepthwiseConv2D | FullyConnected


def matrix(
    operator: Conv2D | FullyConnected,
    *,
    groups: int = 1,
    widest: Conv2D | FullyConnected | None = None,
) -> dict[str, Field]:
    """The ``edgeprune_matrix`` of weights that lie in rows, one an output channel.

    Args:
        operator: the layer.
        groups: of output channels; the matrix is that of the first.
        widest: the layer whose weights begin with these, if they are to be taken from them.
    """
    rows = matrix_rows(operator)
    wide = rows if widest is None else matrix_rows(widest)
    return {
        "weights": Constant("weights", wide),
        **per_channel(operator, rows, fold=True),
        "outputs": rows.shape[0] // groups,
        "depth": rows.shape[1],
        "pitch": wide.shape[1],
        "range": output_range(operator.activation, operator.output),
    }


def matrix_rows(operator: Conv2D | FullyConnected) -> npt.NDArray[Any]:
    """The int8 weights ``[outputs, depth]``, one row an output channel."""
    return weight_values(operator).reshape(operator.weights.shape[0], -1)


def weight_values(operator: _Weighted) -> npt.NDArray[Any]:
    """The int8 weights, in the shape of their tensor."""
    if operator.weights.data is None:
        raise unsupported(operator, f"its weights {operator.weights} are not constant")
    return operator.weights.data


def output_range(activation: Activation, output: Tensor) -> dict[str, Field]:
    """The ``edgeprune_range`` of an output tensor."""
    low, high = activation_range(activation, output.scale, output.zero_point)
    zero_point = output.zero_point
    return {"zero_point": zero_point, "low": low - zero_point, "high": high - zero_point}


@dataclass(frozen=True, eq=False)
class Channels:
    """What turns the accumulators of a layer into its output, one value an output channel.

    An accumulator ``a`` gives ``rescale(a, multiplier, shift)`` plus the output's zero point,
    clamped; see ``kernel_requantize.h``.

    Attributes:
        bias: int64, the accumulators' start; within int32.
        reach: int64, the most that an accumulator's absolute value can be.
        multiplier: int64, 0 or from 2**30 to 2**31 - 1.
        shift: int64; positive shifts left.
    """

    bias: npt.NDArray[np.int64]
    reach: npt.NDArray[np.int64]
    multiplier: npt.NDArray[np.int64]
    shift: npt.NDArray[np.int64]


def channels(operator: _Weighted, rows: npt.NDArray[Any], *, fold: bool) -> Channels:
    """Bias, multiplier and shift of every output channel.

    Args:
        operator: the layer.
        rows: int8 weights ``[channels, values]``, one row an output channel.
        fold: whether the bias takes in ``-zero_point * sum(weights)``, which is exact when every
            weight meets a value of the input or the zero point.

    Raises:
        UnsupportedError: an accumulator could overflow 32 bits.
    """
    wide = rows.astype(np.int64)
    bias = np.zeros(wide.shape[0], dtype=np.int64)
    if operator.bias is not None and operator.bias.data is not None:
        bias += operator.bias.data.reshape(-1)
    if fold:
        bias -= operator.input.zero_point * wide.sum(axis=1)
    largest_value = 128 if fold else 255
    reach = np.abs(bias) + largest_value * np.abs(wide).sum(axis=1)
    rescales = _rescales(operator, wide.shape[0])
    for channel, by in enumerate(rescales):
        if int(reach[channel]) << by.left > INT32_MAX:
            raise unsupported(
                operator,
                f"the accumulator of output channel {channel} can reach {reach[channel]}"
                f"{f' * 2**{by.left}' if by.left else ''}, which overflows 32 bits",
                hint="convert the model again with calibration data that is typical",
            )
    heard = np.flatnonzero(wide.any(axis=1)).tolist()
    usual = max((rescales[channel] for channel in heard), key=float, default=_QUARTER)
    for channel in np.flatnonzero(~wide.any(axis=1)).tolist():
        bias[channel], rescales[channel] = _constant(int(bias[channel]), rescales[channel], usual)
        reach[channel] = abs(bias[channel])
    return Channels(
        bias=bias,
        reach=reach,
        multiplier=np.array([by.multiplier for by in rescales], dtype=np.int64),
        shift=np.array([by.shift for by in rescales], dtype=np.int64),
    )


def _constant(bias: int, by: Rescale, usual: Rescale) -> tuple[int, Rescale]:
    """Numbers like other channels' that give what a channel without weights gives: one value.

    Those of the file can be huge: the converter gives such a channel a scale next to nothing, and
    a kernel for small accumulators would have to decline the whole layer.
    """
    output = max(-_LARGEST_DISTANCE, min(_LARGEST_DISTANCE, by(bias)))
    for candidate in (usual, _QUARTER):
        start = round(output / float(candidate)) if candidate.multiplier else 0
        if candidate(start) == output:
            break
    return start, candidate


def per_channel(operator: _Weighted, rows: npt.NDArray[Any], *, fold: bool) -> dict[str, Field]:
    """The arrays of :func:`channels` as the plain kernels take them."""
    by_channel = channels(operator, rows, fold=fold)
    return {
        "bias": Constant("bias", by_channel.bias.astype(np.int32)),
        "multiplier": Constant("multiplier", by_channel.multiplier.astype(np.int32)),
        "shift": Constant("shift", by_channel.shift.astype(np.int8)),
    }


def _rescales(operator: _Weighted, channels: int) -> list[Rescale]:
    """Input scale times weight scale over output scale, of every output channel.

    In double precision, but for a FULLY_CONNECTED of one weight scale: there TensorFlow Lite
    rounds the product of the scales to single precision first.
    """
    quantization = operator.weights.quantization
    if quantization is None:
        raise unsupported(operator, f"its weights {operator.weights} have no scale")
    source, output = operator.input.scale, operator.output.scale
    if isinstance(operator, FullyConnected) and len(quantization.scales) == 1:
        with np.errstate(over="ignore"):
            products = [float(np.float32(source) * np.float32(quantization.scales[0]))]
    else:
        products = [source * scale for scale in quantization.scales]
    rescales = [_checked(operator, product / output) for product in products]
    return rescales * channels if len(rescales) == 1 else rescales


def _checked(operator: Operator, real: float) -> Rescale:
    if real >= 2.0**30:
        raise unsupported(operator, f"its scales multiply by {real:g}, which overflows 32 bits")
    return rescale(real)
