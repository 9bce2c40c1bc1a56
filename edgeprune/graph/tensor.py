"""Tensors: shape, type, quantization, and the data of constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["DType", "Quantization", "Tensor"]

DType = Literal["int8", "uint8", "int32", "float32"]


@dataclass(frozen=True)
class Quantization:
    """An affine map between integers and real numbers: ``real = scale * (q - zero_point)``.

    Attributes:
        scales: one for the tensor, or one for each index along ``axis``; float32 values.
        zero_points: as many as ``scales``.
        axis: the dimension that ``scales`` runs along; 0 when there is one scale.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the graph; two are the same only if they are the same object.

    Attributes:
        index: its number in the file.
        name: as the file has it, for people.
        shape: every dimension at least 1; empty for a scalar.
        dtype: ``int8`` for what is computed with; ``int32`` for biases and indices; ``uint8`` and
            ``float32`` at the network's ends.
        quantization: None for index data, such as the axes of MEAN.
        data: the read-only values of a constant, in ``shape``; None for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: DType
    quantization: Quantization | None
    data: npt.NDArray[Any] | None = None

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.elements * np.dtype(self.dtype).itemsize

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        return self.data is not None

    @property
    def scale(self) -> float:
        """The one scale of a tensor that is quantized as a whole.

        Raises:
            ValueError: it is not quantized, or has a scale for each channel.
        """
        if self.quantization is None or len(self.quantization.scales) != 1:
            raise ValueError(f"tensor {self.name} has no single scale")
        return self.quantization.scales[0]

    @property
    def zero_point(self) -> int:
        """The one zero point of a tensor that is quantized as a whole.

        Raises:
            ValueError: it is not quantized, or has a zero point for each channel.
        """
        if self.quantization is None or len(self.quantization.zero_points) != 1:
            raise ValueError(f"tensor {self.name} has no single zero point")
        return self.quantization.zero_points[0]

    def __str__(self) -> str:
        return f"{self.name!r} ({self.dtype} {list(self.shape)})"
