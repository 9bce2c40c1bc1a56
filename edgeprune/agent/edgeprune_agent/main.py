"""The way in: a command runs, its answer is the last line, an error is a line too."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .arguments import parser
from .commands import COMMANDS
from .errors import AgentError, UsageError
from .output import emit

__all__ = ["main"]

_BUG, _USER_ERROR = 1, 2


def main(arguments: Sequence[str], folder: Path) -> int:
    """Run a command; returns the exit code: 0, 2 for a user's error, 1 for a bug of ours.

    Args:
        arguments: of the command line, without the program.
        folder: of the bundle that the program lies in.
    """
    try:
        return _run(arguments, folder)
    except BrokenPipeError:
        # Nobody reads any more; what is left in the buffer must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _USER_ERROR


def _run(arguments: Sequence[str], folder: Path) -> int:
    try:
        options = parser(folder).parse_args(arguments)
        emit(COMMANDS[options.command](options))
    except AgentError as error:
        return _failed(error.line(), _USER_ERROR)
    except KeyboardInterrupt:
        return _failed(UsageError("interrupted").line(), _USER_ERROR)
    except BrokenPipeError:
        raise
    except Exception as error:
        traceback.print_exc()
        line = {"kind": "error", "error": type(error).__name__, "message": str(error), "hint": ""}
        return _failed(line, _BUG)
    return 0


def _failed(line: Mapping[str, Any], code: int) -> int:
    emit(line)
    return code
