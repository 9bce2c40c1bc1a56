"""The unit file of a release: the one place that says how its agent is run."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from .layout import DeviceError, Layout

__all__ = ["UNIT", "command_of", "exec_start", "standing_alone", "unit_name"]

#: Where it lies in a release.
UNIT = "unit/edgeprune.service"
_DEFAULT_ROOT = "edgeprune"
_EXEC_START = "ExecStart="


def unit_name(root: Path) -> str:
    """What systemd calls the unit of an installation; two installations don't share one."""
    if root == Path.cwd() / _DEFAULT_ROOT:
        return "edgeprune.service"
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    return f"edgeprune-{digest}.service"


def command_of(layout: Layout, release: str) -> list[str]:
    """The command that runs a release from its own folder, whatever ``current`` points to.

    Raises:
        DeviceError: its unit file does not say how.
    """
    words = exec_start(_text(layout, release), Path.cwd())
    return [_in_release(word, layout, release) for word in words]


def standing_alone(layout: Layout, release: str) -> str:
    """The unit of a release, with a command that does not look at ``current``.

    Raises:
        DeviceError: its unit file does not say how the agent is run.
    """
    command = " ".join(map(_quoted, command_of(layout, release)))
    lines = [
        _EXEC_START + command if line.startswith(_EXEC_START) else line
        for line in _text(layout, release).splitlines()
    ]
    return "\n".join(lines) + "\n"


def exec_start(unit: str, home: Path) -> list[str]:
    """The command of a unit file, as systemd reads it (systemd.service, Command lines).

    Raises:
        DeviceError: it has none, or one in a notation that is not understood.
    """
    lines = [line for line in unit.splitlines() if line.startswith(_EXEC_START)]
    if len(lines) != 1:
        raise DeviceError(f"{UNIT} has {len(lines)} lines ExecStart=", kind="service")
    text = lines[0].partition("=")[2].strip()
    words = []
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"\\]+)(?=\s|$)|(\S+)', text):
        if match[3] is not None:
            raise DeviceError(f"{UNIT}: {match[3]!r} is not understood", kind="service")
        word = match[2] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1])
        words.append(_expanded(word, home))
    if not words:
        raise DeviceError(f"{UNIT} names no program", kind="service")
    return words


def _text(layout: Layout, release: str) -> str:
    try:
        return (layout.release(release) / UNIT).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DeviceError(f"release {release} has no {UNIT}", kind="service") from error


def _in_release(word: str, layout: Layout, release: str) -> str:
    """A path below ``current``, as one below the release's folder; other words as they are."""
    path = os.path.abspath(word) if word.startswith(os.sep) else word  # noqa: PTH100 - as Layout
    current = f"{layout.current}{os.sep}"
    if not path.startswith(current):
        return word
    return str(layout.release(release) / path[len(current) :])


def _quoted(word: str) -> str:
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(character, escape)
    return f'"{word}"'


def _expanded(word: str, home: Path) -> str:
    def piece(match: re.Match[str]) -> str:
        known = {"%%": "%", "$$": "$", "%h": str(home)}
        if match[0] not in known:
            raise DeviceError(f"{UNIT}: {match[0]!r} is not understood", kind="service")
        return known[match[0]]

    return re.sub(r"%.?|\$.?", piece, word)
