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

from edgeprune.bundle.facts import DeviceFacts
from edgeprune.errors import BundleError, ProcessError
from edgeprune.process import run

__all__ = ["Attempt", "Wheel", "download", "platform_tags"]

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
_NAME = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[A-Za-z0-9_.!+]+)(-[^-]+){3,4}\.whl")


@dataclass(frozen=True)
class Wheel:
    """A wheel that was downloaded.

    Attributes:
        name: of the distribution, normalized: ``ai-edge-litert``.
        version: of the distribution.
        path: the file.
    """

    name: str
    version: str
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


@dataclass(frozen=True)
class Attempt:
    """What pip made of requirements.

    Attributes:
        wheels: what it downloaded, by name; empty where it found none that fit.
        refusal: its last words where it found none.
    """

    wheels: tuple[Wheel, ...] = ()
    refusal: str = ""


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
) -> Attempt:
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
        said = _last_words(error)
        if _NO_NETWORK.search(error.output):
            raise BundleError(
                f"pip can't reach its index for {wanted}: {said}",
                where="wheels",
                hint="check the network; where the device has python3-numpy by itself, "
                "ssh.runtime = 'native' needs no wheel",
            ) from error
        if _NO_SUCH_WHEEL.search(error.output):
            return Attempt(refusal=said)
        missing = "No module named pip" in error.output
        raise BundleError(
            f"pip can't download {wanted}: {said}",
            where="wheels",
            hint="python -m ensurepip" if missing else "what does pip download say by itself?",
        ) from error
    wheels = sorted(map(Wheel.of, folder.glob("*.whl")), key=lambda wheel: wheel.name)
    if not wheels:
        raise BundleError(f"pip says that it downloaded {wanted}, and did not", where="wheels")
    return Attempt(tuple(wheels))


def _last_words(error: ProcessError) -> str:
    """The error that pip tells, or else its last line."""
    lines = [line.strip() for line in error.output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [error.message])[-1]
