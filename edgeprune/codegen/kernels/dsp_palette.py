"""CONV_2D of one pixel windows whose dense weights are stored small and unpacked to memory.

Flash is saved, at the price of memory for the weights of one layer. For cores with the DSP
extension; see ``runtime/palette_pointwise_conv_2d.h``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprune.codegen.encodings.bitmap import encode_bitmap
from edgeprune.codegen.encodings.palette import encode_palette
from edgeprune.codegen.kernels.dsp_matrix import DSP_POINTWISE
from edgeprune.codegen.kernels.dsp_packing import pack_matrix
from edgeprune.codegen.kernels.weighted import weight_values
from edgeprune.codegen.lowering import (
    Constant,
    Estimate,
    Field,
    Kernel,
    Lowered,
    unsupported,
)
from edgeprune.cores import Core
from edgeprune.graph import Conv2D

__all__ = ["DSP_PALETTE_KERNELS"]

#: Words of a pair of channels that are no weights; half of them come first.
_PARAMETERS = 4


@dataclass(frozen=True, eq=False)
class _Weights:
    """The bytes of a matrix, and the tables that they refer to."""

    stream: npt.NDArray[np.int8]
    tables: npt.NDArray[np.int8] | None = None

    def fields(self) -> dict[str, Field]:
        """What the kernel is told about them."""
        tables: Field = 0 if self.tables is None else Constant("tables", self.tables)
        return {"weights": Constant("weights", self.stream), "tables": tables}

    @property
    def nbytes(self) -> int:
        return int(self.stream.nbytes + (0 if self.tables is None else self.tables.nbytes))


def _palette(rows: npt.NDArray[Any]) -> _Weights:
    palette = encode_palette(rows)
    return _Weights(palette.stream, palette.tables)


def _bitmap(rows: npt.NDArray[Any]) -> _Weights:
    return _Weights(encode_bitmap(rows))


@dataclass(frozen=True)
class _Form:
    """A form of stored weights.

    Attributes:
        number: in ``palette_unpack.h``.
        encode: a matrix to its bytes; raises ValueError where it has none.
        unpacking: instructions for a weight.
    """

    number: int
    encode: Callable[[npt.NDArray[Any]], _Weights]
    unpacking: float


_FORMS = {
    "palette4": _Form(0, _palette, unpacking=4.5),
    "bitmap": _Form(1, _bitmap, unpacking=6.0),
}


def _encoded(operator: Conv2D, form: _Form) -> _Weights | None:
    """The weights; None where the form does not hold them."""
    rows = weight_values(operator).reshape(operator.weights.shape[0], -1)
    if rows.shape[0] % 2 or rows.shape[1] % 4:
        return None
    try:
        return form.encode(rows)
    except ValueError:
        return None


def _fits(form: _Form, operator: Conv2D, core: Core) -> bool:
    return (
        core.dsp
        and not core.mve
        and DSP_POINTWISE.fits(operator, core)
        and _encoded(operator, form) is not None
    )


def _lower(name: str, operator: Conv2D, core: Core) -> Lowered:
    form = _FORMS[name]
    weights, words = _encoded(operator, form), pack_matrix(operator)
    if weights is None or words is None:
        raise unsupported(operator, f"its weights don't fit the encoding {name}")
    dense = DSP_POINTWISE.lower(operator, core)
    pairs = words.reshape(operator.weights.shape[0] // 2, -1)
    around = _PARAMETERS // 2
    channels = np.concatenate([pairs[:, :around], pairs[:, -around:]], axis=1).reshape(-1)
    instructions = dense.estimate.instructions if dense.estimate else 0.0
    return replace(
        dense,
        function="edgeprune_palette_pointwise_conv_2d_unpacked",
        struct="edgeprune_palette_pointwise_conv_2d",
        header="palette_pointwise_conv_2d.h",
        sources=(*dense.sources, "palette_pointwise_conv_2d.h", "palette_unpack.h"),
        parameters={**weights.fields(), "channels": Constant("channels", channels)},
        scratch=int(words.nbytes) + dense.scratch,
        shape=(("form", form.number), *dense.shape),
        encoding=name,
        estimate=Estimate(
            instructions=instructions + form.unpacking * operator.weights.elements,
            flash_bytes=weights.nbytes + int(channels.nbytes),
        ),
    )


def _kernel(name: str, form: _Form) -> Kernel[Conv2D]:
    return Kernel(Conv2D, partial(_lower, name), fits=partial(_fits, form))


DSP_PALETTE_KERNELS: tuple[Kernel[Any], ...] = tuple(
    _kernel(name, form) for name, form in _FORMS.items()
)
