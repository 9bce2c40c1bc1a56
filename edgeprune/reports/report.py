"""The report as a record; its JSON schema is ``docs/report.schema.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from edgeprune.budgets import Verdict
from edgeprune.errors import StoreError
from edgeprune.evaluation.measurement import Measurement, Record
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain

__all__ = ["Identities", "Report", "TargetSummary"]


class TargetSummary(Record):
    """The target as the report was made for it."""

    name: str
    description: str
    core: str
    device: str
    toolchain: str = Field(description="name and version of the compiler")
    clock_mhz: float | None
    optimize: str

    @classmethod
    def of(cls, target: Target, toolchain: Toolchain) -> TargetSummary:
        """A target, and what its program is compiled with."""
        return cls(
            name=target.name,
            description=target.description,
            core=target.core,
            device=target.device,
            toolchain=toolchain.identity,
            clock_mhz=target.clock_mhz,
            optimize=target.optimize,
        )


class Identities(Record):
    """What the numbers can be traced to; hexadecimal."""

    frontend: str | None = Field(
        description="the front-end's parameters and tables; absent of a model file"
    )
    model: str = Field(description="the compiled model")
    image_sha256: str | None = Field(description="the linked image; absent on the host")
    stages: dict[str, str] = Field(description="stage to artifact key")


class Report(Record):
    """One verdict and everything that it rests on."""

    schema_version: Literal[1] = 1
    edgeprune_version: str
    recipe: str = Field(description="the recipe, or the model file")
    target: TargetSummary
    passed: bool
    verdict: Verdict
    pruned: Measurement
    dense: Measurement | None = Field(
        description="the unpruned model, built in the same way; absent when nothing is pruned, "
        "and of a device over SSH, which runs what is deployed alone"
    )
    identities: Identities
    notes: tuple[str, ...] = Field(description="what a reader of the numbers has to know")

    def to_json(self) -> str:
        """The report as indented JSON, ending in a newline."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read a ``report.json``.

        Raises:
            StoreError: when it is missing, damaged or of another schema version.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            raise StoreError(
                "is not a report of this version", where=str(path), hint="invoke ship"
            ) from error
