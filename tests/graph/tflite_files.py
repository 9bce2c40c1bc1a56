"""Writes .tflite files without TensorFlow, so that tests can have any network, also broken ones."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

#: Operator to the table that holds its options.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "ADD": "AddOptions",
    "RESHAPE": "ReshapeOptions",
    "SOFTMAX": "SoftmaxOptions",
}


@dataclass
class TensorSpec:
    """A tensor as the file will have it; wrong values are written as they are."""

    shape: Sequence[int]
    dtype: str = "int8"
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0
    data: bytes | None = None
    name: str = ""
    signature: Sequence[int] | None = None
    is_variable: bool = False
    is_sparse: bool = False
    buffer: int | None = None


@dataclass
class OperatorSpec:
    """An operator as the file will have it."""

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    custom: str | None = None


@dataclass
class ModelFile:
    """A network; :meth:`content` writes it."""

    tensors: list[TensorSpec] = field(default_factory=list)
    operators: list[OperatorSpec] = field(default_factory=list)
    inputs: Sequence[int] = (0,)
    outputs: Sequence[int] = ()
    version: int = 3
    identifier: bytes = b"TFL3"
    subgraphs: int = 1

    def tensor(self, shape: Sequence[int], **attributes: Any) -> int:
        """Add a tensor; returns its number."""
        attributes.setdefault("name", f"tensor_{len(self.tensors)}")
        self.tensors.append(TensorSpec(shape, **attributes))
        return len(self.tensors) - 1

    def activation(self, shape: Sequence[int], scale: float = 0.1, zero_point: int = 0) -> int:
        """Add an int8 tensor that the network computes."""
        return self.tensor(shape, scales=[scale], zero_points=[zero_point])

    def constant(self, values: np.ndarray, **attributes: Any) -> int:
        """Add a constant tensor."""
        little = values.astype(values.dtype.newbyteorder("<"))
        return self.tensor(
            values.shape, dtype=values.dtype.name, data=little.tobytes(), **attributes
        )

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        output: int,
        *,
        version: int = 1,
        custom: str | None = None,
        **options: Any,
    ) -> int:
        """Add an operator; options by their name in the schema. Returns the output's number."""
        self.operators.append(OperatorSpec(kind, inputs, [output], options, version, custom))
        self.outputs = [output]
        return output

    def content(self) -> bytes:
        """The file."""
        builder = flatbuffers.Builder(1024)
        buffers = [b""]
        for tensor in self.tensors:
            if tensor.data is not None:
                if tensor.buffer is None:
                    tensor.buffer = len(buffers)
                buffers.append(tensor.data)
        codes = [(each.kind, each.version, each.custom) for each in self.operators]
        unique = list(dict.fromkeys(codes))
        written_codes = [_operator_code(builder, *code) for code in unique]
        subgraphs = [self._subgraph(builder, unique) for _ in range(self.subgraphs)]
        written_buffers = [_buffer(builder, data) for data in buffers]
        model = _table(
            builder,
            "Model",
            Version=self.version,
            OperatorCodes=_offsets(builder, written_codes),
            Subgraphs=_offsets(builder, subgraphs),
            Buffers=_offsets(builder, written_buffers),
        )
        builder.Finish(model, file_identifier=self.identifier)
        return bytes(builder.Output())

    def _subgraph(self, builder: Any, codes: list[tuple[str, int, str | None]]) -> int:
        tensors = [_tensor(builder, tensor) for tensor in self.tensors]
        operators = [
            _operator(builder, each, codes.index((each.kind, each.version, each.custom)))
            for each in self.operators
        ]
        return _table(
            builder,
            "SubGraph",
            Tensors=_offsets(builder, tensors),
            Inputs=_vector(builder, self.inputs, np.int32),
            Outputs=_vector(builder, self.outputs, np.int32),
            Operators=_offsets(builder, operators),
        )


def _table(builder: Any, name: str, **fields: Any) -> int:
    module = importlib.import_module(f"tflite.{name}")
    module.Start(builder)
    for key, value in fields.items():
        if value is not None:
            getattr(module, f"Add{key}")(builder, value)
    return int(module.End(builder))


def _vector(builder: Any, values: Sequence[Any], dtype: Any) -> int:
    return int(builder.CreateNumpyVector(np.array(values, dtype=dtype)))


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _buffer(builder: Any, data: bytes) -> int:
    if not data:
        return _table(builder, "Buffer")
    builder.StartVector(1, len(data), 16)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    vector = int(builder.EndVector())
    return _table(builder, "Buffer", Data=vector)


def _operator_code(builder: Any, kind: str, version: int, custom: str | None) -> int:
    code = getattr(tflite.BuiltinOperator, kind)
    name = builder.CreateString(custom) if custom is not None else None
    return _table(
        builder,
        "OperatorCode",
        DeprecatedBuiltinCode=min(code, 127),
        CustomCode=name,
        Version=version,
        BuiltinCode=code,
    )


def _tensor(builder: Any, spec: TensorSpec) -> int:
    name = builder.CreateString(spec.name)
    shape = _vector(builder, spec.shape, np.int32)
    signature = None if spec.signature is None else _vector(builder, spec.signature, np.int32)
    quantization = None
    if len(spec.scales):
        quantization = _table(
            builder,
            "QuantizationParameters",
            Scale=_vector(builder, spec.scales, np.float32),
            ZeroPoint=_vector(builder, spec.zero_points, np.int64),
            QuantizedDimension=spec.axis,
        )
    sparsity = _table(builder, "SparsityParameters") if spec.is_sparse else None
    return _table(
        builder,
        "Tensor",
        Shape=shape,
        Type=getattr(tflite.TensorType, spec.dtype.upper()),
        Buffer=spec.buffer or 0,
        Name=name,
        Quantization=quantization,
        IsVariable=spec.is_variable,
        Sparsity=sparsity,
        ShapeSignature=signature,
    )


def _operator(builder: Any, spec: OperatorSpec, code: int) -> int:
    inputs = _vector(builder, spec.inputs, np.int32)
    outputs = _vector(builder, spec.outputs, np.int32)
    options, options_type = None, 0
    if spec.kind in _OPTIONS and spec.options:
        name = _OPTIONS[spec.kind]
        options = _table(builder, name, **spec.options)
        options_type = getattr(tflite.BuiltinOptions, name)
    return _table(
        builder,
        "Operator",
        OpcodeIndex=code,
        Inputs=inputs,
        Outputs=outputs,
        BuiltinOptionsType=options_type,
        BuiltinOptions=options,
    )
