"""A graph to C99 that stands on its own: memory planned, constants folded, one function a layer."""

from __future__ import annotations

from edgeprune.codegen.host import HostProgram
from edgeprune.codegen.manifest import Layer, Level, Manifest, Region
from edgeprune.codegen.program import Program, generate, generate_levels
from edgeprune.codegen.selection import Objective, Options

__all__ = [
    "HostProgram",
    "Layer",
    "Level",
    "Manifest",
    "Objective",
    "Options",
    "Program",
    "Region",
    "generate",
    "generate_levels",
]
