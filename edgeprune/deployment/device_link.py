"""Requests to a device: the program of :mod:`edgeprune.deployment.device` is sent along."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from edgeprune.errors import DeploymentError, LockedError, RemoteProcessError
from edgeprune.remote import Remote

__all__ = ["DeviceLink"]

_PACKAGE = "edgeprune_on_device"
#: In an order in which each imports only those before it.
_MODULES = (
    "__init__",
    "layout",
    "process",
    "locking",
    "bounded",
    "packages",
    "files",
    "supervisor",
    "unit",
    "systemd",
    "service",
    "health",
    "activation",
    "main",
)
#: What ``python3 -I -S -c`` runs there: modules from standard input, then the request.
_LOADER = """\
# edgeprune: a step of a deployment
import json, sys, types
job = json.load(sys.stdin)
for name, text in job["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    module.__package__ = job["package"]
    module.__path__ = []
    exec(compile(text, name, "exec"), module.__dict__)
ask = sys.modules[job["package"] + ".main"].answer
answer = ask(job["name"], job["arguments"])
if job["then"] and "ok" in answer:
    ask(job["then"], job["arguments"])
print(json.dumps(answer))
"""
#: What starting Python takes on a slow device, in seconds.
_START_S = 30.0


class DeviceLink:
    """A device, and the folder on it that everything lies in.

    Args:
        remote: the connection; stays open.
        root: the folder, relative to the home folder.
    """

    def __init__(self, remote: Remote, root: str) -> None:
        self.remote = remote
        self.root = root

    @staticmethod
    def command(name: str) -> tuple[str, ...]:
        """What is run on the device for a request."""
        return ("python3", "-I", "-S", "-c", _LOADER, name)

    def ask(self, name: str, *, timeout_s: float = 0.0, then: str = "", **arguments: Any) -> Any:
        """Let the device do something.

        Args:
            name: of the request.
            timeout_s: how long it may take, starting Python not included.
            then: another request, made there when this one has succeeded; its answer is lost.
            arguments: JSON types.

        Raises:
            LockedError: another deployment is at work.
            DeploymentError: the device can't do it, and says why.
            RemoteError: the host is gone, or has no Python.
        """
        job = {
            "package": _PACKAGE,
            "modules": _program(),
            "name": name,
            "then": then,
            "arguments": {**arguments, "root": self.root},
        }
        try:
            done = self.remote.run(
                self.command(name),
                timeout_s=_START_S + timeout_s,
                stdin=json.dumps(job).encode(),
            )
        except RemoteProcessError as error:
            raise _without_python(error) from error
        return self._understood(name, done.stdout)

    def _understood(self, name: str, stdout: bytes) -> Any:
        try:
            answer = json.loads(stdout)
            if "ok" in answer:
                return answer["ok"]
            told = answer["error"]
            kind = LockedError if told["kind"] == "lock" else DeploymentError
            error = kind(str(told["message"]), where=self.remote.name, hint=told["hint"] or None)
        except (ValueError, KeyError, TypeError) as cause:
            shown = stdout[:200].decode(errors="replace")
            raise DeploymentError(
                f"the host's answer to {name!r} is not understood: {shown!r}",
                where=self.remote.name,
                hint="do the login files of its shell print something?",
            ) from cause
        raise error


@cache
def _program() -> list[tuple[str, str]]:
    folder = resources.files("edgeprune.deployment.device")
    program = []
    for name in _MODULES:
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        program.append((_PACKAGE if name == "__init__" else f"{_PACKAGE}.{name}", text))
    return program


def _without_python(error: RemoteProcessError) -> DeploymentError | RemoteProcessError:
    if error.completed.returncode not in (126, 127):
        return error
    return DeploymentError(
        "the host has no python3 that can be run",
        where=error.where,
        hint="sudo apt-get install python3 there; 3.9 or newer is needed",
    )
