"""Every kernel of weights that are stored small and unpacked to memory before they are used."""

from __future__ import annotations

from typing import Any

from edgeprune.codegen.kernels.dsp_palette import DSP_PALETTE_KERNELS
from edgeprune.codegen.kernels.expanded import EXPANDED_KERNELS
from edgeprune.codegen.lowering import Kernel

__all__ = ["PALETTE_KERNELS"]

PALETTE_KERNELS: tuple[Kernel[Any], ...] = (*DSP_PALETTE_KERNELS, *EXPANDED_KERNELS)
