"""What progress prints, and when."""

from __future__ import annotations

import io

import pytest

from edgeprune import progress as module
from edgeprune.progress import PlainProgress, RichProgress, SilentProgress, for_stream


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_says_when_work_starts_and_ends() -> None:
    stream = io.StringIO()
    with PlainProgress(stream).task("synthesize", 3, "clips") as task:
        task.advance()
        task.advance(2)
    first, last = stream.getvalue().splitlines()
    assert first == "synthesize …"
    assert last.startswith("synthesize: done, 3 clips, ")


def test_plain_prints_no_more_than_one_line_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    with PlainProgress(stream, interval_s=10).task("train", 100, "steps") as task:
        for _ in range(50):
            clock[0] += 1.0
            task.advance()
    between = stream.getvalue().splitlines()[1:-1]
    assert between == [
        "train: 10/100 steps, about 90 s left",
        "train: 20/100 steps, about 80 s left",
        "train: 30/100 steps, about 70 s left",
        "train: 40/100 steps, about 60 s left",
        "train: 50/100 steps, about 50 s left",
    ]


def test_plain_does_not_call_failed_work_done() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), PlainProgress(stream).task("hash"):
        raise KeyError
    assert "done" not in stream.getvalue()


def test_bytes_are_shown_in_megabytes() -> None:
    stream = io.StringIO()
    with PlainProgress(stream, interval_s=0).task("download", 8_000_000, "bytes") as task:
        task.advance(2_500_000)
    assert "2.5/8.0 MB" in stream.getvalue()


def test_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    assert isinstance(for_stream(_Terminal()), RichProgress)
    assert isinstance(for_stream(io.StringIO()), PlainProgress)


def test_bars_nest_and_show_counts() -> None:
    stream = _Terminal()
    progress = RichProgress(stream)
    with progress.task("outer [x]", 2, "files") as outer:
        with progress.task("inner", None, "bytes") as inner:
            inner.advance(1_500_000)
        outer.advance(2)
    with progress.task("next") as following:
        following.advance()
    shown = stream.getvalue()
    assert "outer [x]" in shown
    assert "2/2 files" in shown
    assert "1.5 MB" in shown
    assert "next" in shown


def test_a_bar_is_gone_after_an_error() -> None:
    progress = RichProgress(_Terminal())
    with pytest.raises(KeyError), progress.task("broken"):
        raise KeyError
    assert progress._bars is None


def test_silent_accepts_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with SilentProgress().task("x", 1, "clips") as task:
        task.advance()
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
