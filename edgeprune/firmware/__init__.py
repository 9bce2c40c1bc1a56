"""A generated program to a firmware image, and what the image costs."""

from __future__ import annotations

from edgeprune.firmware.build import Image, build_image
from edgeprune.firmware.elf import Elf, Identity
from edgeprune.firmware.manifest import Layer, Manifest, Region
from edgeprune.firmware.sizes import LayerSize, SectionSize, Sizes, SymbolSize, measure

__all__ = [
    "Elf",
    "Identity",
    "Image",
    "Layer",
    "LayerSize",
    "Manifest",
    "Region",
    "SectionSize",
    "Sizes",
    "SymbolSize",
    "build_image",
    "measure",
]
