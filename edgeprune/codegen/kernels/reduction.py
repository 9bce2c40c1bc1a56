"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN in plain C."""

from __future__ import annotations

import math

from edgeprune.codegen.fixed_point import activation_range, mean_rescale
from edgeprune.codegen.kernels.weighted import output_range
from edgeprune.codegen.kernels.window import WINDOW_SOURCES, window_fields, window_lead
from edgeprune.codegen.lowering import Kernel, Lowered, Overlap, unsupported
from edgeprune.cores import Core
from edgeprune.graph import AveragePool2D, MaxPool2D, Mean

__all__ = ["AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "merged_axes"]

SUM_SOURCES = ("kernel_sum.c", "kernel_sum.h")

#: So many int8 values add up to less than 2**31, in either kernel.
_MOST_VALUES = 1 << 23


def _lower_average_pool_2d(operator: AveragePool2D, _core: Core) -> Lowered:
    window, source = operator.window, operator.input
    most = math.prod(min(window.kernel[axis], source.shape[1 + axis]) for axis in (0, 1))
    if most > _MOST_VALUES:
        raise unsupported(operator, f"it averages {most} values; {_MOST_VALUES} is the most")
    return _pool(operator, "average_pool_2d", SUM_SOURCES)


def _lower_max_pool_2d(operator: MaxPool2D, _core: Core) -> Lowered:
    return _pool(operator, "max_pool_2d", ())


def _pool(operator: AveragePool2D | MaxPool2D, name: str, sources: tuple[str, ...]) -> Lowered:
    window, source, output = operator.window, operator.input, operator.output
    low, high = activation_range(operator.activation, output.scale, output.zero_point)
    return Lowered(
        function=f"edgeprune_kernel_{name}",
        struct=f"edgeprune_{name}",
        header=f"kernel_{name}.h",
        sources=(f"kernel_{name}.c", f"kernel_{name}.h", *sources, *WINDOW_SOURCES),
        parameters={
            "window": window_fields(window, source, output),
            "low": low,
            "high": high,
        },
        inputs=operator.inputs,
        overlap=Overlap(lead=window_lead(window, source, output)),
    )


def merged_axes(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Merge neighbouring axes so that kept and reduced ones alternate, kept ones first and last.

    Axes of size 1 belong to either side.

    Returns:
        Three kept sizes and two reduced ones, some of them 1; None if that is not enough.
    """
    sizes = [1]
    for axis, size in enumerate(shape):
        reduced = axis in axes
        if size == 1:
            continue
        if reduced == (len(sizes) % 2 == 0):
            sizes[-1] *= size
        else:
            sizes.append(size)
    if len(sizes) > 5:
        return None
    # At the end, so that what follows a reduction is innermost.
    sizes = [1] * (5 - len(sizes) - (len(sizes) + 1) % 2) + sizes + [1] * ((len(sizes) + 1) % 2)
    return tuple(sizes[0::2]), tuple(sizes[1::2])


def _lower_mean(operator: Mean, _core: Core) -> Lowered:
    source, output = operator.input, operator.output
    merged = merged_axes(source.shape, operator.axes)
    if merged is None:
        raise unsupported(
            operator,
            f"it reduces the axes {list(operator.axes)} of {list(source.shape)}, more than two "
            "groups of neighbours",
        )
    kept, reduced = merged
    count = math.prod(reduced)
    by = mean_rescale(source.scale / output.scale, count)
    if count > _MOST_VALUES or (255 * count) << by.left >= 1 << 31 or by.shift > 30:
        raise unsupported(operator, f"the mean of {count} values can overflow 32 bits")
    return Lowered(
        function="edgeprune_kernel_mean",
        struct="edgeprune_mean",
        header="kernel_mean.h",
        sources=("kernel_mean.c", "kernel_mean.h", "kernel_requantize.h", *SUM_SOURCES),
        parameters={
            "kept": kept,
            "reduced": reduced,
            "offset": -source.zero_point * count,
            "multiplier": by.multiplier,
            "shift": by.shift,
            "range": output_range("none", output),
        },
        inputs=operator.inputs,
        # Every mean is written where, or before where, its last value was read.
        overlap=Overlap(),
    )


AVERAGE_POOL_2D = Kernel(AveragePool2D, _lower_average_pool_2d)
MAX_POOL_2D = Kernel(MaxPool2D, _lower_max_pool_2d)
MEAN = Kernel(Mean, _lower_mean)
