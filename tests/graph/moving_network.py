"""Networks of the operators that move values and don't compute with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite

from tests.graph.tflite_files import ModelFile

Pair = tuple[int, int]


class MovingNetwork(ModelFile):
    """A file to which layers are added that move values; constants come from ``rng``."""

    def __init__(self, rng: np.random.Generator, shape: Sequence[int], **quantization: Any) -> None:
        super().__init__()
        self.rng = rng
        self.activation(shape, **quantization)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(self.tensors[tensor].shape)

    def scale(self, tensor: int) -> float:
        """The scale of an activation."""
        return float(self.tensors[tensor].scales[0])

    def zero_point(self, tensor: int) -> int:
        """The zero point of an activation."""
        return int(self.tensors[tensor].zero_points[0])

    def operand(self, shape: Sequence[int], *, scale: float = 0.03, zero_point: int = 0) -> int:
        """A constant of random values, to compute with."""
        values = self.rng.integers(-128, 128, shape, dtype=np.int8)
        return self.constant(values, scales=[scale], zero_points=[zero_point])

    def _like(self, source: int, shape: Sequence[int]) -> int:
        """An activation with the quantization of another."""
        dtype = self.tensors[source].dtype
        return self.activation(shape, self.scale(source), self.zero_point(source), dtype=dtype)

    def _numbers(self, values: Any) -> int:
        return self.constant(np.array(values, dtype=np.int32))

    def reshape(self, source: int, shape: Sequence[int]) -> int:
        inputs = [source, self._numbers(shape)]
        return self.operator("RESHAPE", inputs, self._like(source, shape))

    def squeeze(self, source: int, axes: Sequence[int] = ()) -> int:
        """Without the dimensions of size 1: those of ``axes``, or all."""
        shape = np.squeeze(np.empty(self.shape(source)), tuple(axes) or None).shape
        return self.operator("SQUEEZE", [source], self._like(source, shape), SqueezeDims=list(axes))

    def expand_dims(self, source: int, axis: int) -> int:
        shape = np.expand_dims(np.empty(self.shape(source)), axis).shape
        inputs = [source, self._numbers(axis)]
        return self.operator("EXPAND_DIMS", inputs, self._like(source, shape))

    def transpose(self, source: int, permutation: Sequence[int]) -> int:
        shape = [self.shape(source)[axis] for axis in permutation]
        inputs = [source, self._numbers(permutation)]
        return self.operator("TRANSPOSE", inputs, self._like(source, shape), version=2)

    def pad(self, source: int, amounts: Sequence[Pair], value: int | None = None) -> int:
        """``amounts`` are (before, after) of each dimension; PADV2 where a value is given."""
        sizes = zip(self.shape(source), amounts, strict=True)
        output = self._like(source, [before + size + after for size, (before, after) in sizes])
        inputs = [source, self._numbers(amounts)]
        if value is None:
            return self.operator("PAD", inputs, output, version=2)
        constant = self.constant(
            np.array([value], dtype=np.int8),
            scales=[self.scale(source)],
            zero_points=[self.zero_point(source)],
        )
        return self.operator("PADV2", [*inputs, constant], output, version=2)

    def concatenation(self, sources: Sequence[int], axis: int) -> int:
        """Join tensors of the same quantization, constants among them."""
        parts = [np.empty(self.shape(each), dtype=np.int8) for each in sources]
        shape = np.concatenate(parts, axis).shape
        return self.operator(
            "CONCATENATION",
            sources,
            self._like(sources[0], shape),
            version=2,
            Axis=axis,
            FusedActivationFunction=tflite.ActivationFunctionType.NONE,
        )

    def split(self, source: int, axis: int, parts: int) -> list[int]:
        """Cut into equal parts."""
        size = self.shape(source)[axis] // parts
        outputs = self._parts(source, axis, [size] * parts)
        inputs = [self._numbers(axis), source]
        self.operator_of("SPLIT", inputs, outputs, version=2, NumSplits=parts)
        return outputs

    def split_v(self, source: int, axis: int, sizes: Sequence[int]) -> list[int]:
        """Cut into parts of given sizes; one of them may be -1, which is the rest."""
        total = self.shape(source)[axis]
        rest = total - sum(size for size in sizes if size >= 0)
        outputs = self._parts(source, axis, [rest if size < 0 else size for size in sizes])
        inputs = [source, self._numbers(sizes), self._numbers(axis)]
        self.operator_of("SPLIT_V", inputs, outputs, version=2, NumSplits=len(sizes))
        return outputs

    def _parts(self, source: int, axis: int, sizes: Sequence[int]) -> list[int]:
        shape = list(self.shape(source))
        parts = []
        for size in sizes:
            shape[axis] = size
            parts.append(self._like(source, tuple(shape)))
        self.outputs = parts[-1:]
        return parts

    def strided_slice(
        self,
        source: int,
        begin: Sequence[int],
        end: Sequence[int],
        stride: Sequence[int] | None = None,
        *,
        begin_mask: int = 0,
        end_mask: int = 0,
        shrink_axis_mask: int = 0,
    ) -> int:
        """``source[begin:end:stride]``, one number a dimension."""
        stride = [1] * len(begin) if stride is None else stride
        index = tuple(
            begin[axis]
            if shrink_axis_mask >> axis & 1
            else slice(
                None if begin_mask >> axis & 1 else begin[axis],
                None if end_mask >> axis & 1 else end[axis],
                stride[axis],
            )
            for axis in range(len(begin))
        )
        shape = np.empty(self.shape(source), dtype=np.int8)[index].shape
        inputs = [source, *(self._numbers(each) for each in (begin, end, stride))]
        return self.operator(
            "STRIDED_SLICE",
            inputs,
            self._like(source, shape),
            version=2,
            BeginMask=begin_mask,
            EndMask=end_mask,
            ShrinkAxisMask=shrink_axis_mask,
        )

    def slice(self, source: int, begin: Sequence[int], size: Sequence[int]) -> int:
        """``size`` values from ``begin`` on; a size of -1 takes the rest."""
        whole = zip(begin, size, self.shape(source), strict=True)
        shape = [total - first if count < 0 else count for first, count, total in whole]
        inputs = [source, self._numbers(begin), self._numbers(size)]
        return self.operator("SLICE", inputs, self._like(source, shape), version=2)
