"""What a network must compute: LiteRT's reference kernels, and where TFLite Micro's differ, those.

They differ in FULLY_CONNECTED, which LiteRT rounds once and TFLite Micro twice; and in LOGISTIC and
TANH of inputs with a scale above 1. The formula here is written in real numbers, on purpose another
way than the code that it checks.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, frexp

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeprune.graph import FullyConnected


class Reference:
    """A network under LiteRT's reference kernels; every tensor can be looked at."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]

    def invoke(self, values: np.ndarray) -> None:
        """Run one inference."""
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()

    def tensor(self, index: int) -> np.ndarray:
        """A tensor after the inference."""
        return np.asarray(self._interpreter.get_tensor(index))


def round_half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def round_half_away(value: Fraction) -> int:
    return round_half_up(value) if value >= 0 else -round_half_up(-value)


def rescale_twice(accumulator: int, real: float) -> int:
    """An accumulator times a real multiplier, rounded twice (gemmlowp; Jacob et al. 2017)."""
    fraction, exponent = frexp(real)
    multiplier = Fraction(round_half_away(Fraction(fraction) * 2**31), 2**31)
    left, right = max(exponent, 0), max(-exponent, 0)
    high = round_half_up(accumulator * 2**left * multiplier)
    return round_half_away(Fraction(high, 2**right))


def fully_connected(layer: FullyConnected, values: np.ndarray) -> np.ndarray:
    """FULLY_CONNECTED as TFLite Micro computes it, for the activations none and relu."""
    weights = np.asarray(layer.weights.data).astype(np.int64)
    depth = weights.shape[1]
    centred = values.reshape(-1, depth).astype(np.int64) - layer.input.zero_point
    sums = centred @ weights.T
    if layer.bias is not None:
        sums = sums + np.asarray(layer.bias.data).astype(np.int64)
    scales = layer.weights.quantization.scales
    if len(scales) == 1:
        product = float(np.float32(layer.input.scale) * np.float32(scales[0]))
        reals = [product / layer.output.scale] * weights.shape[0]
    else:
        reals = [layer.input.scale * scale / layer.output.scale for scale in scales]
    low = {"none": -128, "relu": max(-128, layer.output.zero_point)}[layer.activation]
    result = [
        [
            min(127, max(low, rescale_twice(int(total), real) + layer.output.zero_point))
            for total, real in zip(row, reals, strict=True)
        ]
        for row in sums
    ]
    return np.array(result, dtype=np.int8).reshape(layer.output.shape)
