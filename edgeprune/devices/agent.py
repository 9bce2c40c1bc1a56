"""The agent of a deployed release: commands there, JSON lines back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeVar

from edgeprune.agent.edgeprune_agent import arguments
from edgeprune.agent.edgeprune_agent.errors import UsageError
from edgeprune.devices.agent_answers import BenchAnswer, EvalAnswer, line_of, parse
from edgeprune.errors import DeclarationError, DeviceError, RemoteProcessError, printable
from edgeprune.progress import Task
from edgeprune.remote import Remote

__all__ = ["Agent", "Counter", "service_options"]

_A = TypeVar("_A", EvalAnswer, BenchAnswer)


class Counter:
    """Turns how many clips are done into how many are new.

    Args:
        task: where those are reported.
        total: how many there are; a host that tells of more is not believed.
    """

    def __init__(self, task: Task, total: int) -> None:
        self._task, self._total, self._done = task, total, 0

    def reach(self, done: object) -> None:
        """Report that so many are done."""
        if isinstance(done, int) and self._done < done <= self._total:
            self._task.advance(done - self._done)
            self._done = done


class Agent:
    """The program on a host.

    Args:
        remote: the host.
        program: the agent there.
        options: arguments that every command gets.
        timeout_s: limit of a command.
        deploy: the command that deploys anew, for errors.
    """

    def __init__(
        self,
        remote: Remote,
        program: PurePosixPath,
        options: Sequence[str],
        *,
        timeout_s: float,
        deploy: str,
    ) -> None:
        self._remote, self._program, self._options = remote, program, tuple(options)
        self._timeout_s, self._deploy = timeout_s, deploy

    def ask(
        self, kind: type[_A], name: str, more: Sequence[str] = (), counter: Counter | None = None
    ) -> _A:
        """Run a command and give its answer. Lines that are no answer, such as greetings, are lost.

        Args:
            kind: what the answer is.
            name: of the command.
            more: its arguments.
            counter: told how many clips are done.

        Raises:
            DeviceError: the agent fails, or says something else than it must.
            RemoteError: the connection broke, or the host did not answer in time.
        """
        command = ("python3", "-I", str(self._program), name, *self._options, *more)
        answer, last, failure = "", "", None
        try:
            for text in self._remote.lines(command, timeout_s=self._timeout_s):
                last = text or last
                line = line_of(text) or {}
                if line.get("kind") == name:
                    answer = text
                elif line.get("kind") == "error":
                    failure = line
                elif line.get("kind") == "progress" and counter is not None:
                    counter.reach(line.get("done"))
        except RemoteProcessError as error:
            if failure is not None:
                self._refused(name, failure, error)
            raise
        if not answer:
            raise DeviceError(
                f"the agent's {name} gave no answer; its last line: {printable(last)!r}",
                where=self._remote.name,
                hint=self._deploy,
            )
        what = f"the agent's answer to {name}"
        return parse(kind, answer, what=what, where=self._remote.name)

    def _refused(self, name: str, line: Mapping[str, Any], error: RemoteProcessError) -> NoReturn:
        kind, message, hint = (
            printable(str(line.get(key) or "")) for key in ("error", "message", "hint")
        )
        raise DeviceError(
            f"the agent's {name} failed: {kind}: {message}",
            where=self._remote.name,
            hint=hint or None,
        ) from error


def service_options(listen: Sequence[str]) -> tuple[str, ...]:
    """Those of the service's arguments that decide what infers, for the agent's other commands.

    What stands in a file of arguments on the host (``@FILE``) is not known here.

    Raises:
        DeclarationError: the agent does not take the service's arguments.
    """
    known = [argument for argument in listen if not argument.startswith("@")]
    try:
        options = arguments.parser(Path()).parse_args(["listen", *known])
    except UsageError as error:
        raise DeclarationError(
            f"the agent can't take them: {error.message}", where="ssh.listen", hint=error.hint
        ) from error
    runtime = ("--runtime", options.runtime) if options.runtime else ()
    return (*runtime, "--resolver", options.resolver, "--threads", str(options.threads))
