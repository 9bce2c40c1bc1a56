"""Every error that a user can cause, in one tree.

::

    EdgepruneError                 what happened, where, what to try; exit code 2
    ├── DeclarationError           a recipe, a target or a --set override: file and key
    ├── DatasetError               a clip, an archive, a folder: its path
    │   └── DownloadError          a URL that did not deliver what was asked
    ├── FrontendError              parameters or samples that the front-end can't take
    ├── ModelError                 a .tflite or a network: operator, tensor, layer
    │   ├── MalformedModelError    a file that is not a valid model
    │   └── UnsupportedError       a valid model that needs what edgeprune lacks
    ├── TrainingError              training, pruning or quantization that can't go on
    ├── MissingExtraError          a Python package of an extra that is not installed
    ├── ProcessError               a program that failed; carries command, exit code, output
    │   └── CompileError           a compiler or linker that refused
    ├── ToolchainError             a compiler that is missing, too old or unfit for the core
    ├── ImageError                 an image that does not fit its memory, or lacks a symbol
    ├── DeviceError                a device that can't be opened, or refuses a request
    │   ├── IdentityError          features, clips or model of another identity
    │   ├── DeviceFault            the firmware crashed: PC, symbol, registers
    │   └── DeviceTimeout          the firmware did not answer in time
    ├── RemoteError                a host that can't be reached, or refuses
    │   ├── HostKeyError           an unknown, changed or revoked host key; carries fingerprint
    │   ├── AuthenticationError    no key or password that the host takes: what was tried
    │   ├── ConnectionLost         the connection broke
    │   ├── RemoteTimeout          a command, or the host, that did not answer in time
    │   ├── RemoteFileError        a file there: absent, unreadable, no room for it; its path
    │   └── RemoteProcessError     a command that failed there; carries what it printed
    ├── BundleError                a bundle that can't be built, is damaged or wrongly signed
    ├── DeploymentError            a release that did not become healthy: what runs now
    │   └── LockedError            another deployment is at work on the host
    └── StoreError                 an artifact that is missing, damaged or of another version

A missed budget is not an error: it is a :class:`edgeprune.budgets.Verdict`, and exit code 1.
Anything that is not an EdgepruneError is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeprune.remote.base import Completed

__all__ = [
    "AuthenticationError",
    "BundleError",
    "CompileError",
    "ConnectionLost",
    "DatasetError",
    "DeclarationError",
    "DeploymentError",
    "DeviceError",
    "DeviceFault",
    "DeviceTimeout",
    "DownloadError",
    "EdgepruneError",
    "FrontendError",
    "HostKeyError",
    "IdentityError",
    "ImageError",
    "LockedError",
    "MalformedModelError",
    "MissingExtraError",
    "ModelError",
    "ProcessError",
    "RemoteError",
    "RemoteFileError",
    "RemoteProcessError",
    "RemoteTimeout",
    "StoreError",
    "ToolchainError",
    "TrainingError",
    "UnsupportedError",
]


class EdgepruneError(Exception):
    """An error with a cause that the user can see and mend.

    Args:
        message: what happened, one sentence.
        where: the file and key, layer, symbol or device that it happened at.
        hint: what to try.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by attributes: arguments that are keywords don't travel between processes."""
        return _restored, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  try: {self.hint}" if self.hint else text


