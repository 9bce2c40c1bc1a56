"""Int8 files of nested networks whose int8 weights are the same bytes.

The widest network is converted as any other. A narrower one's folded kernel is the leading block of
the widest's, but for a positive factor on each output channel, which its own batch normalization
brought. That factor goes into the channel's scale, and so into the multiplier that requantizes it:
the int8 values are those of the widest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.graph import Conv2D, DepthwiseConv2D, FullyConnected, Graph, read_graph
from edgeprune.models.backend import keras
from edgeprune.quantization.converter import quantize
from edgeprune.quantization.folding import WEIGHTED, fold

__all__ = ["quantize_levels"]

_Weighted = Conv2D | DepthwiseConv2D | FullyConnected

#: The smallest factor between two levels; a channel of less is silent at the narrower one.
_SMALLEST_FACTOR = 1e-6


@dataclass(frozen=True)
class _Int8:
    """Weights of a layer.

    Attributes:
        values: int8, in TensorFlow Lite's layout, output channels along ``axis``.
        scales: float64, one for each output channel, or one.
        axis: of the output channels.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float64]
    axis: int

    @property
    def real(self) -> NDArray[np.float64]:
        """What the values stand for."""
        shape = [1] * self.values.ndim
        shape[self.axis] = -1
        return np.asarray(self.values.astype(np.float64) * self.scales.reshape(shape))


def quantize_levels(networks: Sequence[Any], calibration: NDArray[np.float32]) -> tuple[bytes, ...]:
    """Convert networks that lie in each other.

    Layers whose kernel is no leading block of the widest's keep the int8 values that TensorFlow
    Lite gives them.

    Args:
        networks: functional Keras models that give logits, the widest first; their layers have the
            same names.
        calibration: float32 [clips, frames, features], normalized: inputs that the ranges of the
            activations are read from, at each level.

    Returns:
        One .tflite file a network, as of :func:`edgeprune.quantization.converter.quantize`.

    Raises:
        TrainingError: there are no clips, or TensorFlow can't convert a network.
        UnsupportedError: a normalization that can't be folded, or a result with an operator or a
            type that edgeprune does not compile.
    """
    widest = fold(networks[0])
    first = quantize(widest, calibration)
    wide = _by_layer(widest, read_graph(first))
    return (first, *(_narrower(network, wide, calibration) for network in networks[1:]))


def _narrower(network: Any, wide: Mapping[str, _Int8], calibration: NDArray[np.float32]) -> bytes:
    folded = fold(network)
    shared = {
        layer.name: block
        for layer in folded.layers
        if layer.name in wide and (block := _block(layer, wide[layer.name])) is not None
    }
    for name, block in shared.items():
        layer = folded.get_layer(name)
        layer.kernel.assign(_keras_layout(layer, block.real).astype(np.float32))
    content = quantize(folded, calibration)
    return _patched(content, _operators(folded, read_graph(content)), shared, folded)


def _block(layer: Any, wide: _Int8) -> _Int8 | None:
    """The leading block of the widest's weights, with scales that make it a layer's kernel."""
    kernel = _tflite_layout(layer)
    if any(mine > theirs for mine, theirs in zip(kernel.shape, wide.values.shape, strict=True)):
        return None
    values = wide.values[tuple(slice(0, size) for size in kernel.shape)]
    outputs = kernel.shape[wide.axis]
    scales = wide.scales if len(wide.scales) == 1 else wide.scales[:outputs]
    real = _Int8(values, scales, wide.axis).real
    others = tuple(axis for axis in range(kernel.ndim) if axis != wide.axis)
    energy = (real**2).sum(axis=others)
    overlap = (real * kernel).sum(axis=others)
    factors = np.where(energy > 0, overlap / np.where(energy > 0, energy, 1), 1.0)
    factors = np.maximum(factors, _SMALLEST_FACTOR)
    if len(scales) == 1:
        factors = np.ones(outputs)
    block = _Int8(values, scales if len(scales) == 1 else scales * factors, wide.axis)
    # The widest's int8 values are within half a step of its float weights.
    steps = np.broadcast_to(_along(block.scales, kernel.ndim, wide.axis), kernel.shape)
    return block if np.all(np.abs(block.real - kernel) <= steps) else None


