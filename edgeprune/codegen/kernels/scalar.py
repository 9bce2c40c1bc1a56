"""Every kernel for cores without SIMD, the special before the general."""

from __future__ import annotations

from typing import Any

from edgeprune.codegen.kernels.scalar_convolution import SCALAR_CONV_2D, SCALAR_POINTWISE
from edgeprune.codegen.kernels.scalar_depthwise import SCALAR_DEPTHWISE
from edgeprune.codegen.lowering import Kernel

__all__ = ["SCALAR_KERNELS"]

SCALAR_KERNELS: tuple[Kernel[Any], ...] = (SCALAR_POINTWISE, SCALAR_CONV_2D, SCALAR_DEPTHWISE)
