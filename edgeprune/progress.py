"""How long work reports that it moves: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import ProgressColumn, TaskID

__all__ = ["PlainProgress", "Progress", "RichProgress", "SilentProgress", "Task", "for_stream"]

_BYTES = "bytes"


class Task(Protocol):
    """A piece of work under way."""

    def advance(self, n: float = 1) -> None:
        """Report that ``n`` more units are done."""


class Progress(Protocol):
    """Where work reports to. One object serves one run, from any thread; tasks may nest."""

    def task(
        self, description: str, total: float | None = None, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Open a piece of work.

        Args:
            description: what is being done, such as ``"synthesize speech"``.
            total: how many units there are; None when that is not known.
            unit: the plural of what is counted, such as ``"clips"``; ``"bytes"`` is shown as MB.
        """


def for_stream(stream: TextIO | None = None) -> Progress:
    """A bar when ``stream`` (standard error by default) is a terminal, plain lines otherwise."""
    stream = stream or sys.stderr
    return RichProgress(stream) if stream.isatty() else PlainProgress(stream)


def _count(done: float, total: float | None, unit: str) -> str:
    if unit == _BYTES:
        shown = f"{done / 1e6:.1f}" + ("" if total is None else f"/{total / 1e6:.1f}")
        return f"{shown} MB"
    shown = f"{done:,.0f}" + ("" if total is None else f"/{total:,.0f}")
    return f"{shown} {unit}".rstrip()


class _SilentTask:
    def advance(self, n: float = 1) -> None:
        """Do nothing."""


class SilentProgress:
    """Reports nothing: for tests, and for callers that show progress in their own way."""

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        """Open a piece of work that nobody watches."""
        yield _SilentTask()


class _PlainTask:
    def __init__(self, say: Callable[[float], None], interval_s: float) -> None:
        self._say = say
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._next_s = time.monotonic() + interval_s
        self.done = 0.0

    def advance(self, n: float = 1) -> None:
        """Count, and print a line when the last one is long enough ago."""
        with self._lock:
            self.done += n
            now = time.monotonic()
            if now < self._next_s:
                return
            self._next_s = now + self._interval_s
            self._say(self.done)


class PlainProgress:
    """A line when work starts and ends, and one every ``interval_s`` seconds in between."""

    def __init__(self, stream: TextIO | None = None, *, interval_s: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._interval_s = interval_s

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        """Open a piece of work; one that ends in an exception prints no closing line."""
        started = time.monotonic()

        def say(done: float) -> None:
            self._print(f"{description}: {_count(done, total, unit)}{_left(done, total, started)}")

        self._print(f"{description} …")
        task = _PlainTask(say, self._interval_s)
        yield task
        elapsed = time.monotonic() - started
        counted = f" {_count(task.done, None, unit)}," if task.done else ""
        self._print(f"{description}: done,{counted} {elapsed:.1f} s")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _left(done: float, total: float | None, started: float) -> str:
    if not total or not done:
        return ""
    seconds = (time.monotonic() - started) * max(total - done, 0.0) / done
    return f", about {seconds:.0f} s left"


class _RichTask:
    def __init__(self, bars: RichBars, task_id: TaskID, total: float | None, unit: str) -> None:
        self._bars = bars
        self._id = task_id
        self._total = total
        self._unit = unit
        self._lock = threading.Lock()
        self.done = 0.0

    def advance(self, n: float = 1) -> None:
        """Move the bar."""
        with self._lock:
            self.done += n
            self._bars.update(self._id, advance=n, count=_count(self.done, self._total, self._unit))


class RichProgress:
    """A bar with the time left for each piece of work; nested ones stand below each other."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._bars: RichBars | None = None
        self._open = 0

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        """Open a piece of work; its bar stays on the terminal when it is done."""
        bars = self._enter()
        try:
            count = _count(0, total, unit)
            task_id = bars.add_task(description, total=total, count=count)
            task = _RichTask(bars, task_id, total, unit)
            yield task
            bars.update(task_id, total=task.done or 1, completed=task.done or 1)
        finally:
            self._leave()

    def _enter(self) -> RichBars:
        with self._lock:
            if self._bars is None:
                self._bars = self._new_bars()
                self._bars.start()
            self._open += 1
            return self._bars

    def _leave(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0 and self._bars is not None:
                self._bars.stop()
                self._bars = None

    def _new_bars(self) -> RichBars:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns: list[ProgressColumn] = [
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            TimeRemainingColumn(elapsed_when_finished=True),
        ]
        return Progress(*columns, console=Console(file=self._stream))
