"""Plain values out of a .tflite file, through the generated classes of the ``tflite`` package.

The generated accessors check nothing: an offset that points nowhere raises whatever Python raises
there. :func:`extract` is the one place that touches them and the one place that turns such errors
into :class:`MalformedModelError`; what it returns holds no flatbuffer any more.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite
from tflite.utils import BUILTIN_OPCODE2NAME

from edgeprune.errors import MalformedModelError, UnsupportedError

__all__ = ["RawModel", "RawOperator", "RawTensor", "extract", "operator_name", "type_name"]

#: The root offset and the file identifier.
_HEADER_BYTES = 8
#: Version 3 is the only one that was ever published.
_SCHEMA_VERSION = 3
#: The most tensors, operators or buffers that are read; the largest networks have thousands.
_MOST = 65_536
#: The code that stands for "see the wider field" in files written since 2020.
_CUSTOM = 32


@dataclass(frozen=True)
class RawTensor:
    """A tensor as the file has it; nothing is checked but that it could be read."""

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    type_code: int
    buffer: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    is_variable: bool
    is_sparse: bool


@dataclass(frozen=True)
class RawOperator:
    """An operator as the file has it; ``options`` maps attribute to value."""

    code: int
    custom: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The operator's name in the schema."""
        return f"CUSTOM {self.custom!r}" if self.code == _CUSTOM else operator_name(self.code)


@dataclass(frozen=True)
class RawModel:
    """The only subgraph of a file."""

    tensors: tuple[RawTensor, ...]
    operators: tuple[RawOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    buffers: tuple[npt.NDArray[np.uint8], ...]


def operator_name(code: int) -> str:
    """The schema's name of a builtin operator."""
    return str(BUILTIN_OPCODE2NAME.get(code, f"operator code {code}"))


def type_name(code: int) -> str:
    """The schema's name of a tensor type, in lower case."""
    names = {value: name for name, value in vars(tflite.TensorType).items() if name.isupper()}
    return str(names.get(code, f"type code {code}")).lower()


def extract(content: bytes) -> RawModel:
    """Read the file into plain values.

    Args:
        content: the whole file.

    Raises:
        MalformedModelError: not a .tflite file, truncated, or damaged.
        UnsupportedError: several subgraphs, or weights that lie outside the flatbuffer.
    """
    if len(content) < _HEADER_BYTES:
        raise MalformedModelError(
            f"{len(content)} bytes are too few for a .tflite file", hint="check the file"
        )
    if not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise MalformedModelError(
            "the file identifier TFL3 is missing: this is not a .tflite file",
            hint="give a TensorFlow Lite model, not a saved model or a Keras file",
        )
    with _damage_reported():
        return _read_model(content)


@contextmanager
def _damage_reported() -> Iterator[None]:
    try:
        yield
    except (
        struct.error,  # an offset or a number that leaves the buffer
        IndexError,
        ValueError,  # numpy: a vector longer than the buffer; Unicode
        TypeError,  # the accessors call methods of None
        AttributeError,
        OverflowError,
    ) as error:
        raise MalformedModelError(
            f"the file is truncated or damaged: {error}", hint="copy or convert the model again"
        ) from error


def _read_model(content: bytes) -> RawModel:
    model = tflite.Model.GetRootAs(content, 0)
    if model.Version() != _SCHEMA_VERSION:
        raise MalformedModelError(
            f"schema version {model.Version()}; {_SCHEMA_VERSION} is the only one that exists"
        )
    subgraphs = _count("subgraphs", model.SubgraphsLength())
    if subgraphs == 0:
        raise MalformedModelError("the file holds no subgraph")
    if subgraphs > 1:
        raise UnsupportedError(
            f"the model has {subgraphs} subgraphs; edgeprune compiles models with one",
            hint="convert it without control flow and without signatures of several functions",
        )
    codes = [
        model.OperatorCodes(index)
        for index in range(_count("operator codes", model.OperatorCodesLength()))
    ]
    subgraph = model.Subgraphs(0)
    tensors = range(_count("tensors", subgraph.TensorsLength()))
    operators = range(_count("operators", subgraph.OperatorsLength()))
    buffers = range(_count("buffers", model.BuffersLength()))
    return RawModel(
        tensors=tuple(_read_tensor(subgraph.Tensors(index)) for index in tensors),
        operators=tuple(_read_operator(subgraph.Operators(index), codes) for index in operators),
        inputs=_integers(subgraph.InputsLength(), subgraph.InputsAsNumpy),
        outputs=_integers(subgraph.OutputsLength(), subgraph.OutputsAsNumpy),
        buffers=tuple(_read_buffer(model.Buffers(index)) for index in buffers),
    )


def _count(what: str, length: int) -> int:
    if length > _MOST:
        raise MalformedModelError(f"the file claims {length} {what}; {_MOST} is the most")
    return length


def _integers(length: int, read: Callable[[], Any]) -> tuple[int, ...]:
    if _count("entries of a list", length) == 0:
        return ()
    return tuple(int(value) for value in read())


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", errors="replace")


def _read_buffer(buffer: Any) -> npt.NDArray[np.uint8]:
    if buffer.Offset() > 1:
        raise UnsupportedError(
            "weights lie outside the flatbuffer, as in models above 2 GB",
            hint="no microcontroller holds such a model",
        )
    if buffer.DataLength() == 0:
        return np.zeros(0, dtype=np.uint8)
    data: npt.NDArray[np.uint8] = buffer.DataAsNumpy()
    return data


def _read_tensor(tensor: Any) -> RawTensor:
    quantization = tensor.Quantization()
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    if quantization is not None:
        if _count("scales", quantization.ScaleLength()):
            scales = tuple(float(value) for value in quantization.ScaleAsNumpy())
        zero_points = _integers(quantization.ZeroPointLength(), quantization.ZeroPointAsNumpy)
    return RawTensor(
        name=_text(tensor.Name()),
        shape=_integers(tensor.ShapeLength(), tensor.ShapeAsNumpy),
        signature=_integers(tensor.ShapeSignatureLength(), tensor.ShapeSignatureAsNumpy),
        type_code=tensor.Type(),
        buffer=tensor.Buffer(),
        scales=scales,
        zero_points=zero_points,
        axis=0 if quantization is None else quantization.QuantizedDimension(),
        is_variable=tensor.IsVariable(),
        is_sparse=tensor.Sparsity() is not None,
    )


def _read_operator(operator: Any, codes: list[Any]) -> RawOperator:
    code = codes[operator.OpcodeIndex()]
    # Files since 2020 have the code in a wider field; older ones only in the narrow one.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return RawOperator(
        code=number,
        custom=_text(code.CustomCode()),
        version=code.Version(),
        inputs=_integers(operator.InputsLength(), operator.InputsAsNumpy),
        outputs=_integers(operator.OutputsLength(), operator.OutputsAsNumpy),
        options=_read_options(operator),
    )


