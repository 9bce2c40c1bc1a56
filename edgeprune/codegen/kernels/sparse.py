"""Every kernel of sparse weights: only what is not zero is stored and multiplied."""

from __future__ import annotations

from typing import Any

from edgeprune.codegen.kernels.sparse_long import SPARSE_LONG_KERNELS
from edgeprune.codegen.kernels.sparse_short import SPARSE_SHORT_KERNELS
from edgeprune.codegen.lowering import Kernel

__all__ = ["SPARSE_KERNELS"]

SPARSE_KERNELS: tuple[Kernel[Any], ...] = (*SPARSE_LONG_KERNELS, *SPARSE_SHORT_KERNELS)
