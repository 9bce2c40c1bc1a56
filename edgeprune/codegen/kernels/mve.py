"""The kernels of cores with the M-profile vector extension (Helium)."""

from __future__ import annotations

from typing import Any

from edgeprune.codegen.kernels.mve_depthwise import MVE_DEPTHWISE
from edgeprune.codegen.kernels.mve_depthwise_channels import MVE_DEPTHWISE_CHANNELS
from edgeprune.codegen.kernels.mve_matrix import MVE_CONV_2D, MVE_FULLY_CONNECTED, MVE_POINTWISE
from edgeprune.codegen.kernels.mve_reduction import MVE_AVERAGE_POOL_2D
from edgeprune.codegen.lowering import Kernel

__all__ = ["MVE_KERNELS"]

#: What they compute on cores with MVE, the special ones before the general ones.
MVE_KERNELS: tuple[Kernel[Any], ...] = (
    MVE_POINTWISE,
    MVE_CONV_2D,
    MVE_DEPTHWISE,
    MVE_DEPTHWISE_CHANNELS,
    MVE_FULLY_CONNECTED,
    MVE_AVERAGE_POOL_2D,
)
