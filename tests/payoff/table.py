"""Records with figures of one's choice."""

from __future__ import annotations

from typing import Any

from edgeprune.evaluation.measurement import Accuracy
from edgeprune.payoff import PayoffRecord

CLIPS = 1000


def record(identifier: str, correct: int = 920, **given: Any) -> PayoffRecord:
    """A sparse network of 1,000,000 instructions and 50,000 bytes of flash, unless said."""
    figures: dict[str, Any] = {
        "title": identifier.replace("-", " "),
        "role": "sparse",
        "recipe": "tiny",
        "target": "cortex-m4",
        "device": "emulator",
        "backend": "c",
        "seed": 1,
        "structure": "unstructured",
        "criterion": None,
        "sparsity": 0.5,
        "width": 64,
        "weights": "int8",
        "epochs": 60,
        "parameters": 20_000,
        "nonzero_parameters": 10_000,
        "macs": 900_000,
        "tflite_bytes": 40_000,
        "gzip_bytes": 30_000,
        "c_array_bytes": None,
        "arena_bytes": None,
        "flash_bytes": 50_000,
        "ram_bytes": 9_000,
        "instructions": 1_000_000,
        "latency_ms": 20.0,
        "measurement": "0123456789abcdef",
        "validation_accuracy": 0.93,
        **given,
    }
    return PayoffRecord(id=identifier, accuracy=Accuracy.of(correct, CLIPS), **figures)


def rival(identifier: str, role: str, correct: int = 930, **given: Any) -> PayoffRecord:
    """A network that sparsity must beat."""
    return record(identifier, correct, role=role, structure="none", sparsity=0.0, **given)
