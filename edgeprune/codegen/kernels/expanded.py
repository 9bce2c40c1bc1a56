"""Matrices of int8 weights that are stored small, and expanded to memory before they are used.

Flash is saved, at the price of memory for the weights of one layer: the kernel for dense weights
then reads them from there. See ``runtime/expand.h``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.bitmap import encode_bitmap_series
from edgeprune.codegen.encodings.palette import encode_palette_blocks
from edgeprune.codegen.kernels.mve_matrix import MVE_FULLY_CONNECTED, MVE_POINTWISE
from edgeprune.codegen.kernels.mve_packing import LANES, pairs
from edgeprune.codegen.kernels.scalar_convolution import SCALAR_POINTWISE
from edgeprune.codegen.kernels.weighted import weight_values
from edgeprune.codegen.lowering import (
    Constant,
    Estimate,
    Kernel,
    Lowered,
    unsupported,
)
from edgeprune.cores import Core
from edgeprune.graph import Conv2D, FullyConnected

__all__ = ["EXPANDED_KERNELS"]

#: What the expanded weights' size is rounded up to, in bytes.
_ALIGNMENT = 8

_Weighted = Conv2D | FullyConnected


@dataclass(frozen=True, eq=False)
class _Expanded:
    """The bytes of compressed weights, the tables that they refer to, and their form.

    Attributes:
        form: in ``expand.h``.
        weights: as they are expanded.
        kept: weights that are not zero.
        runs: of weights of a row.
    """

    form: int
    stream: npt.NDArray[np.int8]
    tables: npt.NDArray[np.int8] | None
    weights: int
    kept: int
    runs: int

    @classmethod
    def of(
        cls,
        blocks: npt.NDArray[np.int8],
        run: int,
        form: int,
        stream: npt.NDArray[np.int8],
        tables: npt.NDArray[np.int8] | None = None,
    ) -> _Expanded:
        """What weights ``[blocks, rows, depth]`` became."""
        runs = blocks.shape[0] * blocks.shape[1] * -(-blocks.shape[2] // run)
        return cls(form, stream, tables, blocks.size, int(np.count_nonzero(blocks)), runs)

    @property
    def nbytes(self) -> int:
        return int(self.stream.nbytes + (0 if self.tables is None else self.tables.nbytes))


def _palette(blocks: npt.NDArray[np.int8], run: int) -> _Expanded:
    palette = encode_palette_blocks(blocks, run)
    return _Expanded.of(blocks, run, 0, palette.stream, palette.tables)


def _bitmap(blocks: npt.NDArray[np.int8], run: int) -> _Expanded:
    runs = [
        blocks[:, :, start : start + run].reshape(len(blocks), -1)
        for start in range(0, blocks.shape[2], run)
    ]
    stream = encode_bitmap_series(np.concatenate(runs, axis=1).reshape(-1))
    return _Expanded.of(blocks, run, 1, stream)


_FORMS: dict[str, Callable[[npt.NDArray[np.int8], int], _Expanded]] = {
    "palette4": _palette,
    "bitmap": _bitmap,
}


@dataclass(frozen=True)
class _Cost:
    """Instructions: of a weight, on top of one that is not zero, and of a run."""

    weight: float = 0.0
    kept: float = 0.0
    run: float = 0.0

    def of(self, weights: _Expanded) -> float:
        """Of expanding all of a layer."""
        return self.weight * weights.weights + self.kept * weights.kept + self.run * weights.runs


@dataclass(frozen=True)
class _Dense:
    """A kernel for dense weights.

    Attributes:
        kernel: its parameters hold ``weights``, blocks of rows of which runs take turns.
        function: the C function that expands the weights and calls it.
        struct: of the function's parameters.
        header: of both.
        blocks: the layer's weights ``[blocks, rows, depth]``, from the layer and the dense call.
        run: weights of a row at a time, from the depth.
        costs: of expanding, by form and core; fitted to counts.
    """

    kernel: Kernel[Any]
    function: str
    struct: str
    header: str
    blocks: Callable[[_Weighted, Lowered], npt.NDArray[np.int8]]
    run: Callable[[int], int]
    costs: dict[str, dict[str, _Cost]]


def _scalar_blocks(_operator: _Weighted, dense: Lowered) -> npt.NDArray[np.int8]:
    weights = dense.parameters["weights"]
    taps = dict(dense.shape)["taps"]
    if not isinstance(weights, Constant):
        raise TypeError("the weights of a dense layer are no constant")
    return weights.values.reshape(-1, 1, taps)


def _mve_blocks(operator: _Weighted, _dense: Lowered) -> npt.NDArray[np.int8]:
    rows = weight_values(operator).reshape(operator.weights.shape[0], -1)
    return rows.astype(np.int8)[pairs(len(rows))]


_MVE_COSTS = {"cortex-m55": {"palette4": _Cost(run=14.0), "bitmap": _Cost(1.2, 7.0)}}
_SCALAR_COSTS = {
    "cortex-m0plus": {"palette4": _Cost(7.3), "bitmap": _Cost(5.0, 6.0)},
    "cortex-m3": {"palette4": _Cost(5.7), "bitmap": _Cost(1.3, 7.3)},
}


def _mve(kernel: Kernel[Any]) -> _Dense:
    return _Dense(
        kernel=kernel,
        function="edgeprune_mve_expanded_pointwise_conv_2d",
        struct="edgeprune_mve_expanded",
        header="mve_expanded_pointwise_conv_2d.h",
        blocks=_mve_blocks,
        run=lambda _: LANES,
        costs=_MVE_COSTS,
    )


_DENSE = (
    _Dense(
        kernel=SCALAR_POINTWISE,
        function="edgeprune_scalar_expanded_pointwise_conv_2d",
        struct="edgeprune_scalar_expanded",
        header="scalar_expanded_pointwise_conv_2d.h",
        blocks=_scalar_blocks,
        run=lambda depth: depth,
        costs=_SCALAR_COSTS,
    ),
    _mve(MVE_POINTWISE),
    _mve(MVE_FULLY_CONNECTED),
)


def _expanded(dense: _Dense, name: str, operator: _Weighted, lowered: Lowered) -> _Expanded | None:
    """The weights; None where the form does not hold them."""
    blocks = dense.blocks(operator, lowered)
    try:
        return _FORMS[name](blocks, dense.run(blocks.shape[2]))
    except ValueError:
        return None


def _fits(dense: _Dense, name: str, operator: _Weighted, core: Core) -> bool:
    if core.name not in dense.costs:
        return False
    lowered = dense.kernel.offer(operator, core)
    return lowered is not None and _expanded(dense, name, operator, lowered) is not None


def _lower(dense: _Dense, name: str, operator: _Weighted, core: Core) -> Lowered:
    lowered = dense.kernel.lower(operator, core)
    weights = _expanded(dense, name, operator, lowered)
    if weights is None or lowered.estimate is None:
        raise unsupported(operator, f"its weights don't fit the encoding {name}")
    replaced = {**lowered.parameters, "weights": Constant("weights", weights.stream)}
    saved = sum(int(each.values.nbytes) for each in lowered.constants if each.name == "weights")
    return replace(
        lowered,
        function=dense.function,
        struct=dense.struct,
        header=dense.header,
        sources=(*lowered.sources, dense.header, "expand.h"),
        parameters={
            "matrix": replaced,
            "tables": 0 if weights.tables is None else Constant("tables", weights.tables),
        },
        scratch=-(-weights.weights // _ALIGNMENT) * _ALIGNMENT + lowered.scratch,
        shape=(("form", weights.form), *lowered.shape),
        encoding=name,
        estimate=Estimate(
            instructions=lowered.estimate.instructions + dense.costs[core.name][name].of(weights),
            flash_bytes=lowered.estimate.flash_bytes - saved + weights.nbytes,
        ),
    )


EXPANDED_KERNELS: tuple[Kernel[Any], ...] = tuple(
    Kernel(dense.kernel.operator, partial(_lower, dense, name), fits=partial(_fits, dense, name))
    for dense in _DENSE
    for name in _FORMS
)
