"""Wheels for a device, resolved and downloaded on this machine by pip.

pip is asked for the device's Python and platform tags (PEP 425, PEP 600) and for wheels alone, so
that nothing is compiled and nothing of this machine's Python matters. Environment markers are the
one exception: pip reads them for the Python that it runs in. The runtimes have none.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from edgeprune.bundle.facts import DeviceFacts
from edgeprune.errors import BundleError, ProcessError
from edgeprune.process import run

__all__ = ["Attempt", "Package", "PipFailure", "Wheel", "download", "platform_tags"]

#: PyPI has no NumPy for 32-bit Arm; piwheels builds PyPI's packages for Raspberry Pi OS.
_EXTRA_INDEXES = {"armv7l": ("https://www.piwheels.org/simple",)}

#: The oldest glibc of any platform tag in use: manylinux2014.
_OLDEST_MINOR = 17
_TIMEOUT_S = 900.0

_NO_SUCH_WHEEL = re.compile(r"No matching distribution found|ResolutionImpossible")
_NO_NETWORK = re.compile(
    r"Retrying \(Retry|Could not fetch URL|Max retries exceeded|connection broken|timed out",
    re.IGNORECASE,
)
_FULL_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_NO_PIP = re.compile(r"No module named '?pip")
_NAME = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[A-Za-z0-9_.!+]+)(-[^-]+){3,4}\.whl")


@dataclass(frozen=True)
class Package:
    """A distribution that pip found.

    Attributes:
        name: normalized: ``ai-edge-litert``.
        version: of the distribution.
    """

    name: str
    version: str


@dataclass(frozen=True)
class Wheel(Package):
    """A wheel that was downloaded.

    Attributes:
        path: the file.
    """

    path: Path

    @classmethod
    def of(cls, path: Path) -> Wheel:
        """A file by its name (binary distribution format, PEP 427).

        Raises:
            BundleError: the name is no wheel's.
        """
        parts = _NAME.fullmatch(path.name)
        if parts is None:
            raise BundleError("is not named like a wheel", where=str(path))
        name = re.sub(r"[-_.]+", "-", parts["name"]).lower()
        return cls(name, parts["version"], path)


P = TypeVar("P", bound=Package)


@dataclass(frozen=True)
class Attempt(Generic[P]):
    """What pip made of requirements.

    Attributes:
        wheels: what it downloaded or installed, by name; empty where it found none that fit.
        refusal: its last words where it found none.
    """

    wheels: tuple[P, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class PipFailure:
    """Why pip failed.

    Attributes:
        kind: ``no wheel`` says something of the requirements; the others do not.
        said: the error that pip tells, or else its last line.
    """

    kind: Literal["no wheel", "no network", "no pip", "full disk", "other"]
    said: str

    @classmethod
    def of(cls, output: str) -> PipFailure:
        """Understand what pip printed. Without a network it says "no such wheel" too."""
        said = _last_words(output)
        if _NO_PIP.search(output):
            return cls("no pip", said)
        if _FULL_DISK.search(output):
            return cls("full disk", said)
        if _NO_NETWORK.search(output):
            return cls("no network", said)
        return cls("no wheel" if _NO_SUCH_WHEEL.search(output) else "other", said)


def platform_tags(facts: DeviceFacts) -> tuple[str, ...]:
    """The platforms whose wheels run on a device, newest first.

    Raises:
        BundleError: its C library is too old for any.
    """
    major, newest = facts.libc
    if major != 2 or newest < _OLDEST_MINOR:
        raise BundleError(
            f"there are no wheels for glibc {major}.{newest}", hint="2.17 or newer is needed"
        )
    minors = range(newest, _OLDEST_MINOR - 1, -1)
    modern = [f"manylinux_2_{minor}_{facts.machine}" for minor in minors]
    return (*modern, f"manylinux2014_{facts.machine}", f"linux_{facts.machine}")


def download(
    requirements: Sequence[str],
    facts: DeviceFacts,
    folder: Path,
    *,
    dependencies: bool = True,
    pip: Sequence[str] = (sys.executable, "-m", "pip"),
) -> Attempt[Wheel]:
    """Download wheels and what they depend on.

    Args:
        requirements: as pip takes them: ``numpy<2``.
        facts: what the wheels must run on.
        folder: where they are written; must be empty.
        dependencies: what they depend on comes too.
        pip: the command.

    Raises:
        BundleError: pip is missing, can't reach its index, or fails in a way that says nothing
            about whether there are such wheels.
    """
    command = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--only-binary=:all:", "--implementation=cp"]
    command += [f"--python-version={facts.python_version}", f"--dest={folder}"]
    command += [f"--platform={tag}" for tag in platform_tags(facts)]
    command += [f"--extra-index-url={url}" for url in _EXTRA_INDEXES.get(facts.machine, ())]
    command += [] if dependencies else ["--no-deps"]
    wanted = ", ".join(requirements)
    try:
        run([*command, *requirements], timeout_s=_TIMEOUT_S)
    except ProcessError as error:
        failure = PipFailure.of(error.output or error.message)
        if failure.kind == "no wheel":
            return Attempt(refusal=failure.said)
        if failure.kind == "no network":
            raise BundleError(
                f"pip can't reach its index for {wanted}: {failure.said}",
                where="wheels",
                hint="check the network; where the device has python3-numpy by itself, "
                "ssh.runtime = 'native' needs no wheel",
            ) from error
        missing = failure.kind == "no pip"
        raise BundleError(
            f"pip can't download {wanted}: {failure.said}",
            where="wheels",
            hint="python -m ensurepip" if missing else "what does pip download say by itself?",
        ) from error
    wheels = sorted(map(Wheel.of, folder.glob("*.whl")), key=lambda wheel: wheel.name)
    if not wheels:
        raise BundleError(f"pip says that it downloaded {wanted}, and did not", where="wheels")
    return Attempt(tuple(wheels))


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["nothing"])[-1]
