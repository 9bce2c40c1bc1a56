"""What goes onto a device with SSH and Python: libraries, model, wheels, agent, unit, manifest.

Everything is made on this machine, for the device's architecture and Python, so that the device
needs no network and compiles nothing. A bundle is a folder; its manifest names every file of it by
SHA-256, and may be signed.
"""

from __future__ import annotations

from edgeprune.bundle.facts import PROBE, DeviceFacts
from edgeprune.bundle.manifest import MANIFEST, SIGNATURE, Bundle, BundleFile
from edgeprune.bundle.unit import HEALTH_FILE, UNIT

__all__ = [
    "HEALTH_FILE",
    "MANIFEST",
    "PROBE",
    "SIGNATURE",
    "UNIT",
    "Bundle",
    "BundleFile",
    "DeviceFacts",
]
