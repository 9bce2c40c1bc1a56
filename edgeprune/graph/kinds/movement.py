"""Operators that move values and don't change them."""

from __future__ import annotations

from edgeprune.graph.kinds.checks import axis_of, check_moved, check_rank, check_shape
from edgeprune.graph.kinds.site import Site
from edgeprune.graph.operators import Concatenation, Operator, Pad, Reshape, Transpose
from edgeprune.graph.tensor import Tensor

__all__ = ["concatenation", "pad", "padv2", "reshape", "squeeze", "transpose"]


def reshape(site: Site) -> Operator:
    """RESHAPE; the shape is the output's, and an input that gives one must not contradict."""
    source, given = site.input(0), site.optional(1)
    check_moved(site, source)
    if given is not None:
        sizes = site.indices(1)
        # One size may be open, and old converters write [0] for a scalar.
        wanted = () if sizes == (0,) else sizes
        fits = len(wanted) == len(site.output.shape) and all(
            size in (-1, actual) for size, actual in zip(wanted, site.output.shape, strict=True)
        )
        if not fits:
            raise site.malformed(f"writes tensor {site.output} by the shape {list(sizes)}")
    if source.elements != site.output.elements:
        raise site.malformed(f"turns tensor {source} into tensor {site.output}")
    return Reshape(**site.base(), input=source)


def squeeze(site: Site) -> Operator:
    """SQUEEZE and EXPAND_DIMS: dimensions of size 1 go or come."""
    source = site.input(0)
    check_moved(site, source)
    if _without_ones(source) != _without_ones(site.output):
        raise site.malformed(f"turns tensor {source} into tensor {site.output}")
    return Reshape(**site.base(), input=source)


def _without_ones(tensor: Tensor) -> tuple[int, ...]:
    return tuple(size for size in tensor.shape if size != 1)


def transpose(site: Site) -> Operator:
    """TRANSPOSE by a constant permutation."""
    source = site.input(0)
    check_moved(site, source)
    rank = len(source.shape)
    permutation = site.indices(1, count=rank)
    if sorted(permutation) != list(range(rank)):
        raise site.malformed(f"permutes the dimensions of tensor {source} by {list(permutation)}")
    check_shape(site, site.output, tuple(source.shape[axis] for axis in permutation))
    return Transpose(**site.base(), input=source, permutation=permutation)


def pad(site: Site) -> Operator:
    """PAD with zeros, which are the zero point."""
    check_moved(site, site.input(0))
    return _padded(site, site.output.zero_point)


def padv2(site: Site) -> Operator:
    """PADV2 with a constant, quantized as the tensors are."""
    value = site.input(2)
    check_moved(site, site.input(0), value)
    if value.data is None:
        raise site.unsupported(f"pads with tensor {value}, which the network computes")
    if value.elements != 1:
        raise site.malformed(f"pads with tensor {value}; one value is needed")
    return _padded(site, int(value.data.reshape(-1)[0]))


def _padded(site: Site, value: int) -> Operator:
    source = site.input(0)
    amounts = site.indices(1, count=2 * len(source.shape))
    before, after = amounts[0::2], amounts[1::2]
    if any(amount < 0 for amount in amounts):
        raise site.malformed(f"pads tensor {source} by {list(amounts)}")
    sizes = (sum(each) for each in zip(before, source.shape, after, strict=True))
    check_shape(site, site.output, tuple(sizes))
    return Pad(**site.base(), input=source, before=before, after=after, value=value)


def concatenation(site: Site) -> Operator:
    """CONCATENATION of activations and constants."""
    sources = tuple(site.input(position) for position in range(len(site.inputs)))
    check_moved(site, *sources)
    if all(source.is_constant for source in sources):
        raise site.unsupported("joins constants alone", hint="convert with constant folding")
    if site.activation() != "none":
        raise site.unsupported("has a fused activation", hint="convert without one")
    axis = axis_of(site, int(site.option("Axis")), site.output)
    for source in sources:
        check_rank(site, source, len(site.output.shape))
        if _without(source, axis) != _without(site.output, axis):
            raise site.malformed(f"joins tensor {source} into tensor {site.output}")
    if sum(source.shape[axis] for source in sources) != site.output.shape[axis]:
        raise site.malformed(f"joins {len(sources)} tensors into tensor {site.output}")
    return Concatenation(**site.base(), sources=sources, axis=axis)


def _without(tensor: Tensor, axis: int) -> tuple[int, ...]:
    return tensor.shape[:axis] + tensor.shape[axis + 1 :]