def _restored(
    kind: type[EdgepruneError], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> EdgepruneError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(attributes)
    return error


class DeclarationError(EdgepruneError):
    """A recipe, a target or an override that does not validate."""


class DatasetError(EdgepruneError):
    """Clips that are missing, damaged, or too few."""


class DownloadError(DatasetError):
    """A URL that did not deliver the bytes that were asked for."""


class FrontendError(EdgepruneError):
    """Front-end parameters that can't be built, or samples it can't take."""


class ModelError(EdgepruneError):
    """A network that can't be read, converted or compiled."""


class MalformedModelError(ModelError):
    """A model file that is damaged or not a model."""


class UnsupportedError(ModelError):
    """A valid network that needs an operator, type or shape that edgeprune lacks."""


class TrainingError(EdgepruneError):
    """Training, pruning or quantization that can't go on."""


class MissingExtraError(EdgepruneError):
    """A package of an optional extra that is needed and not installed."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the Python package {package}, which is not installed",
            hint=f"pip install 'edgeprune[{extra}]'  (in a checkout: pip install -e '.[{extra}]')",
        )
        self.package = package
        self.extra = extra


class ProcessError(EdgepruneError):
    """A program that could not be run, failed, or took too long.

    Attributes:
        command: the argument list.
        returncode: the exit code; None when it never ran or was stopped.
        output: standard output and error, as text.
    """

    #: How many of the last lines of output the message shows.
    SHOWN_LINES = 20

    def __init__(
        self,
        message: str,
        *,
        command: Sequence[str],
        returncode: int | None = None,
        output: str = "",
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.command = tuple(command)
        self.returncode = returncode
        self.output = output

    def __str__(self) -> str:
        shown = self.output.strip().splitlines()[-self.SHOWN_LINES :]
        lines = [super().__str__(), "  command: " + " ".join(self.command)]
        return "\n".join(lines + [f"  | {line}" for line in shown])


class CompileError(ProcessError):
    """A compiler or linker that refused its input."""


class ToolchainError(EdgepruneError):
    """A compiler that is missing, too old, or can't build for the core."""


class ImageError(EdgepruneError):
    """An image that does not fit its memory, or lacks what the tools need from it."""


class DeviceError(EdgepruneError):
    """A device that can't be opened, or that refuses what it was asked."""


class IdentityError(DeviceError):
    """Features, clips or a model made for another front-end or another image."""


class DeviceFault(DeviceError):
    """Firmware that crashed.

    Attributes:
        pc: the program counter at the fault.
        symbol: the function that holds the program counter, where known.
        registers: register name to value.
    """

    def __init__(
        self,
        message: str,
        *,
        pc: int,
        symbol: str | None = None,
        registers: Mapping[str, int] | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.pc = pc
        self.symbol = symbol
        self.registers = dict(registers or {})

    def __str__(self) -> str:
        place = f"  at pc 0x{self.pc:08x}" + (f" in {self.symbol}" if self.symbol else "")
        values = [f"{name}=0x{value:08x}" for name, value in self.registers.items()]
        rows = ["  " + " ".join(values[i : i + 4]) for i in range(0, len(values), 4)]
        return "\n".join([super().__str__(), place, *rows])


class DeviceTimeout(DeviceError):
    """Firmware that did not answer in time."""


class RemoteError(EdgepruneError):
    """A host that can't be reached, or that refuses; ``where`` names user, host and port."""


class HostKeyError(RemoteError):
    """A host key that is unknown, changed or revoked.

    Attributes:
        fingerprint: of the key that the host showed, as OpenSSH prints it: ``SHA256:…``.
    """

    def __init__(
        self,
        message: str,
        *,
        fingerprint: str,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.fingerprint = fingerprint


class AuthenticationError(RemoteError):
    """No key or password that the host takes; the message says what was tried, never a secret."""


class ConnectionLost(RemoteError):
    """A connection that broke while it was in use."""


class RemoteTimeout(RemoteError):
    """A command, or a host, that did not answer in time."""


class RemoteFileError(RemoteError):
    """A file on the host that is absent, or can't be read or written.

    Attributes:
        path: the file there.
        missing: whether it, or its folder, is absent.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str,
        missing: bool = False,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.path = path
        self.missing = missing


class RemoteProcessError(RemoteError):
    """A command that failed on the host.

    Attributes:
        completed: the command, its exit code and what it printed.
    """

    #: How many of the last lines of output the message shows.
    SHOWN_LINES = 20

    def __init__(
        self,
        message: str,
        *,
        completed: Completed,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.completed = completed

    def __str__(self) -> str:
        output = (self.completed.stderr or self.completed.stdout).decode(errors="replace")
        shown = [printable(line) for line in output.strip().splitlines()[-self.SHOWN_LINES :]]
        command = printable(" ".join(self.completed.command))
        return "\n".join([super().__str__(), f"  command: {command}", *(f"  | {s}" for s in shown)])


def printable(line: str, limit: int = 200) -> str:
    """A line that a host wrote, without what would steer a terminal, and not endless."""
    clean = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line[: limit + 1])
    return clean if len(line) <= limit else clean[:limit] + "…"


class BundleError(EdgepruneError):
    """A bundle that can't be built, is damaged, or has a wrong signature."""


class DeploymentError(EdgepruneError):
    """A release that did not become healthy; the message says what runs now."""


class LockedError(DeploymentError):
    """Another deployment is at work on the host; the message says whose and since when."""


class StoreError(EdgepruneError):
    """An artifact that is missing, damaged, or written by another version."""
