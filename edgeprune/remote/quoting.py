"""The one place where an argument list becomes text for a shell.

SSH has no argument lists: the server hands one string to the user's login shell. The words below
mean the same to sh, dash, bash, zsh, busybox and fish: single quotes around everything but quotes
and backslashes, which stand outside of them, because fish reads a backslash inside them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["KILL_AFTER_S", "command_line", "limited"]

#: How long a program that ignores SIGTERM lives on before it is killed, in seconds.
KILL_AFTER_S = 5.0

#: Linux takes no longer single argument, and the login shell gets the line as one.
_LONGEST_LINE = 128 * 1024 - 1

_PLAIN = re.compile(r"[A-Za-z0-9_@:,./-]+", re.ASCII)
_PIECES = re.compile(r"(?P<quote>')|(?P<backslash>\\)|(?P<text>[^'\\]+)")

#: Turns the death of a program by signal n into the exit code 128 + n, which SSH can tell, and
#: outlives SIGTERM so that timeout(1) is still there to kill a program that does not.
_REPORTING_SHELL = ("sh", "-c", 'trap : TERM; "$@"; exit $?', "sh")


def command_line(arguments: Sequence[str]) -> bytes:
    """The line that makes any shell run a program with exactly these arguments.

    Raises:
        ValueError: for no arguments, an argument with a NUL, or more than a host takes.
    """
    if not arguments:
        raise ValueError("a command has at least a program")
    line = " ".join(map(_word, arguments)).encode("utf-8", errors="surrogateescape")
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"a command line of {len(line)} bytes; long input belongs into stdin")
    return line


def limited(arguments: Sequence[str], timeout_s: float) -> bytes:
    """The line that runs a program and stops it, on the host, after ``timeout_s`` seconds.

    The program and what it starts get SIGTERM then, and SIGKILL ``KILL_AFTER_S`` seconds later.

    Raises:
        ValueError: as :func:`command_line`, and for a limit that is not positive.
    """
    if not timeout_s > 0:
        raise ValueError(f"a time limit of {timeout_s} s")
    if not arguments:
        raise ValueError("a command has at least a program")
    limit = ("timeout", "-k", f"{KILL_AFTER_S:g}", f"{timeout_s:.3f}")
    return b"exec " + command_line((*limit, *_REPORTING_SHELL, *arguments))


def _word(argument: str) -> str:
    if "\0" in argument:
        raise ValueError(f"an argument can't hold a NUL: {argument!r}")
    if _PLAIN.fullmatch(argument):
        return argument
    return "".join(map(_piece, _PIECES.finditer(argument))) or "''"


def _piece(match: re.Match[str]) -> str:
    if match["quote"]:
        return "\\'"
    return "\\\\" if match["backslash"] else f"'{match['text']}'"
