"""Activations, QUANTIZE and DEQUANTIZE in plain C."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.kernels.activation_maps import UnaryMap, byte_map
from edgeprune.codegen.kernels.movement import move
from edgeprune.codegen.lowering import Constant, Field, Kernel, Lowered, Overlap, unsupported
from edgeprune.cores import Core
from edgeprune.graph import (
    Dequantize,
    HardSwish,
    LeakyRelu,
    Logistic,
    Quantize,
    Relu,
    Tanh,
)

__all__ = ["DEQUANTIZE", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "RELU", "TANH"]

_BYTES = np.arange(256, dtype=np.uint8)
#: Of a float32.
_FRACTION_BITS = 23
_INFINITE_EXPONENT = 255


def _lower_map(operator: UnaryMap, _core: Core) -> Lowered:
    table = byte_map(operator)
    if np.array_equal(table, _BYTES):
        return move(operator.input, operator.output)
    if np.array_equal(table, _BYTES ^ 0x80):
        return _lowered(operator, "flip_sign", {})
    limits = _limits(operator, table)
    if limits is not None:
        return _lowered(operator, "clip", {"low": limits[0], "high": limits[1]})
    return _lowered(operator, "map", {"table": Constant("table", table.view(np.int8))})


def _limits(operator: UnaryMap, table: npt.NDArray[np.uint8]) -> tuple[int, int] | None:
    """What the map clips int8 values to, if it does nothing else."""
    if operator.input.dtype != "int8" or operator.output.dtype != "int8":
        return None
    mapped = table.view(np.int8).astype(np.int64)
    low, high = int(mapped.min()), int(mapped.max())
    is_clip = np.array_equal(mapped, np.clip(_BYTES.view(np.int8), low, high))
    return (low, high) if is_clip else None


def _lowered(operator: UnaryMap, kind: str, parameters: dict[str, Field]) -> Lowered:
    return Lowered(
        function=f"edgeprune_kernel_{kind}",
        struct=f"edgeprune_{kind}",
        header="kernel_map.h",
        sources=("kernel_map.c", "kernel_map.h"),
        parameters={**parameters, "count": operator.output.elements},
        inputs=operator.inputs,
        overlap=Overlap(),
    )


def _lower_dequantize(operator: Dequantize, _core: Core) -> Lowered:
    source = operator.input
    (bits,) = np.array([source.scale], dtype=np.float32).view(np.uint32).tolist()
    exponent, fraction = bits >> _FRACTION_BITS, bits & ((1 << _FRACTION_BITS) - 1)
    # Products are up to 2**8 larger than the scale.
    if not 1 <= exponent <= _INFINITE_EXPONENT - 10:
        raise unsupported(operator, f"its input's scale {source.scale:g} is too small or too large")
    is_signed = source.dtype == "int8"
    return Lowered(
        function="edgeprune_kernel_dequantize",
        struct="edgeprune_dequantize",
        header="kernel_dequantize.h",
        sources=("kernel_dequantize.c", "kernel_dequantize.h"),
        parameters={
            "mantissa": fraction | 1 << _FRACTION_BITS,
            "exponent": exponent,
            # The kernel reads bytes as int8; what flipping adds is subtracted again.
            "flip": 0 if is_signed else -128,
            "offset": (0 if is_signed else 128) - source.zero_point,
            "count": source.elements,
        },
        inputs=operator.inputs,
    )


HARD_SWISH = Kernel(HardSwish, _lower_map)
LEAKY_RELU = Kernel(LeakyRelu, _lower_map)
LOGISTIC = Kernel(Logistic, _lower_map)
QUANTIZE = Kernel(Quantize, _lower_map)
RELU = Kernel(Relu, _lower_map)
TANH = Kernel(Tanh, _lower_map)
DEQUANTIZE = Kernel(Dequantize, _lower_dequantize)
