"""What the agent on a device prints, and its bundle's manifest: checked, then believed.

The words come from a machine that is not ours. Text is made printable and cut; a number that is no
number, or is missing, is an error of the device.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError

from edgeprune.errors import DeviceError, printable

__all__ = [
    "Answer",
    "Arithmetic",
    "BenchAnswer",
    "Conditions",
    "EvalAnswer",
    "FrontendAnswer",
    "LabelsAnswer",
    "Machine",
    "Percentiles",
    "Release",
    "line_of",
    "parse",
]

_LONGEST_TEXT = 1000

Text = Annotated[str, AfterValidator(partial(printable, limit=_LONGEST_TEXT))]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]

#: Which bits a runtime gives; see :mod:`edgeprune.agent.edgeprune_agent.runtimes`.
Arithmetic = Literal["reference", "xnnpack", "native", "no-delegates"]

_A = TypeVar("_A", bound=BaseModel)


class Answer(BaseModel):
    """A frozen part of an answer; what else there is, newer agents may say."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Percentiles(Answer):
    """Measured wall times, in milliseconds."""

    p50: float = Field(ge=0)
    p95: float = Field(ge=0)
    p99: float = Field(ge=0)
    max: float = Field(ge=0)


class Conditions(Answer):
    """What makes a latency repeat or not; null where the device does not tell."""

    governor: Text | None = Field(description="that chooses the CPU's clock")
    clock_mhz: float | None = Field(description="of the fastest core, at that moment")
    temperature_c: float | None = Field(description="of the hottest sensor")
    throttled: tuple[Text, ...] | None = Field(
        description="what the firmware of a Raspberry Pi says of voltage, clock and heat; empty "
        "for nothing"
    )
    load: tuple[float, ...] = Field(description="of the last 1, 5 and 15 minutes")


class Machine(Answer):
    """What does not change while the device runs."""

    machine: Text = Field(description="the architecture, as uname -m says it")
    model: Text | None = Field(description="as the device tree says it")
    cpus: Count | None
    kernel: Text
    python: Text


class _Run(Answer):
    """What every command that infers says."""

    release: Text
    runtime: Text
    runtime_version: Text
    resolver: Text | None
    arithmetic: Arithmetic
    threads: Count
    passed_over: dict[Text, Text]
    chosen: Text = ""
    device: Machine
    before: Conditions
    after: Conditions
    cpu_share: float
    peak_rss_bytes: Count


class EvalAnswer(_Run):
    """The last line of the agent's ``eval``."""

    kind: Literal["eval"]
    clips: Count
    labels: tuple[Text, ...]
    wall_s: float
    inference_ms: Percentiles
    features_ms: Percentiles


class BenchAnswer(_Run):
    """The last line of the agent's ``bench``."""

    kind: Literal["bench"]
    warm_up: Count
    iterations: Count
    latency_ms: Percentiles
    frame_ms: Percentiles
    inference_ms: Percentiles
    frame_instructions: Count | None
    inference_instructions: Count | None
    instructions_reason: Text


class FrontendAnswer(Answer):
    """What is read of a bundle's ``frontend.json``."""

    clip_samples: int = Field(gt=0)
    frames: int = Field(gt=0)
    features: int = Field(gt=0)
    fraction_bits: int


class LabelsAnswer(RootModel[tuple[Text, ...]]):
    """A bundle's ``labels.json``."""


class _RuntimeChoice(Answer):
    reason: Text


class _ReleaseFile(Answer):
    bytes: Count


class Release(Answer):
    """What is read of a bundle's manifest."""

    release: Text
    recipe: Text
    frontend_identity: Identity
    model_identity: Identity
    architecture: Text
    runtime_choice: _RuntimeChoice
    files: dict[str, _ReleaseFile]


def parse(kind: type[_A], content: bytes | str, *, what: str, where: str) -> _A:
    """Read an answer.

    Args:
        kind: what it must be.
        content: JSON.
        what: it is, for the error.
        where: the device.

    Raises:
        DeviceError: it is something else.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise DeviceError(
            f"{what} is not what it must be: {printable(reason)}",
            where=where,
            hint="is it of this version of edgeprune? deploy again",
        ) from error


def line_of(text: str) -> dict[str, Any] | None:
    """A line of output as JSON object; none for anything else, such as a greeting at log-in."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None
