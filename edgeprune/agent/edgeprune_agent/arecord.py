"""ALSA by ``arecord`` of alsa-utils, a program that runs beside the agent.

A driver or library that hangs or crashes takes that program with it, and not the agent; a
microphone that is plugged in later is found, for every try is a new process.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import IO

from .audio import SILENT_S, Block
from .cards import Recording, recordings
from .errors import AudioError, NoMicrophone
from .microphone import Capture, Way
from .process import output_of
from .queued import Queued, pieces

__all__ = ["Arecord", "Recorder"]

_PROGRAM = "arecord"
#: Between two pieces of audio; and what the kernel keeps while nobody is scheduled to read.
_PERIOD_US, _BUFFER_US = 20_000, 500_000
_END_S = 1.0
_MOMENT_S = 0.001
_CHUNK = 4096
_CONNECT = "connect one; arecord -l lists them"
_INSTALL = "sudo apt-get install alsa-utils"
#: What arecord says to standard error, and is neither a failure nor the reason of one.
_OVERRUN = re.compile(r"overrun!!! \(at least ([\d.]+) ms long\)")
_OTHER_RATE = re.compile(r"rate is not accurate \(requested = (\d+)Hz, got = (\d+)Hz\)")
_PLACE = re.compile(r"^(\w+): \w+:\d+: ")
#: Runs a program that the kernel ends with the thread that started it. Else arecord ends by SIGPIPE
#: when it next has audio, which from a driver that hangs may be never.
_TIED = ("setpriv", "--pdeathsig", "KILL")


class Recorder:
    """The ways to record by arecord."""

    def __init__(
        self, device: str | None, rate_hz: int, block: int, *, root: Path = Path("/")
    ) -> None:
        """Begin.

        Args:
            device: a name of alsa-lib, or a card's number; the default one, and then every device
                that records, where left out.
            rate_hz: sample rate.
            block: samples of a block.
            root: where ``proc`` and ``dev`` lie.
        """
        self._device = f"plughw:{device}" if device is not None and device.isdigit() else device
        self._rate_hz, self._block, self._root = rate_hz, block, root

    def installed(self) -> bool:
        return shutil.which(_PROGRAM) is not None

    def require(self) -> None:
        """Raise AudioError where arecord is not installed."""
        if not self.installed():
            raise AudioError("arecord is not installed", hint=_INSTALL)

    def ways(self) -> Iterator[Way]:
        """The devices that may be opened now, the best first.

        Raises:
            NoMicrophone: arecord is not installed.
        """
        program = shutil.which(_PROGRAM)
        if program is None:
            raise NoMicrophone("arecord is not installed", hint=_INSTALL)
        cards = recordings(self._root)
        # Without a name the default device is tried first, which on a Raspberry Pi is often an
        # output; then the cards that record.
        named: dict[str | None, Recording | None] = {self._device: None}
        if self._device is None:
            named.update((card.pcm, card) for card in cards)
        for device, card in named.items():
            yield partial(self._open, program, device, card, bool(cards))

    def _open(
        self, program: str, device: str | None, card: Recording | None, cards: bool
    ) -> Capture:
        if card is not None and not card.permitted():
            raise NoMicrophone(
                f"{card.node} is forbidden to this user",
                hint="sudo usermod -aG audio $USER, and reboot",
            )
        return Arecord(program, device, self._rate_hz, self._block, cards=cards)


class Arecord:
    """One device, opened by one process; see :class:`edgeprune_agent.microphone.Capture`."""

    def __init__(
        self, program: str, device: str | None, rate_hz: int, block: int, *, cards: bool
    ) -> None:
        """Start it. It ends with the calling thread, however that ends.

        Args:
            program: arecord.
            device: a name of alsa-lib; the default one where left out.
            rate_hz: sample rate.
            block: samples of a block.
            cards: whether the kernel has a device that records.

        Raises:
            NoMicrophone: the program can't be started.
        """
        self.name = f"arecord {device or 'default'}"
        self._rate_hz, self._block, self._device, self._cards = rate_hz, block, device, cards
        self._queue = Queued(rate_hz, block)
        self._words, self._cpu_s = "", 0.0
        self._failure: AudioError | None = None
        self._reading, self._said_all = threading.Lock(), False
        # Not --quiet: then it does not tell that a device has another rate than asked for.
        command = [*_tied(), program, "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(rate_hz)]
        command += [f"--period-time={_PERIOD_US}", f"--buffer-time={_BUFFER_US}"]
        command += [] if device is None else ["-D", device]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NoMicrophone(f"arecord can't be started: {error}") from error
        self._threads = [
            threading.Thread(target=each, name=each.__name__, daemon=True)
            for each in (self._follow_words, self._follow_audio)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def overruns(self) -> int:
        return self._queue.overruns

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        begun, heard = time.monotonic(), False
        for block in self._queue.taken(stop):
            if self._failure is not None:
                raise self._failure
            heard = heard or len(block.samples) > 0
            # A sound server without a microphone opens, and gives nothing.
            absent = self._device is None and not self._cards and not heard
            if absent and block.arrived - begun >= SILENT_S:
                raise NoMicrophone("arecord gives no audio", hint=_CONNECT)
            yield block

    def cpu_s(self) -> float:
        if self._process.returncode is not None:
            return self._cpu_s
        try:
            content = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
            fields = content.rpartition(")")[2].split()
            # Fields 14 and 15, utime and stime, of proc(5).
            ticks = int(fields[11]) + int(fields[12])
        except (OSError, ValueError, IndexError):
            return self._cpu_s
        self._cpu_s = max(self._cpu_s, ticks / os.sysconf("SC_CLK_TCK"))
        return self._cpu_s

    def close(self) -> None:
        self.cpu_s()
        for end in (self._process.terminate, self._process.kill):
            end()
            # One that a driver holds in the kernel can't be ended at all.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
                break
        for thread in self._threads:
            thread.join(_END_S)

    def _follow_audio(self) -> None:
        with _stream(self._process.stdout) as audio:
            for number, samples in enumerate(pieces(audio.fileno(), self._block)):
                if number == 0:
                    self._hear_out()
                self._queue.offer(samples)
        self._threads[0].join(_END_S)
        self._queue.end(self._failure or self._refusal())

    def _follow_words(self) -> None:
        rest, piece = b"", b" "
        with _stream(self._process.stderr) as words:
            while piece:
                select.select([words], [], [])
                with self._reading:
                    piece = os.read(words.fileno(), _CHUNK)
                    *lines, rest = (rest + piece).split(b"\n") if piece else (rest, b"")
                    for line in lines:
                        self._note(line.decode("utf-8", errors="replace").strip())
                    self._said_all = not piece

    def _hear_out(self) -> None:
        """Wait until all is noted that it said so far: another rate is told before audio comes."""
        words = _stream(self._process.stderr)
        while True:
            with self._reading:
                if self._said_all or not select.select([words], [], [], 0)[0]:
                    return
            time.sleep(_MOMENT_S)

    def _note(self, line: str) -> None:
        overrun, rate = _OVERRUN.search(line), _OTHER_RATE.search(line)
        if overrun:
            self._queue.lose(round(float(overrun[1]) / 1000 * self._rate_hz))
        elif rate:
            # A device that was asked for stays wrong; another one may be right.
            kind = NoMicrophone if self._device is None else AudioError
            self._failure = kind(
                f"{self.name}: gives {rate[2]} Hz; {rate[1]} Hz is needed",
                hint="--device plughw:… converts, where hw:… does not",
            )
            self._process.terminate()
        elif line and not line.startswith("Recording "):
            self._words = _PLACE.sub(r"\1: ", line)

    def _refusal(self) -> NoMicrophone:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        words = self._words or f"arecord ended with exit code {self._process.returncode}"
        if "busy" in words:
            return NoMicrophone(
                words, hint="another program uses it; fuser -v /dev/snd/* tells which"
            )
        if self._cards:
            return NoMicrophone(words, hint="arecord -L lists names for --device")
        return NoMicrophone(words, hint=_CONNECT)


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe


@lru_cache(maxsize=1)
def _tied() -> tuple[str, ...]:
    """What to put before a command; nothing where ``setpriv`` is absent or too old."""
    return _TIED if output_of([*_TIED, "true"]) is not None else ()
