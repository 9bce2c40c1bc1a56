"""The tensors of a subgraph: shape, type, quantization and data checked before they are used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from edgeprune.errors import MalformedModelError, ModelError, UnsupportedError
from edgeprune.graph.schema import RawTensor, type_name
from edgeprune.graph.tensor import DType, Quantization, Tensor

__all__ = ["MOST_TENSOR_BYTES", "Tensors"]

#: The largest tensor: above what any microcontroller holds.
MOST_TENSOR_BYTES = 1 << 24
#: Of a tensor's shape; networks have four.
_MOST_DIMENSIONS = 8

_DTYPES: Mapping[int, DType] = MappingProxyType(
    {
        tflite.TensorType.INT8: "int8",
        tflite.TensorType.UINT8: "uint8",
        tflite.TensorType.INT32: "int32",
        tflite.TensorType.FLOAT32: "float32",
    }
)
_ZERO_POINTS: Mapping[int, tuple[int, int]] = MappingProxyType(
    {tflite.TensorType.INT8: (-128, 127), tflite.TensorType.UINT8: (0, 255)}
)


class Tensors:
    """The tensors of one subgraph by their number; each is made once, on first use."""

    def __init__(self, raw: Sequence[RawTensor], buffers: Sequence[npt.NDArray[np.uint8]]) -> None:
        self._raw = raw
        self._buffers = buffers
        self._made: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._raw)

    def used(self) -> tuple[Tensor, ...]:
        """Those that were asked for, by their number."""
        return tuple(self._made[index] for index in sorted(self._made))

    def raw(self, index: int, user: str) -> RawTensor:
        """A tensor as the file has it.

        Args:
            index: its number in the file.
            user: who asks, for errors.

        Raises:
            MalformedModelError: there is none of that number.
        """
        if not 0 <= index < len(self._raw):
            raise MalformedModelError(
                f"tensor {index} is used; the file has {len(self._raw)} tensors", where=user
            )
        return self._raw[index]

    def get(self, index: int, user: str) -> Tensor:
        """The tensor of a number in the file.

        Args:
            index: its number in the file.
            user: who asks, for errors.

        Raises:
            MalformedModelError: there is none, or it is inconsistent.
            UnsupportedError: its type, shape or storage is not supported.
        """
        raw = self.raw(index, user)
        if index not in self._made:
            try:
                self._made[index] = self._make(index, raw)
            except ModelError as error:
                error.where = f"{user}, tensor {index} {raw.name!r}"
                raise
        return self._made[index]

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
        if not 0 <= raw.buffer < len(self._buffers):
            raise MalformedModelError(
                f"its buffer is {raw.buffer}; the file has {len(self._buffers)} buffers"
            )
        content = self._buffers[raw.buffer]
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
    if raw.signature and len(raw.signature) != len(shape):
        raise MalformedModelError(f"its shape is {list(shape)}, of {len(raw.signature)} sizes")
    if any(size < 0 for size in shape) or any(size < -1 for size in raw.signature):
        raise MalformedModelError(f"its shape is {list(shape)}")
    # Converters leave the batch open and write 1 into the shape; that is a fixed shape to us.
    if -1 in raw.signature[1:] or 0 in shape:
        raise UnsupportedError(
            f"its shape {list(raw.signature or shape)} is not fixed",
            hint="convert with fixed shapes and a batch of 1",
        )
    if math.prod(shape) * item_bytes > MOST_TENSOR_BYTES:
        raise UnsupportedError(
            f"its shape {list(shape)} takes more than {MOST_TENSOR_BYTES} bytes, the most that "
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
    if raw.type_code in _ZERO_POINTS:
        low, high = _ZERO_POINTS[raw.type_code]
        if not all(low <= zero_point <= high for zero_point in zero_points):
            name = type_name(raw.type_code)
            raise MalformedModelError(f"it has a zero point outside {name}")
    axis = raw.axis if len(scales) > 1 else 0
    if len(scales) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scales)):
        raise MalformedModelError(
            f"it has {len(scales)} scales along dimension {axis} of {list(shape)}"
        )
    return Quantization(scales=scales, zero_points=zero_points, axis=axis)
