"""Which kernel computes a layer on a core: the fastest, the smallest, or the best of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgeprune.codegen.kernels import KERNELS
from edgeprune.codegen.kernels.dsp import DSP_KERNELS
from edgeprune.codegen.kernels.mve import MVE_KERNELS
from edgeprune.codegen.kernels.palette import PALETTE_KERNELS
from edgeprune.codegen.kernels.scalar import SCALAR_KERNELS
from edgeprune.codegen.kernels.sparse import SPARSE_KERNELS
from edgeprune.codegen.lowering import Estimate, Kernel, Lowered, Nest, unsupported
from edgeprune.cores import Core
from edgeprune.graph import Operator

__all__ = ["Objective", "Options", "Selection", "select", "select_nested"]

#: What a choice among encodings looks at: instructions, flash bytes, or both alike.
Objective = Literal["speed", "size", "balanced"]

#: Dense kernels; the first that fits is taken, so the special ones come before the general ones.
DENSE_KERNELS: tuple[Kernel[Any], ...] = (*MVE_KERNELS, *DSP_KERNELS, *SCALAR_KERNELS, *KERNELS)

#: Kernels of compressed weights; each that fits is weighed against the dense one.
COMPRESSED_KERNELS: tuple[Kernel[Any], ...] = (*SPARSE_KERNELS, *PALETTE_KERNELS)


@dataclass(frozen=True)
class Options:
    """What the generator may do; the defaults are what every build uses.

    The others exist to measure what each of them brings (``invoke bench``).

    Attributes:
        objective: ``speed`` takes the encoding of the fewest instructions, ``size`` that of the
            fewest bytes of flash, ``balanced`` that of the least product of both.
        encodings: what weights may be stored as, beside ``dense``; None for all.
        specialized: use the kernels that are made for the core; the plain ones compute everything.
        in_place: let layers write over their inputs.
    """

    objective: Objective = "balanced"
    encodings: tuple[str, ...] | None = None
    specialized: bool = True
    in_place: bool = True


@dataclass(frozen=True, eq=False)
class Selection:
    """The kernel of a layer, and what it was chosen over.

    Attributes:
        chosen: the layer as a call of the kernel.
        dense: the layer with dense weights.
        rivals: the layer in every encoding that was weighed, the chosen one included.
    """

    chosen: Lowered
    dense: Lowered
    rivals: tuple[Lowered, ...]


def select(operator: Operator, core: Core, options: Options) -> Selection:
    """Choose the kernel that computes an operator on a core, and lower the operator to it.

    An encoding is weighed only where it takes fewer bytes than the dense weights do.

    Raises:
        UnsupportedError: no kernel can, or none can exactly.
    """
    dense = _first(operator, core, DENSE_KERNELS if options.specialized else KERNELS)
    rivals = [dense]
    if dense.estimate is not None and options.specialized:
        offers = (kernel.offer(operator, core) for kernel in COMPRESSED_KERNELS)
        rivals += [
            offer
            for offer in offers
            if offer is not None
            and offer.estimate is not None
            and offer.estimate.flash_bytes < dense.estimate.flash_bytes
            and (options.encodings is None or offer.encoding in options.encodings)
        ]
    if not options.in_place:
        rivals = [replace(each, overlap=None) for each in rivals]
    chosen = min(rivals, key=lambda each: _score(each.estimate, options.objective))
    return Selection(chosen=chosen, dense=rivals[0], rivals=tuple(rivals))


def select_nested(operator: Operator, nest: Nest[Any], core: Core, options: Options) -> Selection:
    """Choose the kernel of a member of a nest; its weights are dense, and shared where they can be.

    Raises:
        UnsupportedError: no kernel can, or none can exactly.
    """
    for kernel in DENSE_KERNELS if options.specialized else KERNELS:
        lowered = kernel.offer_nested(operator, nest, core)
        if lowered is not None:
            chosen = lowered if options.in_place else replace(lowered, overlap=None)
            return Selection(chosen=chosen, dense=chosen, rivals=(chosen,))
    raise unsupported(operator, f"no kernel computes it on {core.name}")


def _first(operator: Operator, core: Core, kernels: Sequence[Kernel[Any]]) -> Lowered:
    for kernel in kernels:
        lowered = kernel.offer(operator, core)
        if lowered is not None:
            return lowered
    raise unsupported(operator, f"no kernel computes it on {core.name}")


def _score(estimate: Estimate | None, objective: Objective) -> tuple[float, float]:
    if estimate is None:
        return (0.0, 0.0)
    instructions, size = float(estimate.instructions), float(estimate.flash_bytes)
    if objective == "speed":
        return (instructions, size)
    if objective == "size":
        return (size, instructions)
    return (instructions * size, instructions)
