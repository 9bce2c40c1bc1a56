"""Kernels for cores with the DSP extension."""

from __future__ import annotations

from typing import Any

from edgeprune.codegen.kernels.dsp_depthwise import DSP_DEPTHWISE
from edgeprune.codegen.kernels.dsp_matrix import (
    DSP_CONV_2D,
    DSP_FULLY_CONNECTED,
    DSP_POINTWISE,
)
from edgeprune.codegen.lowering import Kernel

__all__ = ["DSP_KERNELS"]

#: What they compute on cores with the DSP extension, the special ones before the general ones.
DSP_KERNELS: tuple[Kernel[Any], ...] = (
    DSP_POINTWISE,
    DSP_CONV_2D,
    DSP_DEPTHWISE,
    DSP_FULLY_CONNECTED,
)
