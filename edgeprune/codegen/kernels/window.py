"""The parameters of a window that slides over an image."""

from __future__ import annotations

from edgeprune.codegen.lowering import Field
from edgeprune.graph import Tensor, Windowed

__all__ = ["WINDOW_SOURCES", "window_fields"]

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
