"""What TensorFlow Lite demands of the tensors of int8 operators."""

from __future__ import annotations

from edgeprune.errors import UnsupportedError
from edgeprune.graph.kinds.site import Place, Site
from edgeprune.graph.tensor import Tensor

__all__ = [
    "axis_of",
    "check_moved",
    "check_output_quantization",
    "check_quantized",
    "check_rank",
    "check_shape",
    "refused_quantization",
]


def check_quantized(place: Place, *tensors: Tensor, dtypes: tuple[str, ...] = ("int8",)) -> None:
    """Tensors that are computed with: of a type, quantized as a whole."""
    for tensor in tensors:
        if tensor.dtype not in dtypes:
            raise place.unsupported(
                f"uses tensor {tensor}; {' or '.join(dtypes)} is supported",
                hint="convert with full-integer quantization",
            )
        if tensor.quantization is None:
            raise place.malformed(f"uses {tensor.dtype} tensor {tensor}, which has no scale")
        if len(tensor.quantization.scales) != 1:
            raise place.unsupported(f"uses tensor {tensor}, whose scales differ by channel")


def check_rank(site: Site, tensor: Tensor, rank: int) -> None:
    """A tensor of so many dimensions."""
    if len(tensor.shape) != rank:
        raise site.malformed(f"uses tensor {tensor}; {rank} dimensions are needed")


def check_shape(site: Site, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """A tensor of the shape that the operator computes."""
    if tensor.shape != expected:
        raise site.malformed(f"uses tensor {tensor}; its shape should be {list(expected)}")


def check_moved(site: Site, *sources: Tensor) -> None:
    """Values that are moved and not computed with: int8, inputs and output quantized alike."""
    check_quantized(site, *sources, site.output)
    for source in sources:
        if source.quantization != site.output.quantization:
            raise refused_quantization(site, source, site.output)


def refused_quantization(site: Site, source: Tensor, output: Tensor) -> UnsupportedError:
    """The error of an operator that can't rescale between two tensors that differ."""
    return site.unsupported(
        f"would have to rescale tensor {source} (scale {source.scale:g}, zero point "
        f"{source.zero_point}) to tensor {output} (scale {output.scale:g}, zero point "
        f"{output.zero_point}), of a different scale or zero point",
        hint="convert the model again; converters give both the same",
    )


def check_output_quantization(site: Site, scale: float, zero_point: int) -> None:
    """An output whose quantization the kernel fixes."""
    if site.output.scale != scale or site.output.zero_point != zero_point:
        raise site.unsupported(
            f"writes scale {site.output.scale:g} and zero point {site.output.zero_point}",
            hint=f"scale 1/{round(1 / scale)} and zero point {zero_point} are supported, as "
            "converters write",
        )


def axis_of(site: Site, number: int, tensor: Tensor) -> int:
    """A dimension from 0 to rank - 1; negative numbers count from the last."""
    rank = len(tensor.shape)
    if not -rank <= number < rank:
        raise site.malformed(f"works along dimension {number} of tensor {tensor}")
    return number % rank
