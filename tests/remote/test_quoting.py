"""Arguments reach a program as they are, whatever shell stands between."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from edgeprune.remote.connection import SshRemote
from edgeprune.remote.quoting import command_line, limited

ARGUMENTS = [
    "",
    " ",
    "two words",
    "it's",
    '"quoted"',
    "a\nb\n",
    "\t",
    "-n",
    "--",
    "-rf /",
    "$HOME `id` $(id)",
    "back\\slash\\",
    "\\'",
    "!!",
    "*?[a]{b,c}",
    "~pi",
    "#no comment",
    "a;b|c&d<e>f",
    "A=b",
    "=ls",
    "%1",
    "^",
    "küche/größe 🎤",
    "\x01\x1b[31m",
    "not \udcff utf-8",
]
SHELLS = [shell for shell in ("sh", "dash", "bash", "zsh", "fish", "ksh") if shutil.which(shell)]
PRINT = ("printf", "%s\\0")


def _printed(arguments: list[str]) -> bytes:
    return b"".join(each.encode("utf-8", "surrogateescape") + b"\0" for each in arguments)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gives_the_arguments_back(shell: str) -> None:
    line = command_line([*PRINT, *ARGUMENTS])
    done = subprocess.run([shell, "-c", line], capture_output=True, check=True, timeout=10)
    assert done.stdout == _printed(ARGUMENTS)


def test_the_words_need_no_reading_of_a_backslash_inside_of_quotes() -> None:
    """POSIX shells take it as it is there, fish does not."""
    assert command_line(["a\\b c"]) == rb"'a'\\'b c'"
    assert command_line(["it's"]) == rb"'it'\''s'"
    assert command_line(["plain-word_1.2:/@,"]) == b"plain-word_1.2:/@,"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -SEGV $$", 139)])
def test_a_limited_command_keeps_its_exit_code(shell: str, script: str, code: int) -> None:
    line = limited(["sh", "-c", script], 5)
    assert subprocess.run([shell, "-c", line], check=False, timeout=10).returncode == code


def test_a_real_host_gives_the_arguments_back(remote: SshRemote) -> None:
    assert remote.run([*PRINT, *ARGUMENTS], timeout_s=10).stdout == _printed(ARGUMENTS)


@pytest.mark.parametrize("command", [[], ["a\0b"], ["echo", "x" * 200_000]])
def test_what_no_host_can_run_is_refused_here(command: list[str]) -> None:
    with pytest.raises(ValueError, match=r"command|NUL"):
        command_line(command)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_a_limit_has_to_be_one(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="time limit"):
        limited(["true"], timeout_s)
