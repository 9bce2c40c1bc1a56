"""What a bundle must know of the device that it is made for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from edgeprune.cores import CORES, GLIBC, CoreName
from edgeprune.errors import BundleError

__all__ = ["OLDEST_PYTHON", "PROBE", "DeviceFacts"]

#: What the agent's sources are written for.
OLDEST_PYTHON = (3, 9)

#: A program for the device's ``python3 -I -c``: prints what :meth:`DeviceFacts.parse` reads. A
#: 64-bit kernel says ``aarch64`` to 32-bit programs too, so the size of a pointer is asked as well.
PROBE = """\
import json, os, platform, struct, sys
try:
    import numpy
    found = numpy.__version__
except Exception:
    found = ""
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (OSError, ValueError):
    libc = ""
print(json.dumps({
    "machine": platform.machine(),
    "bits": 8 * struct.calcsize("P"),
    "implementation": platform.python_implementation(),
    "python": list(sys.version_info[:2]),
    "libc": libc,
    "numpy": found,
}))
"""

#: Raspberry Pi OS 12 (bookworm).
_PYTHON, _LIBC = (3, 11), (2, 36)
#: Programs of 32 bits below a 64-bit kernel.
_NARROW = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}


@dataclass(frozen=True)
class DeviceFacts:
    """A device's Python, and what its wheels and libraries must be made for.

    Attributes:
        machine: what its programs run on, in the words of ``uname -m``: ``aarch64``, ``armv7l``.
        python: version of its ``python3``, major and minor.
        libc: version of its GNU C library.
        numpy: version of the NumPy that its ``python3`` has by itself; empty where it has none.
    """

    machine: str
    python: tuple[int, int] = _PYTHON
    libc: tuple[int, int] = _LIBC
    numpy: str = ""

    @classmethod
    def expected(cls, core: CoreName) -> DeviceFacts:
        """A device of a core that nobody asked: Raspberry Pi OS 12, without NumPy."""
        return cls(machine=CORES[core].linux)

    @classmethod
    def parse(cls, text: str) -> DeviceFacts:
        """Read what :data:`PROBE` printed.

        Raises:
            BundleError: it is something else, or tells of a Python that no wheels are made for.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            machine, bits = str(told["machine"]), int(told["bits"])
            implementation, numpy = str(told["implementation"]), str(told["numpy"])
            major, minor = (int(part) for part in told["python"])
            libc = re.fullmatch(r"glibc (\d+)\.(\d+).*", str(told["libc"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the device's python3 does not say what it is: {text.strip()[:200]!r}",
                hint="python3 must be there, of version 3.9 or newer",
            ) from error
        if implementation != "CPython":
            raise BundleError(
                f"the device's python3 is {implementation}; CPython is needed",
                hint="apt-get install python3",
            )
        if libc is None:
            raise BundleError(
                "the device has another C library than GNU's, which nothing here is built for",
                hint="use a Debian-like system, such as Raspberry Pi OS",
            )
        return cls(
            machine=_NARROW.get(machine, machine) if bits == 32 else machine,
            python=(major, minor),
            libc=(int(libc[1]), int(libc[2])),
            numpy=numpy,
        )

    @property
    def python_version(self) -> str:
        """``3.11``."""
        return ".".join(map(str, self.python))

    def json(self) -> dict[str, str]:
        """For the keys of artifacts and for the manifest."""
        return {
            "machine": self.machine,
            "python": self.python_version,
            "libc": ".".join(map(str, self.libc)),
            "numpy": self.numpy,
        }

    def check(self, core: CoreName, *, where: str) -> None:
        """Make sure that what is built for a core runs on the device.

        Raises:
            BundleError: it does not.
        """
        if self.machine != CORES[core].linux:
            fitting = [name for name, each in CORES.items() if each.linux == self.machine]
            raise BundleError(
                f"the device's programs are {self.machine}, the target's core is {core}",
                where=where,
                hint=f"core = {fitting[0]!r}" if fitting else "no core of edgeprune's fits it",
            )
        if self.python < OLDEST_PYTHON:
            raise BundleError(
                f"the device has Python {self.python_version}; 3.9 or newer is needed",
                where=where,
                hint="a newer release of its system brings one",
            )
        if self.libc < GLIBC:
            raise BundleError(
                f"the device has glibc {self.libc[0]}.{self.libc[1]}; {GLIBC[0]}.{GLIBC[1]} or "
                "newer is needed",
                where=where,
                hint="a newer release of its system brings one",
            )
