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
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite
from tflite.utils import BUILTIN_OPCODE2NAME

from edgeprune.errors import MalformedModelError, UnsupportedError
from edgeprune.graph.options import read_options

__all__ = [
    "MOST_OPERATORS",
    "RawModel",
    "RawOperator",
    "RawSubgraph",
    "RawTensor",
    "extract",
    "operator_name",
    "type_name",
]

#: The root offset and the file identifier.
_HEADER_BYTES = 8
#: Version 3 is the only one that was ever published.
_SCHEMA_VERSION = 3
#: What is read of one file in all. Tables and vectors may overlap, so that a small file can claim
#: far more of them than its own size; the largest networks have thousands of tables.
_MOST_TABLES = 1 << 14
_MOST_VALUES = 1 << 18
_MOST_TEXT_BYTES = 1 << 22
#: Operators of one subgraph; networks for microcontrollers have tens.
MOST_OPERATORS = 1024
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
class RawSubgraph:
    """Tensors and the operators that use them by number."""

    tensors: tuple[RawTensor, ...]
    operators: tuple[RawOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class RawModel:
    """A whole file; the first subgraph is the network."""

    subgraphs: tuple[RawSubgraph, ...]
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
        UnsupportedError: too many operators, or weights that lie outside the flatbuffer.
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


class _Budget:
    """Counts down what may still be read of a file."""

    def __init__(self) -> None:
        self._left = {"tables": _MOST_TABLES, "values": _MOST_VALUES, "text": _MOST_TEXT_BYTES}

    def tables(self, what: str, length: int) -> range:
        """Numbers of a list of tables."""
        self._take("tables", length, f"{length} {what}")
        return range(length)

    def integers(self, length: int, read: Callable[[], Any]) -> tuple[int, ...]:
        """A vector of integers."""
        self._take("values", length, f"a list of {length} numbers")
        return tuple(int(value) for value in read()) if length else ()

    def reals(self, length: int, read: Callable[[], Any]) -> tuple[float, ...]:
        """A vector of real numbers."""
        self._take("values", length, f"a list of {length} numbers")
        return tuple(float(value) for value in read()) if length else ()

    def text(self, value: bytes | None) -> str:
        """A string."""
        if value is None:
            return ""
        self._take("text", len(value), f"a text of {len(value)} bytes")
        return value.decode("utf-8", errors="replace")

    def _take(self, kind: str, amount: int, what: str) -> None:
        self._left[kind] -= amount
        if self._left[kind] < 0:
            raise MalformedModelError(
                f"the file claims {what}, more than a network for a microcontroller can have"
            )


def _read_model(content: bytes) -> RawModel:
    model = tflite.Model.GetRootAs(content, 0)
    if model.Version() != _SCHEMA_VERSION:
        raise MalformedModelError(
            f"schema version {model.Version()}; {_SCHEMA_VERSION} is the only one that exists"
        )
    budget = _Budget()
    subgraphs = budget.tables("subgraphs", model.SubgraphsLength())
    if not subgraphs:
        raise MalformedModelError("the file holds no subgraph")
    codes = [
        model.OperatorCodes(index)
        for index in budget.tables("operator codes", model.OperatorCodesLength())
    ]
    buffers = budget.tables("buffers", model.BuffersLength())
    return RawModel(
        subgraphs=tuple(
            _read_subgraph(model.Subgraphs(index), codes, budget) for index in subgraphs
        ),
        buffers=tuple(_read_buffer(model.Buffers(index)) for index in buffers),
    )


def _read_subgraph(subgraph: Any, codes: list[Any], budget: _Budget) -> RawSubgraph:
    tensors = budget.tables("tensors", subgraph.TensorsLength())
    operators = budget.tables("operators", subgraph.OperatorsLength())
    if len(operators) > MOST_OPERATORS:
        raise UnsupportedError(
            f"the model has {len(operators)} operators; {MOST_OPERATORS} is the most"
        )
    return RawSubgraph(
        tensors=tuple(_read_tensor(subgraph.Tensors(index), budget) for index in tensors),
        operators=tuple(
            _read_operator(subgraph.Operators(index), index, codes, budget) for index in operators
        ),
        inputs=budget.integers(subgraph.InputsLength(), subgraph.InputsAsNumpy),
        outputs=budget.integers(subgraph.OutputsLength(), subgraph.OutputsAsNumpy),
    )


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


def _read_tensor(tensor: Any, budget: _Budget) -> RawTensor:
    quantization = tensor.Quantization()
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    if quantization is not None:
        scales = budget.reals(quantization.ScaleLength(), quantization.ScaleAsNumpy)
        zero_points = budget.integers(quantization.ZeroPointLength(), quantization.ZeroPointAsNumpy)
    return RawTensor(
        name=budget.text(tensor.Name()),
        shape=budget.integers(tensor.ShapeLength(), tensor.ShapeAsNumpy),
        signature=budget.integers(tensor.ShapeSignatureLength(), tensor.ShapeSignatureAsNumpy),
        type_code=tensor.Type(),
        buffer=tensor.Buffer(),
        scales=scales,
        zero_points=zero_points,
        axis=0 if quantization is None else quantization.QuantizedDimension(),
        is_variable=tensor.IsVariable(),
        is_sparse=tensor.Sparsity() is not None,
    )


def _read_operator(operator: Any, index: int, codes: list[Any], budget: _Budget) -> RawOperator:
    if operator.OpcodeIndex() >= len(codes):
        raise MalformedModelError(
            f"operator {index} has the code {operator.OpcodeIndex()}; the file has {len(codes)}"
        )
    code = codes[operator.OpcodeIndex()]
    # Files since 2020 have the code in a wider field; older ones only in the narrow one.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    options = read_options(operator, number)
    return RawOperator(
        code=number,
        custom=budget.text(code.CustomCode()),
        version=code.Version(),
        inputs=budget.integers(operator.InputsLength(), operator.InputsAsNumpy),
        outputs=budget.integers(operator.OutputsLength(), operator.OutputsAsNumpy),
        options={
            name: budget.text(value) if isinstance(value, bytes) else value
            for name, value in options.items()
        },
    )
