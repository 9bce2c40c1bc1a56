"""The stages: what each reads, and how it makes its artifact.

Each function returns a :class:`edgeprune.store.Stage`. Heavy imports sit inside the functions that
run, so that looking an artifact up costs none of them.
"""

from __future__ import annotations

from edgeprune.stages.building import image, program, tflm
from edgeprune.stages.learning import clips, features, pruned, quantized, trained
from edgeprune.stages.measuring import emulator, host_build, measurement

__all__ = [
    "clips",
    "emulator",
    "features",
    "host_build",
    "image",
    "measurement",
    "program",
    "pruned",
    "quantized",
    "tflm",
    "trained",
]
