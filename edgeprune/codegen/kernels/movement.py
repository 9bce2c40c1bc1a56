"""Operators that only move bytes, in plain C: slices, transposition, padding, concatenation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeprune.codegen.lowering import Field, Kernel, Lowered, Overlap, unsupported
from edgeprune.cores import Core
from edgeprune.graph import (
    AssignVariable,
    Concatenation,
    Operator,
    Pad,
    ReadVariable,
    StridedSlice,
    Tensor,
    Transpose,
)

__all__ = [
    "ASSIGN_VARIABLE",
    "CONCATENATION",
    "PAD",
    "READ_VARIABLE",
    "STRIDED_SLICE",
    "TRANSPOSE",
    "WALK_SOURCES",
    "Axis",
    "merge",
    "move",
    "row_strides",
    "walk_fields",
]

WALK_SOURCES = ("kernel_walk.h",)
_COPY_SOURCES = ("kernel_copy.c", "kernel_copy.h", *WALK_SOURCES)

#: EDGEPRUNE_WALK_AXES of kernel_walk.h.
_WALK_AXES = 4
#: The most sources that there is a C function for; as many as TFLite Micro takes.
_MOST_SOURCES = 10


@dataclass(frozen=True)
class Axis:
    """An axis that two arrays are walked along together.

    Attributes:
        size: positions on the axis.
        first: bytes from one to the next of the first array.
        second: and of the second.
    """

    size: int
    first: int
    second: int


def row_strides(shape: Sequence[int]) -> list[int]:
    """Bytes from one to the next along each dimension of an 8-bit tensor."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def merge(axes: Sequence[Axis]) -> list[Axis]:
    """The same walk with as few axes as can be; at least one."""
    merged: list[Axis] = []
    for axis in axes:
        if axis.size == 1:
            continue
        outer = merged[-1] if merged else None
        if (
            outer is not None
            and outer.first == axis.first * axis.size
            and outer.second == axis.second * axis.size
        ):
            merged[-1] = Axis(outer.size * axis.size, axis.first, axis.second)
        else:
            merged.append(axis)
    return merged or [Axis(1, 1, 1)]


def walk_fields(operator: Operator, axes: Sequence[Axis]) -> dict[str, Field]:
    """The ``edgeprune_walk`` of merged axes.

    Raises:
        UnsupportedError: they are more than the kernels walk along.
    """
    if len(axes) > _WALK_AXES:
        raise unsupported(
            operator,
            f"it goes through memory in {len(axes)} nested steps; {_WALK_AXES} are supported",
        )
    padded = [Axis(1, 0, 0)] * (_WALK_AXES - len(axes)) + list(axes)
    return {
        "size": tuple(axis.size for axis in padded),
        "first": tuple(axis.first for axis in padded),
        "second": tuple(axis.second for axis in padded),
    }


def move(source: Tensor, output: Tensor, *, start: int = 0) -> Lowered:
    """A copy of contiguous bytes, ``start`` bytes into the source; right for any overlap."""
    return Lowered(
        function="edgeprune_kernel_move",
        struct="edgeprune_move",
        header="kernel_copy.h",
        sources=_COPY_SOURCES,
        parameters={"input_start": start, "size": output.size},
        inputs=(source,),
        overlap=Overlap(lead=-source.size),
    )


def _copy_fields(
    operator: Operator, axes: Sequence[Axis], input_start: int, output_start: int
) -> dict[str, Field]:
    """The ``edgeprune_copy`` of a walk over the elements, from the outermost axis in."""
    *outer, line = merge(axes)
    run = 1
    if (line.first, line.second) == (1, 1):
        run = line.size
        *outer, line = outer or [Axis(1, 0, 0)]
    return {
        "walk": walk_fields(operator, outer),
        "line": line.size,
        "input_step": line.first,
        "output_step": line.second,
        "run": run,
        "input_start": input_start,
        "output_start": output_start,
    }


def _copy(operator: StridedSlice | Transpose, fields: dict[str, Field]) -> Lowered:
    return Lowered(
        function="edgeprune_kernel_copy",
        struct="edgeprune_copy",
        header="kernel_copy.h",
        sources=_COPY_SOURCES,
        parameters=fields,
        inputs=operator.inputs,
    )


