"""Bundles for this machine, and the agent as a device starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from edgeprune.toolchain import find_toolchain
from tests.agent.tone_bundle import Parts, copy, noisy_model


@dataclass(frozen=True)
class Answer:
    """What a command printed."""

    code: int
    lines: list[dict[str, Any]]
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]


@dataclass(frozen=True)
class Service:
    """An agent that runs."""

    process: subprocess.Popen[bytes]
    stdout: IO[bytes]

    def line(self) -> dict[str, Any]:
        """What it prints next."""
        found: dict[str, Any] = json.loads(self.stdout.readline())
        return found


class Device:
    """A home folder, in which the agent of a bundle is started."""

    def __init__(self, home: Path, caches: Path) -> None:
        self.home, self.caches = home, caches
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "XDG_CACHE_HOME": str(caches),
        }

    def command(self, bundle: Path, *arguments: object) -> list[str]:
        program = str(bundle / "agent" / "run.py")
        return [sys.executable, "-I", program, *map(str, arguments)]

    def run(self, bundle: Path, *arguments: object, stdin: bytes = b"") -> Answer:
        done = subprocess.run(
            self.command(bundle, *arguments),
            capture_output=True,
            cwd=self.home,
            env=self.environment,
            input=stdin,
            timeout=60,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
        return Answer(done.returncode, lines, done.stderr.decode())

    @contextmanager
    def start(self, bundle: Path, *arguments: object) -> Iterator[Service]:
        with subprocess.Popen(
            self.command(bundle, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.home,
            env=self.environment,
        ) as process:
            assert process.stdout is not None
            try:
                yield Service(process, process.stdout)
            finally:
                process.kill()


@pytest.fixture(scope="session")
def parts(build_cache: Path) -> Parts:
    return Parts.build(find_toolchain("zig"), build_cache)


@pytest.fixture(scope="session")
def noisy(build_cache: Path) -> Parts:
    """A network whose bits depend on the arithmetic."""
    return Parts.build(find_toolchain("zig"), build_cache, noisy_model())


@pytest.fixture(scope="session")
def bundle(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole one; not to be changed."""
    folder = tmp_path_factory.mktemp("edgeprune") / "releases" / "whole"
    parts.write(folder)
    return folder


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So that the bytecode of numpy is made once."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture
def fresh(bundle: Path, tmp_path: Path) -> Path:
    """One of the test's own."""
    return copy(bundle, tmp_path / "edgeprune" / "releases" / "r1")


@pytest.fixture
def device(tmp_path: Path, caches: Path) -> Device:
    home = tmp_path / "home"
    home.mkdir()
    return Device(home, caches)
