"""What runs the network on a device, chosen by what there are wheels for.

``ai-edge-litert`` first, in the version that this machine has, so that its bits can be foretold;
``tflite-runtime`` with NumPy 1 where only that has a wheel (2.14 imports with NumPy 2, and can't
construct an interpreter); the compiled model where neither has one. The same plan is carried out
here, by downloading wheels, or on the device, which then installs them by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from edgeprune.bundle.facts import DeviceFacts
from edgeprune.bundle.wheels import Attempt, Package
from edgeprune.errors import BundleError
from edgeprune.store import canonical_json

__all__ = [
    "Candidate",
    "Choice",
    "Fetch",
    "Plan",
    "RuntimeName",
    "Wanted",
    "choose",
    "extra_requirements",
]

RuntimeName = Literal["ai-edge-litert", "tflite-runtime", "native"]
Wanted = Literal["auto", "ai-edge-litert", "tflite-runtime", "native"]

_NUMPY = "numpy>=1.21,<3"
#: Of tflite-runtime, whose extension modules were built against NumPy 1.
_NUMPY_1 = "numpy>=1.21,<2"

P = TypeVar("P", bound=Package)


@dataclass(frozen=True)
class Candidate:
    """A runtime that a device may have.

    Attributes:
        name: of the runtime.
        requirements: what it needs, as pip takes them; nothing for what the device has.
        dependencies: what they depend on is needed too.
        note: what sets it apart, for reports.
    """

    name: RuntimeName
    requirements: tuple[str, ...]
    dependencies: bool = True
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.requirements) or self.note})"


@dataclass(frozen=True)
class Plan:
    """What a device may have, the best first.

    Attributes:
        wanted: what the target asks for.
        device: whom it is for: its Python and architecture.
        candidates: the runtimes; the first that can be had is taken.
        extras: further requirements, each left out where it can't be had.
    """

    wanted: Wanted
    device: str
    candidates: tuple[Candidate, ...]
    extras: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, wanted: Wanted, facts: DeviceFacts, *, litert_here: str, extras: Sequence[str] = ()
    ) -> Self:
        """The plan for a device.

        Args:
            wanted: one runtime, or ``auto`` for the first of all.
            facts: the device.
            litert_here: version of ``ai-edge-litert`` on this machine; empty where it has none.
            extras: further requirements.
        """
        return cls(
            wanted,
            f"Python {facts.python_version} on {facts.machine}",
            tuple(_candidates(wanted, facts, litert_here)),
            tuple(extras),
        )

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Self:
        """Read what :meth:`json` wrote.

        Raises:
            BundleError: it is something else.
        """
        try:
            candidates = tuple(
                Candidate(**{**each, "requirements": tuple(each["requirements"])})
                for each in told["candidates"]
            )
            return cls(told["wanted"], told["device"], candidates, tuple(told["extras"]))
        except (KeyError, TypeError) as error:
            raise BundleError(f"the plan of its packages is damaged: {error}") from error

    @property
    def digest(self) -> str:
        """What tells it from other plans: 16 hexadecimal digits."""
        return hashlib.sha256(canonical_json(self.json()).encode()).hexdigest()[:16]

    def json(self) -> dict[str, Any]:
        """For manifests and keys."""
        return {
            "wanted": self.wanted,
            "device": self.device,
            "candidates": [
                {**asdict(each), "requirements": list(each.requirements)}
                for each in self.candidates
            ],
            "extras": list(self.extras),
        }


class Fetch(Protocol[P]):
    """How packages are had: downloaded here, or installed by the device."""

    def __call__(
        self, requirements: tuple[str, ...], runtime: RuntimeName | None, dependencies: bool, /
    ) -> Attempt[P]:
        """Have requirements: of a runtime, or, where that is none, besides one."""


@dataclass(frozen=True)
class Choice(Generic[P]):
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
    wheels: tuple[P, ...]
    left_out: tuple[str, ...] = ()

    @property
    def packages(self) -> dict[str, str]:
        """Distribution to version."""
        return {wheel.name: wheel.version for wheel in self.wheels}


def extra_requirements(listen: Sequence[str]) -> tuple[str, ...]:
    """What the agent's ``listen`` imports besides a runtime, by its arguments."""
    options = [argument.split("=")[0] for argument in listen]
    given = {option: index for index, option in enumerate(options)}
    source = "alsa"
    if "--input" in given:
        at = given["--input"]
        source = "".join(listen[at].split("=")[1:]) or "".join(listen[at + 1 : at + 2])
    # For alsa the device's own arecord is used.
    by_portaudio = source in ("sounddevice", "portaudio")
    extras = ("sounddevice>=0.4.6,<1",) if by_portaudio else ()
    return extras + (("paho-mqtt>=1.6,<3",) if "--mqtt" in given else ())


