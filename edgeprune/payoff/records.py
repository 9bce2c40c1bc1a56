"""One line of the truth table; JSON is what every other view is made from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from edgeprune.evaluation.measurement import Accuracy, Record
from edgeprune.payoff.points import Role
from edgeprune.target import Budgets

__all__ = [
    "Backend",
    "Payoff",
    "PayoffRecord",
    "Verdict",
    "payoff_csv",
    "payoff_json",
    "payoff_schema",
]

Backend = Literal["c", "tflm"]


class Verdict(Record):
    """Whether sparsity was worth it."""

    pays: bool | None = Field(description="absent where nothing tells: a device without costs")
    reason: str = Field(description="with the figures that decided")
    rival: str | None = Field(default=None, description="id of the rival that decided")

    @property
    def words(self) -> str:
        """``pays``, ``does not pay`` or ``not judged``."""
        return "not judged" if self.pays is None else "pays" if self.pays else "does not pay"


class PayoffRecord(Record):
    """What one network costs on a target, and how well it hears."""

    id: str = Field(description="unique in the table")
    title: str
    role: Role = Field(
        description="sparse, or a rival: dense as it was trained, its control, which was then "
        "trained on like the sparse ones, narrower, or of 4-bit weights"
    )
    recipe: str
    target: str
    device: str
    backend: Backend
    seed: int
    structure: str = Field(description="what is taken out")
    criterion: str | None = Field(description="by what; null is the structure's default")
    sparsity: float = Field(description="share that was asked for; 0 of the rivals")
    width: int | None = Field(description="of the recipe's network, before pruning")
    weights: str = Field(description="type of the weights")
    epochs: int = Field(description="of training and recovery")
    parameters: int = Field(description="weights and biases as deployed")
    nonzero_parameters: int = Field(description="those that are not zero weights")
    macs: int = Field(description="multiply-accumulates of one inference, of zeros too")
    tflite_bytes: int = Field(description="the .tflite file")
    gzip_bytes: int = Field(description="that file after gzip -9")
    c_array_bytes: int | None = Field(description="backend tflm: the file as a C array")
    arena_bytes: int | None = Field(description="backend tflm: no arena can be smaller")
    flash_bytes: int | None = Field(description="the linked image; null of a device without")
    ram_bytes: int | None = Field(description="static data of the image, without the stack")
    instructions: int | None = Field(description="from a clip's last sample to its scores")
    latency_ms: float | None = Field(description="estimated for those, at the target's clock")
    accuracy: Accuracy = Field(description="int8, all test clips")
    validation_accuracy: float = Field(
        description="of the float network on the validation split: what to choose by"
    )
    verdict: Verdict | None = Field(default=None, description="of sparse networks alone")
    measurement: str = Field(description="key of the measurement in the store")


@dataclass(frozen=True)
class Payoff:
    """The truth table.

    Attributes:
        records: dense first, then the sparse networks, then the other rivals.
        missing: what is not in it, and why.
        budgets: of the target, to be drawn in.
        remarks: what a reader of the comparison has to know.
    """

    records: tuple[PayoffRecord, ...]
    missing: tuple[str, ...]
    budgets: Budgets
    remarks: tuple[str, ...] = ()


_LIST = TypeAdapter(list[PayoffRecord])


def payoff_json(records: Sequence[PayoffRecord]) -> str:
    """The records as an indented JSON list, ending in a newline."""
    return _LIST.dump_json(list(records), indent=2).decode() + "\n"


def payoff_schema() -> str:
    """The JSON schema of :func:`payoff_json`."""
    schema = _LIST.json_schema(mode="serialization")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2) + "\n"


def payoff_csv(records: Sequence[PayoffRecord]) -> str:
    """The records as CSV with a head line; what is not known is empty, nested keys have a dot."""
    rows = [_flat(record.model_dump(mode="json")) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    verdict = record.pop("verdict") or {"pays": None, "reason": None, "rival": None}
    accuracy = record.pop("accuracy")
    accuracy = {"fraction": accuracy["correct"] / accuracy["clips"], **accuracy}
    nested = {"accuracy": accuracy, "verdict": verdict}
    return record | {
        f"{name}.{key}": value for name, table in nested.items() for key, value in table.items()
    }