def _lower_strided_slice(operator: StridedSlice, _core: Core) -> Lowered:
    strides = row_strides(operator.input.shape)
    axes = [
        Axis(size, stride * step, output_stride)
        for size, stride, step, output_stride in zip(
            operator.extent, strides, operator.stride, row_strides(operator.extent), strict=True
        )
    ]
    start = sum(begin * stride for begin, stride in zip(operator.begin, strides, strict=True))
    if merge(axes) == [Axis(operator.output.elements, 1, 1)]:
        return move(operator.input, operator.output, start=start)
    lowered = _copy(operator, _copy_fields(operator, axes, start, 0))
    if any(axis.first < 0 for axis in axes if axis.size > 1):
        return lowered
    # Forwards, no value moves towards the end by more than the first one.
    return replace(lowered, overlap=Overlap(lead=-start))


def _lower_transpose(operator: Transpose, _core: Core) -> Lowered:
    strides = row_strides(operator.input.shape)
    shape = operator.output.shape
    axes = [
        Axis(size, strides[source], output_stride)
        for size, source, output_stride in zip(
            shape, operator.permutation, row_strides(shape), strict=True
        )
    ]
    if merge(axes) == [Axis(operator.output.elements, 1, 1)]:
        return move(operator.input, operator.output)
    return _copy(operator, _copy_fields(operator, axes, 0, 0))


def _lower_pad(operator: Pad, _core: Core) -> Lowered:
    source, output = operator.input, operator.output
    strides = row_strides(output.shape)
    axes = [
        Axis(size, stride, output_stride)
        for size, stride, output_stride in zip(
            source.shape, row_strides(source.shape), strides, strict=True
        )
    ]
    start = sum(before * stride for before, stride in zip(operator.before, strides, strict=True))
    return Lowered(
        function="edgeprune_kernel_pad",
        struct="edgeprune_pad",
        header="kernel_copy.h",
        sources=_COPY_SOURCES,
        parameters={
            "inside": _copy_fields(operator, axes, 0, start),
            "size": output.size,
            "value": operator.value,
        },
        inputs=operator.inputs,
    )


def _lower_concatenation(operator: Concatenation, _core: Core) -> Lowered:
    sources, axis = operator.sources, operator.axis
    if len(sources) == 1:
        return move(sources[0], operator.output)
    if len(sources) > _MOST_SOURCES:
        raise unsupported(operator, f"it has {len(sources)} inputs; {_MOST_SOURCES} are supported")
    rows = math.prod(operator.output.shape[:axis])
    runs = [source.elements // rows for source in sources]
    # A source may lie where it will be in the output, or later: what comes before is written first.
    largest = max(range(len(sources)), key=lambda at: (not sources[at].is_constant, runs[at]))
    is_in_place = rows == 1 and sources.count(sources[largest]) == 1
    overlap = Overlap(input=largest, lead=sum(runs[:largest])) if is_in_place else None
    return Lowered(
        function=f"edgeprune_kernel_concatenation_{len(sources)}",
        struct="edgeprune_concatenation",
        header="kernel_concatenation.h",
        sources=("kernel_concatenation.c", "kernel_concatenation.h", "kernel_inline.h"),
        parameters={
            "rows": rows,
            "runs": tuple(runs) + (0,) * (_MOST_SOURCES - len(runs)),
        },
        inputs=sources,
        overlap=overlap,
    )


def _lower_variable(operator: ReadVariable | AssignVariable, _core: Core) -> Lowered:
    return move(operator.input, operator.output)


ASSIGN_VARIABLE = Kernel(AssignVariable, _lower_variable)
CONCATENATION = Kernel(Concatenation, _lower_concatenation)
PAD = Kernel(Pad, _lower_pad)
READ_VARIABLE = Kernel(ReadVariable, _lower_variable)
STRIDED_SLICE = Kernel(StridedSlice, _lower_strided_slice)
TRANSPOSE = Kernel(Transpose, _lower_transpose)
