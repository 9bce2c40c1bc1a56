"""A graph to C99 that stands on its own: memory planned, constants folded, one function a layer."""

from __future__ import annotations

from edgeprune.codegen.host import HostProgram
from edgeprune.codegen.manifest import Layer, Manifest, Region
from edgeprune.codegen.program import Program, generate
from edgeprune.codegen.selection import Objective, Options

__all__ = [
    "HostProgram",
    "Layer",
    "Manifest",
    "Objective",
    "Options",
    "Program",
    "Region",
    "generate",
]