def _along(values: NDArray[np.float64], rank: int, axis: int) -> NDArray[np.float64]:
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def _tflite_layout(layer: Any) -> NDArray[np.float64]:
    kernel = layer.kernel.numpy().astype(np.float64)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return np.asarray(kernel.reshape(1, *kernel.shape[:2], -1))
    return np.asarray(np.moveaxis(kernel, -1, 0))


def _keras_layout(layer: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return values.reshape(layer.kernel.shape)
    return np.asarray(np.moveaxis(values, 0, -1))


def _by_layer(folded: Any, graph: Graph) -> dict[str, _Int8]:
    found: dict[str, _Int8] = {}
    for name, operator in _operators(folded, graph).items():
        weights, quantization = operator.weights, operator.weights.quantization
        if weights.data is not None and quantization is not None:
            axis = 3 if isinstance(operator, DepthwiseConv2D) else 0
            found[name] = _Int8(weights.data, np.array(quantization.scales, dtype=np.float64), axis)
    return found


def _operators(folded: Any, graph: Graph) -> dict[str, _Weighted]:
    """Layer name → the operator with its weights, told by their values."""
    operators = [each for each in graph.operators if isinstance(each, _Weighted)]
    found: dict[str, _Weighted] = {}
    for layer in folded.layers:
        if isinstance(layer, WEIGHTED):
            kernel = _tflite_layout(layer)
            nearest = min(operators, key=lambda each: _distance(each, kernel), default=None)
            if nearest is not None and _distance(nearest, kernel) <= 1.0:
                found[layer.name] = nearest
    return found


def _distance(operator: _Weighted, kernel: NDArray[np.float64]) -> float:
    """The largest difference between an operator's weights and a kernel, in steps."""
    weights, quantization = operator.weights, operator.weights.quantization
    if weights.data is None or quantization is None or weights.shape != kernel.shape:
        return np.inf
    axis = 3 if isinstance(operator, DepthwiseConv2D) else 0
    scales = np.array(quantization.scales, dtype=np.float64)
    real = _Int8(weights.data, scales, axis).real
    return float(np.max(np.abs(real - kernel) / _along(scales, kernel.ndim, axis)))


def _patched(
    content: bytes, operators: Mapping[str, _Weighted], shared: Mapping[str, _Int8], folded: Any
) -> bytes:
    """The file with other int8 weights, scales and biases: of the same sizes, at the same places.

    The converter would choose each channel's scale by its own largest weight, which may be one that
    only the widest network has.
    """
    data = bytearray(content)
    model = tflite.Model.GetRootAs(data)
    for name, block in shared.items():
        operator = operators.get(name)
        if operator is None:
            continue
        quantization = operator.weights.quantization
        if quantization is None or len(quantization.scales) != len(block.scales):
            raise TrainingError(
                "TensorFlow gives this layer another number of scales at a narrower level",
                where=f"layer {name}",
            )
        _write(model, operator.weights.index, block.values, block.scales)
        if operator.bias is not None:
            scales = operator.input.scale * block.scales
            bias = folded.get_layer(name).bias.numpy().astype(np.float64)
            _write(model, operator.bias.index, np.round(bias / scales).astype(np.int32), scales)
    patched = bytes(data)
    _check(patched, operators, shared)
    return patched


def _write(model: Any, tensor: int, values: NDArray[Any], scales: NDArray[np.float64]) -> None:
    described = model.Subgraphs(0).Tensors(tensor)
    stored = model.Buffers(described.Buffer()).DataAsNumpy()
    stored[:] = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    described.Quantization().ScaleAsNumpy()[:] = scales.astype(np.float32)


def _check(content: bytes, operators: Mapping[str, _Weighted], shared: Mapping[str, _Int8]) -> None:
    """Make sure that no two tensors shared what was written."""
    tensors = {tensor.index: tensor for tensor in read_graph(content).tensors}
    for name, block in shared.items():
        if name in operators:
            data = tensors[operators[name].weights.index].data
            if data is None or not np.array_equal(data, block.values):
                raise TrainingError(
                    "the weights of two layers lie in one place of the converted file",
                    where=f"layer {name}",
                )
