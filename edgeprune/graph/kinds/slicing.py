"""STRIDED_SLICE, SLICE, SPLIT and SPLIT_V: all of them take values at even distances."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprune.graph.kinds.checks import axis_of, check_moved, check_shape
from edgeprune.graph.kinds.site import Site
from edgeprune.graph.operators import Operator, StridedSlice
from edgeprune.graph.tensor import Tensor

__all__ = ["slice_", "split", "split_v", "strided_slice"]


def split(site: Site) -> Operator:
    """One output of SPLIT, which cuts into equal parts."""
    source, parts = site.input(1), len(site.outputs)
    check_moved(site, source)
    axis = axis_of(site, site.indices(0, count=1)[0], source)
    if site.option("NumSplits") != parts or source.shape[axis] % parts:
        raise site.malformed(
            f"cuts dimension {axis} of tensor {source} into {site.option('NumSplits')} parts for "
            f"{parts} outputs"
        )
    size = source.shape[axis] // parts
    return _part(site, source, axis, site.position * size, size)


def split_v(site: Site) -> Operator:
    """One output of SPLIT_V; one of the sizes may be -1, which is the rest."""
    source, parts = site.input(0), len(site.outputs)
    check_moved(site, source)
    axis = axis_of(site, site.indices(2, count=1)[0], source)
    sizes = list(site.indices(1, count=parts))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = source.shape[axis] - sum(sizes) - 1
    if site.option("NumSplits") != parts or min(sizes) < 1 or sum(sizes) != source.shape[axis]:
        raise site.malformed(
            f"cuts dimension {axis} of tensor {source} into parts of {sizes[:8]} for {parts} "
            "outputs"
        )
    return _part(site, source, axis, sum(sizes[: site.position]), sizes[site.position])


def _part(site: Site, source: Tensor, axis: int, begin: int, size: int) -> Operator:
    rank = len(source.shape)
    starts = [0] * rank
    extent = list(source.shape)
    starts[axis], extent[axis] = begin, size
    return _slice(site, source, starts, [1] * rank, extent)


def slice_(site: Site) -> Operator:
    """SLICE; a size of -1 takes the rest."""
    source = site.input(0)
    check_moved(site, source)
    rank = len(source.shape)
    begin, sizes = site.indices(1, count=rank), site.indices(2, count=rank)
    extent = []
    for first, count, size in zip(begin, sizes, source.shape, strict=True):
        taken = size - first if count == -1 else count
        if first < 0 or taken < 1 or first + taken > size:
            raise site.malformed(f"takes {list(sizes)} from {list(begin)} of tensor {source}")
        extent.append(taken)
    return _slice(site, source, begin, [1] * rank, extent)


def strided_slice(site: Site) -> Operator:
    """STRIDED_SLICE of constant indices; masks are resolved as TensorFlow Lite resolves them.

    Negative indices count from the end, then all are clamped to the dimension. A dimension without
    indices of its own is taken whole. Masks for an ellipsis and for new axes, which TensorFlow
    Lite Micro ignores, are refused.
    """
    source = site.input(0)
    check_moved(site, source)
    for name in ("EllipsisMask", "NewAxisMask", "Offset"):
        if site.option(name):
            raise site.unsupported(
                f"uses {name}", hint="slice with begin, end and strides for every dimension"
            )
    begins, ends, strides = site.indices(1), site.indices(2), site.indices(3)
    if not len(begins) == len(ends) == len(strides) <= len(source.shape):
        raise site.malformed(
            f"has {len(begins)} begins, {len(ends)} ends and {len(strides)} strides for tensor "
            f"{source}"
        )
    spans = [range(size) for size in source.shape]
    for axis, numbers in enumerate(zip(begins, ends, strides, strict=True)):
        spans[axis] = _span(site, axis, source.shape[axis], *numbers)
        if not spans[axis] or not 0 <= spans[axis].start < source.shape[axis]:
            raise site.malformed(f"takes nothing along dimension {axis} of tensor {source}")
    extent = [len(span) for span in spans]
    dropped = {axis for axis in range(len(begins)) if _masked(site, "ShrinkAxisMask", axis)}
    return _slice(
        site,
        source,
        [span.start for span in spans],
        [span.step if len(span) > 1 else 1 for span in spans],
        extent,
        [size for axis, size in enumerate(extent) if axis not in dropped],
    )


def _span(site: Site, axis: int, size: int, begin: int, end: int, stride: int) -> range:
    """What STRIDED_SLICE takes along one dimension; the start may lie outside."""
    if stride == 0:
        raise site.malformed(f"has a stride of 0 along dimension {axis}")
    is_open = _masked(site, "BeginMask", axis)
    first = _clamped(None if is_open else begin, size, stride, at_end=False)
    if _masked(site, "ShrinkAxisMask", axis):
        return range(first, first + 1)
    is_open = _masked(site, "EndMask", axis)
    return range(first, _clamped(None if is_open else end, size, stride, at_end=True), stride)


def _masked(site: Site, mask: str, axis: int) -> bool:
    return bool(int(site.option(mask)) >> axis & 1)


def _clamped(index: int | None, size: int, stride: int, *, at_end: bool) -> int:
    """Where a slice begins or ends; an index of None is as far out as it can be."""
    low, high = (0, size) if stride > 0 else (-1, size - 1)
    if index is None:
        return high if at_end == (stride > 0) else low
    return min(max(index + size if index < 0 else index, low), high)


def _slice(
    site: Site,
    source: Tensor,
    begin: Sequence[int],
    stride: Sequence[int],
    extent: Sequence[int],
    shape: Sequence[int] | None = None,
) -> Operator:
    """The operator; ``shape`` is the output's where that is not ``extent``."""
    check_shape(site, site.output, tuple(extent if shape is None else shape))
    return StridedSlice(
        **site.base(),
        input=source,
        begin=tuple(begin),
        stride=tuple(stride),
        extent=tuple(extent),
    )
