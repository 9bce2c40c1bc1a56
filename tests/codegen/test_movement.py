"""What moves bytes, and how the output may lie over the input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgeprune.codegen.kernels.movement import (
    CONCATENATION,
    STRIDED_SLICE,
    TRANSPOSE,
    Axis,
    merge,
    row_strides,
)
from edgeprune.codegen.kernels.window import window_lead
from edgeprune.codegen.lowering import Lowered
from edgeprune.cores import CORES
from edgeprune.errors import UnsupportedError
from edgeprune.graph import DepthwiseConv2D, Operator, read_graph
from tests.graph.networks import Network


def test_axes_that_follow_one_another_become_one() -> None:
    shape = (2, 3, 4)
    contiguous = [Axis(n, step, step) for n, step in zip(shape, row_strides(shape), strict=True)]
    assert merge(contiguous) == [Axis(24, 1, 1)]
    # Every other line of one of them.
    assert merge([Axis(2, 24, 12), Axis(3, 8, 4), Axis(4, 1, 1)]) == [Axis(6, 8, 4), Axis(4, 1, 1)]
    # Repeated, and without steps of its own.
    assert merge([Axis(2, 0, 12), Axis(3, 0, 4), Axis(4, 1, 1)]) == [Axis(6, 0, 4), Axis(4, 1, 1)]
    assert merge([Axis(1, 7, 7), Axis(1, 3, 5)]) == [Axis(1, 1, 1)]


def _network(*shape: int) -> Network:
    return Network(np.random.default_rng(0), shape)


def _operator(network: Network) -> Operator:
    (operator,) = read_graph(network.content()).operators
    return operator


def _lowered(network: Network) -> Lowered:
    operator = _operator(network)
    for kernel in (CONCATENATION, STRIDED_SLICE, TRANSPOSE):
        lowered = kernel.offer(operator, CORES["host"])
        if lowered is not None:
            return lowered
    raise AssertionError(operator)


def test_contiguous_bytes_are_moved_at_once() -> None:
    network = _network(1, 6, 5, 4)
    network.slice(0, [0, 2, 0, 0], [1, 3, 5, 4])
    lowered = _lowered(network)
    assert lowered.function == "edgeprune_kernel_move"
    assert lowered.parameters == {"input_start": 40, "size": 60}
    network = _network(1, 6, 1, 4)
    network.transpose(0, [0, 2, 1, 3])
    assert _lowered(network).function == "edgeprune_kernel_move"
    network = _network(1, 6, 5, 4)
    network.slice(0, [0, 2, 1, 0], [1, 3, 2, 4])
    lowered = _lowered(network)
    assert (lowered.parameters["run"], lowered.parameters["line"]) == (8, 3)


def test_slices_may_lie_over_their_input_unless_they_go_backwards() -> None:
    network = _network(1, 6, 5, 4)
    network.strided_slice(0, [0, 1, 0, 1], [1, 6, 5, 4], [1, 2, 1, 1])
    overlap = _lowered(network).overlap
    assert overlap is not None
    assert (overlap.input, overlap.lead) == (0, -21)
    network = _network(1, 6, 5, 4)
    network.strided_slice(0, [0, 5, 0, 0], [1, -7, 5, 4], [1, -1, 1, 1])
    assert _lowered(network).overlap is None


def test_a_concatenation_lies_over_its_largest_source() -> None:
    network = _network(1, 6, 5, 4)
    constant = network.operand((1, 2, 5, 4), scale=0.1)
    network.concatenation([constant, 0], 1)
    overlap = _lowered(network).overlap
    assert overlap is not None
    assert (overlap.input, overlap.lead) == (1, 40)
    for sources, axis in (([0, 0], 1), ([constant, 0], 1)):
        network = _network(1, 6, 5, 4)
        constant = network.operand((1, 6, 5, 4), scale=0.1)
        network.concatenation(sources if sources == [0, 0] else [0, constant], 2 if axis else 0)
        assert _lowered(network).overlap is None


def test_too_many_nested_steps_are_refused() -> None:
    network = _network(2, 3, 2, 3, 2, 3, 2)
    network.transpose(0, [6, 5, 4, 3, 2, 1, 0])
    with pytest.raises(UnsupportedError, match="nested steps; 4 are supported"):
        _lowered(network)


def test_too_many_sources_are_refused() -> None:
    network = _network(1, 4)
    network.concatenation([0] * 11, 1)
    with pytest.raises(UnsupportedError, match="11 inputs; 10 are supported"):
        _lowered(network)


def _least_lead(operator: DepthwiseConv2D) -> int:
    """By trying: bytes are written one by one, and none may be read after that."""
    window, (batches, height, width, channels) = operator.window, operator.input.shape
    output = operator.output.shape
    last_read: dict[int, int] = {}
    pixels = itertools.product(range(batches), range(output[1]), range(output[2]))
    for index, (batch, y, x) in enumerate(pixels):
        for tap in itertools.product(*(range(size) for size in window.kernel)):
            at = [
                origin * window.stride[axis]
                + tap[axis] * window.dilation[axis]
                - (window.padding.top, window.padding.left)[axis]
                for axis, origin in enumerate((y, x))
            ]
            if 0 <= at[0] < height and 0 <= at[1] < width:
                pixel = (batch * height + at[0]) * width + at[1]
                for channel in range(channels):
                    last_read[pixel * channels + channel] = index * channels + channel
    # Written at `time`, a byte must not be one that is read later.
    return max(time - place for place, read in last_read.items() for time in [read - 1] if read)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4)])
def test_the_lead_of_a_window(
    kernel: tuple[int, int], stride: tuple[int, int], padding: str
) -> None:
    """Enough, and at most a pixel more than needed where windows meet the next image."""
    network = _network(2, 7, 5, 3)
    network.depthwise_conv_2d(0, kernel=kernel, stride=stride, padding=padding)
    operator = _operator(network)
    assert isinstance(operator, DepthwiseConv2D)
    lead = window_lead(operator.window, operator.input, operator.output)
    least = _least_lead(operator)
    assert least <= lead <= least + 6
