"""The error tree: what a message shows, and that errors travel between processes whole."""

from __future__ import annotations

import pickle

import pytest

from edgeprune import errors
from edgeprune.errors import (
    CompileError,
    DeviceFault,
    EdgepruneError,
    HostKeyError,
    MissingExtraError,
    ProcessError,
    RemoteFileError,
    RemoteProcessError,
)
from edgeprune.remote import Completed

EXAMPLES = [
    EdgepruneError("what happened", where="recipe.toml: key", hint="another value"),
    MissingExtraError("tensorflow", extra="train", purpose="training"),
    CompileError("cc failed", command=["cc", "a b.c"], returncode=1, output="line\n" * 30),
    DeviceFault("crashed", pc=0x1234, symbol="main", registers={"r0": 1, "lr": 2}, where="m4"),
    HostKeyError("is unknown", fingerprint="SHA256:x", where="pi@kitchen:22", hint="invoke trust"),
    RemoteFileError("is absent", path="a b", missing=True, where="pi@kitchen:22"),
    RemoteProcessError(
        "sh failed with exit code 1",
        completed=Completed(("sh", "-c", "x"), 1, b"out", b"\x1b[2Jred\n" + b"y" * 1000),
        where="pi@kitchen:22",
    ),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: EdgepruneError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


def test_a_message_says_where_and_what_to_try() -> None:
    assert str(EXAMPLES[0]) == "recipe.toml: key: what happened\n  try: another value"


def test_a_missing_extra_says_how_to_install_it() -> None:
    assert "pip install 'edgeprune[train]'" in str(EXAMPLES[1])


def test_a_failed_program_shows_its_command_and_last_lines() -> None:
    lines = str(EXAMPLES[2]).splitlines()
    assert lines[1] == "  command: cc a b.c"
    assert len(lines) == 2 + ProcessError.SHOWN_LINES


def test_a_fault_shows_place_and_registers() -> None:
    text = str(EXAMPLES[3])
    assert "at pc 0x00001234 in main" in text
    assert "r0=0x00000001 lr=0x00000002" in text


def test_a_failed_remote_command_shows_what_it_printed_but_steers_no_terminal() -> None:
    *_, command, first, second = str(EXAMPLES[6]).splitlines()
    assert command == "  command: sh -c x"
    assert first == "  | \ufffd[2Jred"
    assert second == "  | " + "y" * 200 + "…"


def test_the_docstring_draws_every_error_once() -> None:
    drawn = errors.__doc__ or ""
    for name in errors.__all__:
        assert drawn.count(f" {name} ") + drawn.count(f"    {name} ") >= 1, name


def test_every_error_is_caught_as_one() -> None:
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), EdgepruneError)