def choose(plan: Plan, fetch: Fetch[P]) -> Choice[P]:
    """Take the first runtime that the device can have.

    Args:
        plan: what it may have.
        fetch: how packages are had. A candidate without requirements, which is there already, is
            asked for too.

    Raises:
        BundleError: there is none, saying why for each; or packages can't be had for a reason that
            says nothing about them.
    """
    refusals: list[str] = []
    for candidate in plan.candidates:
        attempt = fetch(candidate.requirements, candidate.name, candidate.dependencies)
        if attempt.refusal:
            refusals.append(f"{candidate}: {attempt.refusal}")
            continue
        versions = [wheel.version for wheel in attempt.wheels if wheel.name == candidate.name]
        more, left_out = _extras(plan.extras, attempt.wheels, fetch)
        return Choice(
            name=candidate.name,
            version=versions[0] if versions else "",
            reason=_reason(plan, candidate, refusals),
            wheels=attempt.wheels + more,
            left_out=left_out,
        )
    raise BundleError(
        f"there is no runtime for {plan.device}: {'; '.join(refusals)}",
        where=f"ssh.runtime = {plan.wanted!r}",
        hint="apt-get install python3-numpy on the device: the compiled model needs no other"
        if plan.wanted in ("auto", "native")
        else "ssh.runtime = 'auto' takes what there is",
    )


def _extras(
    requirements: Sequence[str], taken: tuple[P, ...], fetch: Fetch[P]
) -> tuple[tuple[P, ...], tuple[str, ...]]:
    """Wheels that are not taken yet, and what was refused."""
    wheels = {wheel.name: wheel for wheel in taken}
    left_out = []
    for requirement in requirements:
        attempt = fetch((requirement,), None, True)
        if attempt.refusal:
            left_out.append(f"{requirement}: {attempt.refusal}")
        for wheel in attempt.wheels:
            wheels.setdefault(wheel.name, wheel)
    return tuple(wheel for wheel in wheels.values() if wheel not in taken), tuple(left_out)


def _candidates(wanted: Wanted, facts: DeviceFacts, litert_here: str) -> Iterator[Candidate]:
    if wanted in ("auto", "ai-edge-litert"):
        if litert_here:
            note = "in this machine's version"
            yield Candidate("ai-edge-litert", (f"ai-edge-litert=={litert_here}", _NUMPY), note=note)
        note = "in another version than this machine's, which has no such wheel"
        yield Candidate("ai-edge-litert", ("ai-edge-litert>=1.0,<3", _NUMPY), note=note)
    if wanted in ("auto", "tflite-runtime"):
        note = "with NumPy 1"
        yield Candidate("tflite-runtime", ("tflite-runtime>=2.11,<3", _NUMPY_1), note=note)
        if facts.numpy.startswith("1."):
            note = f"with the device's own NumPy {facts.numpy}"
            yield Candidate(
                "tflite-runtime", ("tflite-runtime>=2.11,<3",), dependencies=False, note=note
            )
    if wanted in ("auto", "native"):
        if facts.numpy:
            yield Candidate("native", (), note=f"with the device's own NumPy {facts.numpy}")
        else:
            yield Candidate("native", (_NUMPY,))


def _reason(plan: Plan, candidate: Candidate, refusals: list[str]) -> str:
    """One sentence, without a full stop."""
    chosen = (
        f"the compiled model for {plan.device}"
        if candidate.name == "native"
        else f"{candidate.name} for {plan.device}"
    )
    note = f", {candidate.note}" if candidate.note else ""
    if plan.wanted != "auto":
        return f"{chosen}{note}, as the target asks"
    without = "; ".join(refusals)
    return f"{chosen}{note}" + (f"; tried before it: {without}" if without else "")