#: Attributes that are read of the options of each kind, by the generated accessor's name.
_OPTIONS: Mapping[int, tuple[type[Any], tuple[str, ...]]] = MappingProxyType(
    {
        tflite.BuiltinOptions.Conv2DOptions: (
            tflite.Conv2DOptions,
            (
                "Padding",
                "StrideH",
                "StrideW",
                "DilationHFactor",
                "DilationWFactor",
                "FusedActivationFunction",
            ),
        ),
        tflite.BuiltinOptions.DepthwiseConv2DOptions: (
            tflite.DepthwiseConv2DOptions,
            (
                "Padding",
                "StrideH",
                "StrideW",
                "DilationHFactor",
                "DilationWFactor",
                "FusedActivationFunction",
            ),
        ),
        tflite.BuiltinOptions.FullyConnectedOptions: (
            tflite.FullyConnectedOptions,
            ("FusedActivationFunction", "WeightsFormat"),
        ),
        tflite.BuiltinOptions.Pool2DOptions: (
            tflite.Pool2DOptions,
            (
                "Padding",
                "StrideH",
                "StrideW",
                "FilterHeight",
                "FilterWidth",
                "FusedActivationFunction",
            ),
        ),
        tflite.BuiltinOptions.ReducerOptions: (tflite.ReducerOptions, ("KeepDims",)),
        tflite.BuiltinOptions.AddOptions: (tflite.AddOptions, ("FusedActivationFunction",)),
        tflite.BuiltinOptions.SoftmaxOptions: (tflite.SoftmaxOptions, ("Beta",)),
    }
)


def _read_options(operator: Any) -> dict[str, Any]:
    kind, table = operator.BuiltinOptionsType(), operator.BuiltinOptions()
    if kind not in _OPTIONS or table is None:
        return {}
    options_class, names = _OPTIONS[kind]
    options = options_class()
    options.Init(table.Bytes, table.Pos)
    return {name: getattr(options, name)() for name in names}
