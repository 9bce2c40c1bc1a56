"""What runs the network on a device, chosen by what there are wheels for.

``ai-edge-litert`` first, in the version that this machine has, so that its bits can be foretold;
``tflite-runtime`` with NumPy 1 where only that has a wheel (2.14 imports with NumPy 2, and can't
construct an interpreter); the compiled model where neither has one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from edgeprune.bundle.facts import DeviceFacts
from edgeprune.bundle.wheels import Attempt, Wheel
from edgeprune.errors import BundleError

__all__ = ["Choice", "Fetch", "RuntimeName", "Wanted", "choose", "extra_requirements"]

RuntimeName = Literal["ai-edge-litert", "tflite-runtime", "native"]
Wanted = Literal["auto", "ai-edge-litert", "tflite-runtime", "native"]

_NUMPY = "numpy>=1.21,<3"
#: Of tflite-runtime, whose extension modules were built against NumPy 1.
_NUMPY_1 = "numpy>=1.21,<2"


class Fetch(Protocol):
    """How wheels are downloaded; :func:`edgeprune.bundle.wheels.download` is one."""

    def __call__(
        self,
        requirements: tuple[str, ...],
        facts: DeviceFacts,
        folder: Path,
        /,
        *,
        dependencies: bool = True,
    ) -> Attempt: ...


@dataclass(frozen=True)
class Choice:
    """A runtime and the wheels that it needs.

    Attributes:
        name: of the runtime.
        version: of its package; empty for the compiled model.
        reason: why it is this one, for reports.
        wheels: its package, NumPy and what they depend on, extras included.
        left_out: extras that have no wheel for the device, and what pip says.
    """

    name: RuntimeName
    version: str
    reason: str
    wheels: tuple[Wheel, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    name: RuntimeName
    requirements: tuple[str, ...]
    dependencies: bool = True
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.requirements)})"


def extra_requirements(listen: Sequence[str]) -> tuple[str, ...]:
    """What the agent's ``listen`` imports besides a runtime, by its arguments."""
    options = [argument.split("=")[0] for argument in listen]
    given = {option: index for index, option in enumerate(options)}
    source = "alsa"
    if "--input" in given:
        at = given["--input"]
        source = "".join(listen[at].split("=")[1:]) or "".join(listen[at + 1 : at + 2])
    extras = ("sounddevice>=0.4.6,<1",) if source == "alsa" else ()
    return extras + (("paho-mqtt>=1.6,<3",) if "--mqtt" in given else ())


def choose(
    wanted: Wanted,
    facts: DeviceFacts,
    folder: Path,
    *,
    litert_here: str,
    fetch: Fetch,
    extras: Sequence[str] = (),
) -> Choice:
    """Take the first runtime that the device can have.

    Args:
        wanted: one runtime, or ``auto`` for the first of all.
        facts: the device.
        folder: where wheels are written; made when missing.
        litert_here: version of ``ai-edge-litert`` on this machine; empty where it has none.
        fetch: downloads wheels.
        extras: further requirements, each left out where it has no wheel.

    Raises:
        BundleError: there is none, saying why for each; or pip failed.
    """
    device = f"Python {facts.python_version} on {facts.machine}"
    refusals: list[str] = []
    for number, candidate in enumerate(_candidates(wanted, facts, litert_here)):
        wheels: tuple[Wheel, ...] = ()
        if candidate.requirements:
            attempt = fetch(
                candidate.requirements,
                facts,
                _empty(folder / str(number)),
                dependencies=candidate.dependencies,
            )
            if not attempt.wheels:
                refusals.append(f"{candidate}: {attempt.refusal}")
                continue
            wheels = attempt.wheels
        versions = [wheel.version for wheel in wheels if wheel.name == candidate.name]
        more, left_out = _extras(extras, facts, folder, wheels, fetch)
        return Choice(
            name=candidate.name,
            version=versions[0] if versions else "",
            reason=_reason(wanted, candidate, device, refusals),
            wheels=wheels + more,
            left_out=left_out,
        )
    raise BundleError(
        f"there is no runtime for {device}: {'; '.join(refusals)}",
        where=f"ssh.runtime = {wanted!r}",
        hint="apt-get install python3-numpy on the device: the compiled model needs no other"
        if wanted in ("auto", "native")
        else "ssh.runtime = 'auto' takes what there is",
    )


def _extras(
    requirements: Sequence[str],
    facts: DeviceFacts,
    folder: Path,
    taken: tuple[Wheel, ...],
    fetch: Fetch,
) -> tuple[tuple[Wheel, ...], tuple[str, ...]]:
    """Wheels that are not taken yet, and what was refused."""
    wheels = {wheel.name: wheel for wheel in taken}
    left_out = []
    for requirement in requirements:
        name = re.split(r"[<>=]", requirement)[0]
        attempt = fetch((requirement,), facts, _empty(folder / name))
        if not attempt.wheels:
            left_out.append(f"{requirement}: {attempt.refusal}")
        for wheel in attempt.wheels:
            wheels.setdefault(wheel.name, wheel)
    return tuple(wheel for wheel in wheels.values() if wheel not in taken), tuple(left_out)


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _candidates(wanted: Wanted, facts: DeviceFacts, litert_here: str) -> Iterator[_Candidate]:
    if wanted in ("auto", "ai-edge-litert"):
        if litert_here:
            note = "in this machine's version"
            yield _Candidate(
                "ai-edge-litert", (f"ai-edge-litert=={litert_here}", _NUMPY), note=note
            )
        note = "in another version than this machine's, which has no such wheel"
        yield _Candidate("ai-edge-litert", ("ai-edge-litert>=1.0,<3", _NUMPY), note=note)
    if wanted in ("auto", "tflite-runtime"):
        note = "with NumPy 1"
        yield _Candidate("tflite-runtime", ("tflite-runtime>=2.11,<3", _NUMPY_1), note=note)
        if facts.numpy.startswith("1."):
            note = f"with the device's own NumPy {facts.numpy}"
            yield _Candidate(
                "tflite-runtime", ("tflite-runtime>=2.11,<3",), dependencies=False, note=note
            )
    if wanted in ("auto", "native"):
        if facts.numpy:
            yield _Candidate("native", (), note=f"with the device's own NumPy {facts.numpy}")
        else:
            yield _Candidate("native", (_NUMPY,))


def _reason(wanted: Wanted, candidate: _Candidate, device: str, refusals: list[str]) -> str:
    """One sentence, without a full stop."""
    chosen = (
        f"the compiled model for {device}"
        if candidate.name == "native"
        else f"{candidate.name} for {device}"
    )
    note = f", {candidate.note}" if candidate.note else ""
    if wanted != "auto":
        return f"{chosen}{note}, as the target asks"
    without = "; ".join(refusals)
    return f"{chosen}{note}" + (f"; before it pip refused {without}" if without else "")
