"""A generated program to a firmware image, and what the image costs."""

from __future__ import annotations

from edgeprune.firmware.build import Image, build_image
from edgeprune.firmware.elf import Elf, Identity
from edgeprune.firmware.sizes import LayerSize, SectionSize, Sizes, SymbolSize, measure

__all__ = [
    "Elf",
    "Identity",
    "Image",
    "LayerSize",
    "SectionSize",
    "Sizes",
    "SymbolSize",
    "build_image",
    "measure",
]
