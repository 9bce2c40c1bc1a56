"""The stages: what each reads, and how it makes its artifact.

Each function returns a :class:`edgeprune.store.Stage`. Heavy imports sit inside the functions that
run, so that looking an artifact up costs none of them.
"""

from __future__ import annotations

from edgeprune.stages.building import image, program, tflm
from edgeprune.stages.bundling import bundle, runtime
from edgeprune.stages.imported import imported, imported_measurement, imported_program
from edgeprune.stages.learning import clips, features, pruned, quantized, trained, tuned
from edgeprune.stages.measuring import host_build, image_device, measurement
from edgeprune.stages.over_ssh import foretold, measure_over_ssh
from edgeprune.stages.sensitivity import pruned_once, sensitivity

__all__ = [
    "bundle",
    "clips",
    "features",
    "foretold",
    "host_build",
    "image",
    "image_device",
    "imported",
    "imported_measurement",
    "imported_program",
    "measure_over_ssh",
    "measurement",
    "program",
    "pruned",
    "pruned_once",
    "quantized",
    "runtime",
    "sensitivity",
    "tflm",
    "trained",
    "tuned",
]
