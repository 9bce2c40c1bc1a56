"""One line of the comparison; JSON is what every other view is made from."""

from __future__ import annotations

import json
from collections.abc import Sequence

from edgeprune.evaluation.measurement import Record

__all__ = ["BenchRecord", "records_json"]


class BenchRecord(Record):
    """What one network costs on one core, built by one stack.

    Attributes:
        model: the .tflite file.
        core: the core.
        variant: ``dense``, ``sparse80`` …: the weights, and what was left out when they were built.
        stack: who compiled the network.
        device: what ran it.
        flash_bytes: of the linked image: start-up, code, constants, fixed input.
        ram_bytes: static data and arena, the stack not included.
        stack_bytes: deepest stack.
        instructions: of one inference.
        source: where the figures come from.
    """

    model: str
    core: str
    variant: str
    stack: str
    device: str
    flash_bytes: int | None
    ram_bytes: int | None
    stack_bytes: int | None
    instructions: int | None
    source: str


def records_json(records: Sequence[BenchRecord]) -> str:
    """The records as an indented JSON list, ending in a newline."""
    return json.dumps([record.model_dump() for record in records], indent=2) + "\n"
