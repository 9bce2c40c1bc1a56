"""A program that is called ``arecord``, and does at each call what a test wrote for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

#: Behaviours, as Python with ``os``, ``sys``, ``time`` and what is defined in ``_PROGRAM``.
ABSENT = """
complain("ALSA lib pcm.c:2666:(snd_pcm_open_noupdate) Unknown PCM default")
complain("arecord: main:831: audio open error: No such file or directory")
sys.exit(1)
"""
BUSY = """
complain("arecord: main:831: audio open error: Device or resource busy")
sys.exit(1)
"""
STALL = "time.sleep(60)"
PULLED_OUT = """
complain("arecord: pcm_read:2221: read error: No such device")
sys.exit(1)
"""
OTHER_RATE = """
complain("Warning: rate is not accurate (requested = 16000Hz, got = 48000Hz)")
complain("         please, try the plug plugin")
flood(96000)
time.sleep(60)
"""

_PROGRAM = """
import json, os, sys, time
here = {folder!r}
with open(here + "/calls", "a") as file:
    file.write(json.dumps(dict(pid=os.getpid(), argv=sys.argv[1:])) + chr(10))
with open(here + "/calls") as file:
    number = sum(1 for line in file)

def complain(line):
    sys.stderr.write(line + chr(10))
    sys.stderr.flush()

def flood(size):
    os.write(1, bytes(size))

def burn(seconds):
    while time.process_time() < seconds:
        pass

def play(name, period_s=0.02):
    begin, count = time.monotonic(), 0
    with open(here + "/" + name, "rb") as file:
        for piece in iter(lambda: file.read(640), b""):
            count += 1
            time.sleep(max(0, begin + count * period_s - time.monotonic()))
            os.write(1, piece)

complain("Recording raw data 'stdin' : Signed 16 bit Little Endian, Rate 16000 Hz, Mono")
behaviours = json.load(open(here + "/behaviours"))
exec(behaviours[min(number, len(behaviours)) - 1])
"""


class StandIn:
    """What ``arecord`` on the path is.

    Attributes:
        folder: to put on the path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def does(self, *behaviours: str) -> None:
        """One behaviour a call; the last one again and again."""
        (self.folder / "behaviours").write_text(json.dumps(behaviours))
        program = self.folder / "arecord"
        program.write_text(
            f"#!{sys.executable} -IS" + _PROGRAM.format(folder=str(self.folder)), encoding="utf-8"
        )
        program.chmod(0o755)

    def has(self, name: str, samples: np.ndarray) -> None:
        """A file that behaviours may play."""
        (self.folder / name).write_bytes(samples.astype("<i2").tobytes())

    def calls(self) -> list[list[str]]:
        """Their arguments."""
        return [each["argv"] for each in self._log()]

    def pids(self) -> list[int]:
        """Their processes."""
        return [each["pid"] for each in self._log()]

    def _log(self) -> list[dict[str, list[str]]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
