"""Weights and biases, and the operator that has nothing else: FULLY_CONNECTED."""

from __future__ import annotations

import tflite

from edgeprune.graph.kinds.checks import check_quantized, check_rank
from edgeprune.graph.kinds.site import Site
from edgeprune.graph.operators import FullyConnected, Operator
from edgeprune.graph.tensor import Tensor

__all__ = ["check_bias", "check_weights", "fully_connected"]

#: How far the scale of FULLY_CONNECTED's bias may be off, in units of the output's scale.
_BIAS_TOLERANCE = 0.02


def fully_connected(site: Site) -> Operator:
    """FULLY_CONNECTED, with a scale for the tensor or for each output channel."""
    source, weights, bias = site.input(0), site.input(1), site.optional(2)
    check_quantized(site, source, site.output)
    check_rank(site, weights, 2)
    channels, depth = weights.shape
    if site.option("WeightsFormat") != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise site.unsupported("has shuffled weights", hint="convert with default weights")
    check_weights(site, weights, axis=0, channels=channels)
    check_bias(site, bias, channels)
    _check_bias_scale(site, source, weights, bias)
    if source.elements % depth:
        raise site.malformed(f"has weights {weights} for the input {source}")
    rows = source.elements // depth
    if site.output.elements != rows * channels or site.output.shape[-1:] != (channels,):
        raise site.malformed(f"writes tensor {site.output}; {rows} rows of {channels} are needed")
    return FullyConnected(
        **site.base(),
        input=source,
        weights=weights,
        bias=bias,
        activation=site.activation(),
    )


def _check_bias_scale(site: Site, source: Tensor, weights: Tensor, bias: Tensor | None) -> None:
    """The bias counts in units of input times weights; TensorFlow Lite checks it here alone."""
    if bias is None or bias.quantization is None or weights.quantization is None:
        return
    if len(weights.quantization.scales) > 1:
        return
    product = source.scale * weights.scale
    if len(bias.quantization.scales) != 1 or (
        abs(product - bias.scale) > _BIAS_TOLERANCE * site.output.scale
    ):
        raise site.malformed(
            f"has the bias {bias}, whose scale should be {product:g}, that of the input times "
            "that of the weights"
        )


def check_weights(site: Site, weights: Tensor, *, axis: int, channels: int) -> None:
    """Constant int8 of zero point 0, with one scale or one for each output channel."""
    if not weights.is_constant:
        raise site.unsupported(f"has weights that the network computes, tensor {weights}")
    if weights.dtype != "int8":
        raise site.unsupported(f"has weights of another type than int8, tensor {weights}")
    quantization = weights.quantization
    if quantization is None:
        raise site.malformed(f"has weights without a scale, tensor {weights}")
    if any(quantization.zero_points):
        raise site.unsupported(
            f"has weights with a zero point other than 0, tensor {weights}",
            hint="convert with symmetric weights, which is the default of int8",
        )
    count = len(quantization.scales)
    if count != 1 and (count != channels or quantization.axis != axis):
        raise site.malformed(
            f"has {count} scales along dimension {quantization.axis} of its weights {weights}"
        )


def check_bias(site: Site, bias: Tensor | None, channels: int) -> None:
    """Constant int32, one value for each output channel; or none."""
    if bias is None:
        return
    if not bias.is_constant or bias.dtype != "int32":
        raise site.unsupported(f"has the bias {bias}; a constant of int32 is supported")
    if bias.elements != channels:
        raise site.malformed(f"has the bias {bias} for {channels} output channels")
