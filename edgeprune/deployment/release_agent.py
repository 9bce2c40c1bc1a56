"""The agent of a release that lies on a device, asked before the release runs there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from edgeprune.deployment.text import plain
from edgeprune.remote import Completed, Remote

__all__ = ["Told", "ask_agent"]

#: Of one command; a Raspberry Pi Zero 2 hashes, loads and infers within a minute.
_TIMEOUT_S = 120.0
#: Of what it says, in characters.
_LONGEST = 2000


@dataclass(frozen=True)
class Told:
    """What an agent said.

    Attributes:
        ok: whether it did what it was asked.
        answer: its last line; empty where that is no JSON object.
        why: why it failed, in words.
        hint: what it says to try; empty for nothing.
    """

    ok: bool
    answer: Mapping[str, Any]
    why: str
    hint: str


def ask_agent(remote: Remote, root: str, release: str, command: str) -> Told:
    """Run a command of a release's agent.

    Args:
        remote: the device.
        root: folder on the device that everything lies in.
        release: a whole one.
        command: ``version`` or ``health``.

    Raises:
        RemoteError: the connection broke, or the agent did not end in time.
    """
    program = PurePosixPath(root, "releases", release, "agent", "run.py")
    done = remote.run(("python3", "-I", str(program), command), timeout_s=_TIMEOUT_S, check=False)
    answer = _last_line(done.text)
    why = answer.get("message") or answer.get("detail") or _last_words(done)
    hint = plain(str(answer.get("hint") or ""), _LONGEST)
    return Told(done.returncode == 0, answer, plain(str(why), _LONGEST), hint)


def _last_line(text: str) -> Mapping[str, Any]:
    lines = text.strip().splitlines()
    try:
        told = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _last_words(done: Completed) -> str:
    """What a program said that did not come as far as its answer."""
    lines = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
    return f"exit code {done.returncode}" + (f", {lines[-1]}" if lines else "")
