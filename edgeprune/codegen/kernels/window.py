"""The parameters of a window that slides over an image."""

from __future__ import annotations

import numpy as np

from edgeprune.codegen.lowering import Field
from edgeprune.graph import Tensor, Windowed

__all__ = ["WINDOW_SOURCES", "window_fields", "window_lead"]

WINDOW_SOURCES = ("kernel_window.h",)


def window_fields(window: Windowed, source: Tensor, output: Tensor) -> dict[str, Field]:
    """The ``edgeprune_window`` of a layer."""
    return {
        "batches": source.shape[0],
        "input_height": source.shape[1],
        "input_width": source.shape[2],
        "input_channels": source.shape[3],
        "output_height": output.shape[1],
        "output_width": output.shape[2],
        "output_channels": output.shape[3],
        "kernel_height": window.kernel[0],
        "kernel_width": window.kernel[1],
        "stride_height": window.stride[0],
        "stride_width": window.stride[1],
        "dilation_height": window.dilation[0],
        "dilation_width": window.dilation[1],
        "padding_top": window.padding.top,
        "padding_left": window.padding.left,
    }


def window_lead(window: Windowed, source: Tensor, output: Tensor) -> int:
    """How far before the input the output must start for pixels to be written as they come.

    For kernels that compute the output pixel by pixel from the first to the last, and write a
    pixel when no value under its window is needed any more but those of the channels to come.

    Returns:
        Bytes; negative where the output may start behind the input's start.
    """
    batches, height, width, channels = source.shape
    rows, columns = (
        np.clip(
            np.arange(output.shape[1 + axis]) * window.stride[axis]
            - (window.padding.top, window.padding.left)[axis],
            0,
            source.shape[1 + axis] - 1,
        )
        for axis in (0, 1)
    )
    # The first pixel under each window; rows below may start further left, so look at all to come.
    first = (rows[:, np.newaxis] * width + columns).reshape(-1)
    pixels = np.add.outer(height * width * np.arange(batches), first).reshape(-1)
    needed = np.minimum.accumulate(pixels[::-1])[::-1] * channels
    written = np.arange(len(needed)) * output.shape[3]
    during = written - needed
    after = written[:-1] + output.shape[3] - needed[1:]
    return int(max(during.max(), after.max(initial=during[0])))
