"""A network as C arrays for TensorFlow Lite Micro: its file, its operators, labels, front-end."""

from __future__ import annotations

from edgeprune.codegen.tflm.generate import generate_tflm
from edgeprune.codegen.tflm.operators import OPERATORS, Registration, registrations

__all__ = ["OPERATORS", "Registration", "generate_tflm", "registrations"]
