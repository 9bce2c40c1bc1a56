"""The attributes of operators: which table of the schema holds them, and what is read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import tflite
from tflite import BuiltinOperator

__all__ = ["read_options"]


@dataclass(frozen=True)
class _Table:
    """A table of options: its class in the ``tflite`` package, and accessors to call."""

    name: str
    fields: tuple[str, ...]

    @property
    def code(self) -> int:
        """Its place in the schema's union of options."""
        return int(getattr(tflite.BuiltinOptions, self.name))

    @property
    def accessors(self) -> type[Any]:
        """The generated class."""
        accessors: type[Any] = getattr(tflite, self.name)
        return accessors


_CONVOLUTION = (
    "Padding",
    "StrideH",
    "StrideW",
    "DilationHFactor",
    "DilationWFactor",
    "FusedActivationFunction",
)
_POOL = _Table(
    "Pool2DOptions",
    (
        "Padding",
        "StrideH",
        "StrideW",
        "FilterHeight",
        "FilterWidth",
        "FusedActivationFunction",
    ),
)
_STRIDED_SLICE = (
    "BeginMask",
    "EndMask",
    "EllipsisMask",
    "NewAxisMask",
    "ShrinkAxisMask",
    "Offset",
)

#: Builtin code to its table; the other operators have no attribute that matters.
_TABLES: Mapping[int, _Table] = MappingProxyType(
    {
        BuiltinOperator.CONV_2D: _Table("Conv2DOptions", _CONVOLUTION),
        BuiltinOperator.DEPTHWISE_CONV_2D: _Table("DepthwiseConv2DOptions", _CONVOLUTION),
        BuiltinOperator.FULLY_CONNECTED: _Table(
            "FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat")
        ),
        BuiltinOperator.AVERAGE_POOL_2D: _POOL,
        BuiltinOperator.MAX_POOL_2D: _POOL,
        BuiltinOperator.MEAN: _Table("ReducerOptions", ("KeepDims",)),
        BuiltinOperator.ADD: _Table("AddOptions", ("FusedActivationFunction",)),
        BuiltinOperator.SUB: _Table("SubOptions", ("FusedActivationFunction",)),
        BuiltinOperator.MUL: _Table("MulOptions", ("FusedActivationFunction",)),
        BuiltinOperator.SOFTMAX: _Table("SoftmaxOptions", ("Beta",)),
        BuiltinOperator.LEAKY_RELU: _Table("LeakyReluOptions", ("Alpha",)),
        BuiltinOperator.CONCATENATION: _Table(
            "ConcatenationOptions", ("Axis", "FusedActivationFunction")
        ),
        BuiltinOperator.SPLIT: _Table("SplitOptions", ("NumSplits",)),
        BuiltinOperator.SPLIT_V: _Table("SplitVOptions", ("NumSplits",)),
        BuiltinOperator.STRIDED_SLICE: _Table("StridedSliceOptions", _STRIDED_SLICE),
        BuiltinOperator.CALL_ONCE: _Table("CallOnceOptions", ("InitSubgraphIndex",)),
        BuiltinOperator.VAR_HANDLE: _Table("VarHandleOptions", ("Container", "SharedName")),
    }
)


def read_options(operator: Any, code: int) -> dict[str, Any]:
    """The attributes of an operator, by the names of the generated accessors.

    Args:
        operator: the generated accessor of the operator's table.
        code: what it is; a table of another kind's attributes counts as none.
    """
    table, held = _TABLES.get(code), operator.BuiltinOptions()
    if table is None or held is None or operator.BuiltinOptionsType() != table.code:
        return {}
    options = table.accessors()
    options.Init(held.Bytes, held.Pos)
    return {name: getattr(options, name)() for name in table.fields}
