"""The one way to run a program: arguments as a list, output captured, a time limit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeprune.errors import ProcessError

__all__ = ["run", "run_apart"]


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 300.0,
    error: type[ProcessError] = ProcessError,
) -> str:
    """Run a program and return what it printed (standard output and error together).

    Args:
        command: program and arguments; no shell sees them.
        cwd: the folder to run in.
        env: variables laid over this process's environment.
        timeout_s: wall-clock limit in seconds.
        error: the class to raise, so that a compiler's failure is a ``CompileError``.

    Raises:
        ProcessError: (or ``error``) when it can't start, exits non-zero or runs out of time.
    """
    arguments = [os.fspath(argument) for argument in command]
    name = Path(arguments[0]).name
    try:
        done = subprocess.run(
            arguments,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as cause:
        reason = cause.strerror or str(cause)
        raise error(f"{name} can't be run: {reason}", command=arguments) from cause
    except subprocess.TimeoutExpired as cause:
        raise error(
            f"{name} ran longer than {timeout_s:g} s and was stopped", command=arguments
        ) from cause
    if done.returncode != 0:
        raise error(
            f"{name} failed with exit code {done.returncode}",
            command=arguments,
            returncode=done.returncode,
            output=done.stdout,
        )
    return done.stdout


def run_apart(
    command: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float = 300.0,
) -> tuple[int, bytes, bytes] | None:
    """Run a program and give its exit code, standard output and standard error; none is an error.

    Args:
        command: program and arguments; no shell sees them.
        cwd: the folder to run in.
        env: variables laid over this process's environment.
        stdin: what it reads.
        timeout_s: wall-clock limit in seconds.

    Returns:
        The three, the exit code as a shell has it: 128 + n after signal n, 126 or 127 for a
        program that can't be run; None when it ran out of time.
    """
    try:
        done = subprocess.run(
            [os.fspath(argument) for argument in command],
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    except FileNotFoundError as error:
        return 127, b"", f"{error}\n".encode()
    except OSError as error:
        return 126, b"", f"{error}\n".encode()
    code = done.returncode
    return (code if code >= 0 else 128 - code), done.stdout, done.stderr
