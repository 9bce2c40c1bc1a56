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
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "RESHAPE": "ReshapeOptions",
    "SQUEEZE": "SqueezeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "SOFTMAX": "SoftmaxOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "CONCATENATION": "ConcatenationOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SLICE": "SliceOptions",
    "TRANSPOSE": "TransposeOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "HARD_SWISH": "HardSwishOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "CALL_ONCE": "CallOnceOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "READ_VARIABLE": "ReadVariableOptions",
    "ASSIGN_VARIABLE": "AssignVariableOptions",
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
    #: The schema's table of the options, where it is not that of the kind.
    table: str | None = None

    @property
    def code(self) -> tuple[str, int, str | None]:
        """What the table of operator codes holds."""
        return self.kind, self.version, self.custom


@dataclass
class Subgraph:
    """Tensors and operators."""

    tensors: list[TensorSpec] = field(default_factory=list)
    operators: list[OperatorSpec] = field(default_factory=list)
    inputs: Sequence[int] = ()
    outputs: Sequence[int] = ()

    def tensor(self, shape: Sequence[int], **attributes: Any) -> int:
        """Add a tensor; returns its number."""
        attributes.setdefault("name", f"tensor_{len(self.tensors)}")
        self.tensors.append(TensorSpec(shape, **attributes))
        return len(self.tensors) - 1

    def activation(
        self,
        shape: Sequence[int],
        scale: float = 0.1,
        zero_point: int = 0,
        *,
        dtype: str = "int8",
    ) -> int:
        """Add a tensor that the network computes."""
        return self.tensor(shape, scales=[scale], zero_points=[zero_point], dtype=dtype)

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

    def operator_of(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        version: int = 1,
        **options: Any,
    ) -> None:
        """Add an operator of any number of outputs; it does not become the network's end."""
        self.operators.append(OperatorSpec(kind, inputs, outputs, options, version))


@dataclass
class ModelFile(Subgraph):
    """A network, which is the first subgraph, and others; :meth:`content` writes the file."""

    inputs: Sequence[int] = (0,)
    others: list[Subgraph] = field(default_factory=list)
    version: int = 3
    identifier: bytes = b"TFL3"
    #: How often the network is written.
    subgraphs: int = 1

    def content(self) -> bytes:
        """The file."""
        builder = flatbuffers.Builder(1024)
        subgraphs: list[Subgraph] = [self] * self.subgraphs + self.others
        unique_subgraphs: list[Subgraph] = [self, *self.others]
        buffers, numbers = [b""], {}
        for tensor in (each for subgraph in unique_subgraphs for each in subgraph.tensors):
            if tensor.data is not None:
                numbers[id(tensor)] = len(buffers)
                buffers.append(tensor.data)
        codes = [each.code for subgraph in subgraphs for each in subgraph.operators]
        unique = list(dict.fromkeys(codes))
        written_codes = [_operator_code(builder, *code) for code in unique]
        written = [_subgraph(builder, subgraph, unique, numbers) for subgraph in subgraphs]
        written_buffers = [_buffer(builder, data) for data in buffers]
        model = build_table(
            builder,
            "Model",
            Version=self.version,
            OperatorCodes=build_tables(builder, written_codes),
            Subgraphs=build_tables(builder, written),
            Buffers=build_tables(builder, written_buffers),
        )
        builder.Finish(model, file_identifier=self.identifier)
        return bytes(builder.Output())


def _subgraph(
    builder: Any,
    subgraph: Subgraph,
    codes: list[tuple[str, int, str | None]],
    buffers: Mapping[int, int],
) -> int:
    tensors = [_tensor(builder, each, buffers.get(id(each), 0)) for each in subgraph.tensors]
    operators = [_operator(builder, each, codes.index(each.code)) for each in subgraph.operators]
    return build_table(
        builder,
        "SubGraph",
        Tensors=build_tables(builder, tensors),
        Inputs=build_vector(builder, subgraph.inputs, np.int32),
        Outputs=build_vector(builder, subgraph.outputs, np.int32),
        Operators=build_tables(builder, operators),
    )


def build_table(builder: Any, name: str, **fields: Any) -> int:
    module = importlib.import_module(f"tflite.{name}")
    module.Start(builder)
    for key, value in fields.items():
        if value is not None:
            getattr(module, f"Add{key}")(builder, value)
    return int(module.End(builder))


def build_vector(builder: Any, values: Sequence[Any], dtype: Any) -> int:
    return int(builder.CreateNumpyVector(np.array(values, dtype=dtype)))


def build_tables(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _buffer(builder: Any, data: bytes) -> int:
    if not data:
        return build_table(builder, "Buffer")
    builder.StartVector(1, len(data), 16)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    vector = int(builder.EndVector())
    return build_table(builder, "Buffer", Data=vector)


def _operator_code(builder: Any, kind: str, version: int, custom: str | None) -> int:
    code = getattr(tflite.BuiltinOperator, kind)
    name = builder.CreateString(custom) if custom is not None else None
    return build_table(
        builder,
        "OperatorCode",
        DeprecatedBuiltinCode=min(code, 127),
        CustomCode=name,
        Version=version,
        BuiltinCode=code,
    )


def _tensor(builder: Any, spec: TensorSpec, buffer: int) -> int:
    name = builder.CreateString(spec.name)
    shape = build_vector(builder, spec.shape, np.int32)
    signature = None if spec.signature is None else build_vector(builder, spec.signature, np.int32)
    quantization = None
    if len(spec.scales):
        quantization = build_table(
            builder,
            "QuantizationParameters",
            Scale=build_vector(builder, spec.scales, np.float32),
            ZeroPoint=build_vector(builder, spec.zero_points, np.int64),
            QuantizedDimension=spec.axis,
        )
    sparsity = build_table(builder, "SparsityParameters") if spec.is_sparse else None
    return build_table(
        builder,
        "Tensor",
        Shape=shape,
        Type=getattr(tflite.TensorType, spec.dtype.upper()),
        Buffer=buffer if spec.buffer is None else spec.buffer,
        Name=name,
        Quantization=quantization,
        IsVariable=spec.is_variable,
        Sparsity=sparsity,
        ShapeSignature=signature,
    )


def _value(builder: Any, value: Any) -> Any:
    if isinstance(value, str):
        return builder.CreateString(value)
    return build_vector(builder, value, np.int32) if isinstance(value, list | tuple) else value


def _operator(builder: Any, spec: OperatorSpec, code: int) -> int:
    inputs = build_vector(builder, spec.inputs, np.int32)
    outputs = build_vector(builder, spec.outputs, np.int32)
    options, options_type = None, 0
    if spec.kind in _OPTIONS and spec.options:
        name = spec.table or _OPTIONS[spec.kind]
        values = {key: _value(builder, value) for key, value in spec.options.items()}
        options = build_table(builder, name, **values)
        options_type = getattr(tflite.BuiltinOptions, name)
    return build_table(
        builder,
        "Operator",
        OpcodeIndex=code,
        Inputs=inputs,
        Outputs=outputs,
        BuiltinOptionsType=options_type,
        BuiltinOptions=options,
    )
