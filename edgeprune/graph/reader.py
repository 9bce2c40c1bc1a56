"""A .tflite file to a :class:`Graph`: every index, size and type checked before it is used."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from edgeprune.errors import EdgepruneError, MalformedModelError, UnsupportedError
from edgeprune.graph.kinds import KINDS, Site
from edgeprune.graph.model import Graph
from edgeprune.graph.operators import Operator
from edgeprune.graph.schema import (
    RawModel,
    RawOperator,
    RawTensor,
    extract,
    operator_name,
    type_name,
)
from edgeprune.graph.tensor import DType, Quantization, Tensor

__all__ = ["SUPPORTED_OPERATORS", "read_graph"]

#: The schema's names of the operators that edgeprune compiles.
SUPPORTED_OPERATORS: tuple[str, ...] = tuple(operator_name(code) for code in KINDS)

#: The largest file. Metadata may be most of it.
_MOST_FILE_BYTES = 1 << 26
#: The largest tensor, and the most weights together: above what any microcontroller holds.
_MOST_TENSOR_BYTES = 1 << 24
#: Of one model; networks for microcontrollers have tens.
_MOST_OPERATORS = 1024
#: Of a tensor's shape; networks have four.
_MOST_DIMENSIONS = 8

#: What an operator has in place of an optional input's number.
_LEFT_OUT = -1

_DTYPES: Mapping[int, DType] = MappingProxyType(
    {tflite.TensorType.INT8: "int8", tflite.TensorType.INT32: "int32"}
)


def read_graph(source: bytes | Path, *, name: str | None = None) -> Graph:
    """Read a full-int8 network of one subgraph, one input and one output.

    Args:
        source: the file's content, or its path.
        name: what errors call the model; the path by default.

    Raises:
        MalformedModelError: not a .tflite file, truncated, damaged, or inconsistent in itself.
        UnsupportedError: a valid model with an operator, type or shape that edgeprune lacks.
    """
    where = name if name is not None else "model" if isinstance(source, bytes) else str(source)
    try:
        content = source if isinstance(source, bytes) else _load(source)
        if len(content) > _MOST_FILE_BYTES:
            raise UnsupportedError(
                f"it has more than {_MOST_FILE_BYTES} bytes, the most that is read"
            )
        return _Reader(extract(content)).graph(hashlib.sha256(content).hexdigest())
    except (MalformedModelError, UnsupportedError) as error:
        error.where = f"{where}: {error.where}" if error.where else where
        raise


def _load(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise MalformedModelError(
            f"can't be read: {error.strerror}", hint="check the path"
        ) from error


class _Reader:
    """Turns raw values into checked ones; the tensors are made once, on first use."""

    def __init__(self, raw: RawModel) -> None:
        self._raw = raw
        self._tensors: dict[int, Tensor] = {}

    def graph(self, digest: str) -> Graph:
        raw = self._raw
        first = self._end("input", raw.inputs)
        last = self._end("output", raw.outputs)
        if not raw.operators:
            raise UnsupportedError("the model has no operator: there is nothing to compile")
        if len(raw.operators) > _MOST_OPERATORS:
            raise UnsupportedError(
                f"the model has {len(raw.operators)} operators; {_MOST_OPERATORS} is the most"
            )
        if first.is_constant:
            raise MalformedModelError(f"the model's input, tensor {first}, is a constant")
        operators: list[Operator] = []
        written = {first.index}
        weights = 0
        for index, raw_operator in enumerate(raw.operators):
            operator = self._operator(index, raw_operator)
            self._check_order(operator, written)
            written.add(operator.output.index)
            operators.append(operator)
            # A weight that many layers share counts for each, as each gets its own copy in C.
            weights += operator.weight_bytes
            if weights > _MOST_TENSOR_BYTES:
                raise UnsupportedError(
                    f"its layers have more than {_MOST_TENSOR_BYTES} bytes of weights, the most "
                    "that is read"
                )
        if last.index not in written:
            raise MalformedModelError(f"no operator writes the model's output, tensor {last}")
        tensors = tuple(self._tensors[index] for index in sorted(self._tensors))
        return Graph(
            tensors=tensors, operators=tuple(operators), input=first, output=last, digest=digest
        )

    def _end(self, what: str, indices: tuple[int, ...]) -> Tensor:
        if len(indices) != 1:
            raise UnsupportedError(
                f"the model has {len(indices)} {what}s; edgeprune compiles models with one"
            )
        tensor = self.tensor(indices[0])
        if tensor.dtype != "int8":
            raise UnsupportedError(
                f"the model's {what}, tensor {tensor}, is {tensor.dtype}; int8 is supported",
                hint="convert with full-integer quantization and int8 input and output",
            )
        return tensor

    def _check_order(self, operator: Operator, written: set[int]) -> None:
        for tensor in operator.inputs:
            if tensor.index not in written:
                raise MalformedModelError(
                    f"{operator} reads tensor {tensor} before any operator has written it"
                )
        output = operator.output
        if output.is_constant or output.index in written:
            what = "is a constant" if output.is_constant else "already holds a value"
            raise MalformedModelError(f"{operator} writes tensor {output}, which {what}")

    def _operator(self, index: int, raw: RawOperator) -> Operator:
        described = self._describe(index, raw)
        if raw.code not in KINDS:
            raise UnsupportedError(
                f"{described} is not among the operators that edgeprune compiles",
                hint=f"supported: {', '.join(SUPPORTED_OPERATORS)}",
            )
        kind = KINDS[raw.code]
        if not kind.oldest <= raw.version <= kind.newest:
            raise UnsupportedError(
                f"{described}: its version is not supported",
                hint=f"supported: versions {kind.oldest} to {kind.newest}",
            )
        if not kind.fewest_inputs <= len(raw.inputs) <= kind.most_inputs or len(raw.outputs) != 1:
            raise MalformedModelError(
                f"{described} has {len(raw.inputs)} inputs and {len(raw.outputs)} outputs"
            )
        site = Site(
            described=described,
            index=index,
            kind=raw.kind,
            version=raw.version,
            inputs=tuple(None if i == _LEFT_OUT else self.tensor(i) for i in raw.inputs),
            output=self.tensor(raw.outputs[0]),
            options=raw.options,
        )
        return kind.build(site)

    def _describe(self, index: int, raw: RawOperator) -> str:
        name = "nothing"
        if raw.outputs and 0 <= raw.outputs[0] < len(self._raw.tensors):
            name = repr(self._raw.tensors[raw.outputs[0]].name)
        return f"operator {index}, {raw.kind} version {raw.version}, which writes {name},"

    def tensor(self, index: int) -> Tensor:
        """The tensor of a number in the file.

        Raises:
            MalformedModelError: there is none, or it is inconsistent.
            UnsupportedError: its type, shape or storage is not supported.
        """
        if not 0 <= index < len(self._raw.tensors):
            raise MalformedModelError(
                f"tensor {index} is used; the file has {len(self._raw.tensors)} tensors"
            )
        if index not in self._tensors:
            raw = self._raw.tensors[index]
            try:
                self._tensors[index] = self._make(index, raw)
            except EdgepruneError as error:
                error.where = f"tensor {index} {raw.name!r}"
                raise
        return self._tensors[index]

    def _make(self, index: int, raw: RawTensor) -> Tensor:
        if raw.type_code not in _DTYPES:
            raise UnsupportedError(
                f"its type is {type_name(raw.type_code)}; int8 (and int32 for biases) is supported",
                hint="convert with full-integer quantization and int8 input and output",
            )
        if raw.is_variable or raw.is_sparse:
            what = "a variable" if raw.is_variable else "stored in TensorFlow's sparse format"
            raise UnsupportedError(f"it is {what}, which is not supported")
        dtype = _DTYPES[raw.type_code]
        shape = _checked_shape(raw, np.dtype(dtype).itemsize)
        return Tensor(
            index=index,
            name=raw.name,
            shape=shape,
            dtype=dtype,
            quantization=_checked_quantization(raw, shape),
            data=self._data(raw, shape, dtype),
        )

    def _data(
        self, raw: RawTensor, shape: tuple[int, ...], dtype: DType
    ) -> npt.NDArray[Any] | None:
        if not 0 <= raw.buffer < len(self._raw.buffers):
            raise MalformedModelError(
                f"its buffer is {raw.buffer}; the file has {len(self._raw.buffers)} buffers"
            )
        content = self._raw.buffers[raw.buffer]
        if content.size == 0:
            return None
        # The file is little-endian, whatever this machine is.
        stored = np.dtype(dtype).newbyteorder("<")
        expected = math.prod(shape) * stored.itemsize
        if content.size != expected:
            raise MalformedModelError(
                f"its buffer holds {content.size} bytes; {dtype} {list(shape)} needs {expected}"
            )
        # A view: many tensors may share one large buffer.
        values = np.frombuffer(content, dtype=stored).astype(dtype, copy=False).reshape(shape)
        values.flags.writeable = False
        return values


def _checked_shape(raw: RawTensor, item_bytes: int) -> tuple[int, ...]:
    shape = raw.shape
    if len(shape) > _MOST_DIMENSIONS:
        raise UnsupportedError(f"it has {len(shape)} dimensions; {_MOST_DIMENSIONS} is the most")
    if any(size < 0 for size in shape) or any(size < -1 for size in raw.signature):
        raise MalformedModelError(f"its shape is {list(shape)}")
    # Converters leave the batch open and write 1 into the shape; that is a fixed shape to us.
    if -1 in raw.signature[1:] or 0 in shape:
        raise UnsupportedError(
            f"its shape {list(raw.signature or shape)} is not fixed",
            hint="convert with fixed shapes and a batch of 1",
        )
    if math.prod(shape) * item_bytes > _MOST_TENSOR_BYTES:
        raise UnsupportedError(
            f"its shape {list(shape)} takes more than {_MOST_TENSOR_BYTES} bytes, the most that "
            "is read"
        )
    return shape


def _checked_quantization(raw: RawTensor, shape: tuple[int, ...]) -> Quantization | None:
    scales = raw.scales
    if not scales:
        return None
    zero_points = raw.zero_points or (0,) * len(scales)
    if len(zero_points) != len(scales):
        raise MalformedModelError(f"it has {len(scales)} scales and {len(zero_points)} zero points")
    if not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise MalformedModelError("it has a scale that is not a positive number")
    if raw.type_code == tflite.TensorType.INT8 and not all(-128 <= z <= 127 for z in zero_points):
        raise MalformedModelError("it has a zero point outside int8")
    axis = raw.axis if len(scales) > 1 else 0
    if len(scales) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scales)):
        raise MalformedModelError(
            f"it has {len(scales)} scales along dimension {axis} of {list(shape)}"
        )
    return Quantization(scales=scales, zero_points=zero_points, axis=axis)
