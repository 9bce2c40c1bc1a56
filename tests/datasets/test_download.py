"""Downloads from a server on this machine that cuts, lies, refuses and changes its mind."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edgeprune.datasets.download import Downloader, default_folder, is_url
from edgeprune.errors import DownloadError
from edgeprune.progress import SilentProgress

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUIET = SilentProgress()


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str | None = '"v1"'
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    no_length: bool = False
    shift: int = 0
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    behaviour: Behaviour

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        does = self.behaviour
        does.requests.append(dict(self.headers.items()))
        if does.statuses and (status := does.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        start = self._start()
        if start is not None and start >= len(does.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(does.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200 if start is None else 206)
        body = does.content[start or 0 :]
        if start is not None:
            first = start + does.shift
            last, size = len(does.content) - 1, len(does.content)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        if not does.no_length:
            self.send_header("Content-Length", str(len(body)))
        if does.etag:
            self.send_header("ETag", does.etag)
        self.end_headers()
        if does.cut_after:
            body = body[: does.cut_after.pop(0)]
        self.wfile.write(body)

    def _start(self) -> int | None:
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not self.behaviour.ranges or asked is None or condition != self.behaviour.etag:
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))


@pytest.fixture
def server() -> Iterator[Behaviour]:
    behaviour = Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        behaviour.url = f"http://127.0.0.1:{running.server_port}/data/speech%20v1.tar.gz?a=b"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield behaviour
        running.shutdown()
        thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def downloader(tmp_path: Path, pauses: list[float]) -> Downloader:
    return Downloader(tmp_path / "downloads", attempts=3, timeout_s=5, sleep=pauses.append)


def _left_over(downloader: Downloader) -> list[str]:
    return sorted(path.name for path in downloader.folder.glob("*.part*"))


def test_a_file_is_fetched_once(downloader: Downloader, server: Behaviour) -> None:
    path = downloader.fetch(server.url, SHA256, QUIET)
    assert path.read_bytes() == CONTENT
    assert path.name == f"{SHA256[:16]}-speech_v1.tar.gz"
    assert downloader.fetch(server.url, SHA256, QUIET) == path
    assert len(server.requests) == 1
    assert _left_over(downloader) == []


def test_a_damaged_kept_file_is_fetched_again(downloader: Downloader, server: Behaviour) -> None:
    path = downloader.fetch(server.url, SHA256, QUIET)
    path.write_bytes(CONTENT[:-1])
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_cut_connection_goes_on_where_it_was(
    downloader: Downloader, server: Behaviour, pauses: list[float]
) -> None:
    server.cut_after = [300_000, 400_000]
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT
    ranges = [request.get("Range") for request in server.requests]
    assert ranges == [None, "bytes=300000-", "bytes=700000-"]
    assert server.requests[1]["If-Range"] == '"v1"'
    assert pauses == [1.0, 1.0]


def test_a_later_run_goes_on_where_the_last_one_was(
    downloader: Downloader, server: Behaviour
) -> None:
    server.cut_after = [300_000, 0, 0]
    with pytest.raises(DownloadError, match="3 times in a row") as caught:
        downloader.fetch(server.url, SHA256, QUIET)
    assert "300,000 bytes" in str(caught.value.hint)
    server.requests.clear()
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == ["bytes=300000-"]


def test_pauses_grow_and_attempts_are_bounded(
    downloader: Downloader, server: Behaviour, pauses: list[float]
) -> None:
    server.statuses = [503] * 10
    with pytest.raises(DownloadError, match="503"):
        downloader.fetch(server.url, SHA256, QUIET)
    assert len(server.requests) == 3
    assert pauses == [1.0, 2.0]


def test_progress_makes_the_count_of_failures_start_again(
    downloader: Downloader, server: Behaviour
) -> None:
    server.cut_after = [150_000] * 6
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT
    assert len(server.requests) == 7


@pytest.mark.parametrize(("ranges", "etag"), [(False, '"v1"'), (True, None), (True, 'W/"weak"')])
def test_a_server_that_can_not_resume_serves_from_the_start(
    downloader: Downloader, server: Behaviour, ranges: bool, etag: str | None
) -> None:
    server.ranges, server.etag, server.cut_after = ranges, etag, [300_000]
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(
    downloader: Downloader, server: Behaviour
) -> None:
    server.ranges, server.cut_after = False, [300_000] * 10
    with pytest.raises(DownloadError, match="700,000 bytes early"):
        downloader.fetch(server.url, SHA256, QUIET)
    assert len(server.requests) <= 4


def test_a_file_that_changed_in_between_is_not_mixed(
    downloader: Downloader, server: Behaviour
) -> None:
    server.content, server.etag, server.cut_after = CONTENT[::-1], '"old"', [300_000, 0, 0]
    with pytest.raises(DownloadError):
        downloader.fetch(server.url, SHA256, QUIET)
    server.content, server.etag = CONTENT, '"new"'
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT


def test_a_mix_that_slipped_through_is_fetched_anew(
    downloader: Downloader, server: Behaviour
) -> None:
    server.content, server.cut_after = CONTENT[::-1], [300_000, 0, 0]
    with pytest.raises(DownloadError):
        downloader.fetch(server.url, SHA256, QUIET)
    server.content = CONTENT  # under the same ETag
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT


def test_a_wrong_range_is_not_appended(downloader: Downloader, server: Behaviour) -> None:
    server.cut_after, server.shift = [300_000], 5
    with pytest.raises(DownloadError, match="another range"):
        downloader.fetch(server.url, SHA256, QUIET)


def test_a_finished_part_is_taken(downloader: Downloader, server: Behaviour) -> None:
    server.cut_after = [300_000, 0, 0]
    with pytest.raises(DownloadError):
        downloader.fetch(server.url, SHA256, QUIET)
    next(downloader.folder.glob("*.part")).write_bytes(CONTENT)
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT
    assert server.requests[-1]["Range"] == f"bytes={len(CONTENT)}-"


def test_a_part_longer_than_the_file_is_dropped(downloader: Downloader, server: Behaviour) -> None:
    server.cut_after = [300_000, 0, 0]
    with pytest.raises(DownloadError):
        downloader.fetch(server.url, SHA256, QUIET)
    next(downloader.folder.glob("*.part")).write_bytes(CONTENT + b"more")
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT[:500], b"<html>Sorry</html>"])
def test_other_bytes_are_refused_and_not_kept(
    downloader: Downloader, server: Behaviour, content: bytes
) -> None:
    server.content = content
    with pytest.raises(DownloadError, match="SHA-256") as caught:
        downloader.fetch(server.url, SHA256, QUIET)
    assert caught.value.where == server.url
    assert hashlib.sha256(content).hexdigest() in caught.value.message
    assert _left_over(downloader) == []
    assert not list(downloader.folder.glob("*.gz"))


def test_an_end_without_a_length_is_found_by_the_hash(
    downloader: Downloader, server: Behaviour
) -> None:
    server.no_length, server.cut_after = True, [300_000]
    with pytest.raises(DownloadError, match="SHA-256"):
        downloader.fetch(server.url, SHA256, QUIET)
    assert downloader.fetch(server.url, SHA256, QUIET).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_tried_again(
    downloader: Downloader, server: Behaviour, status: int
) -> None:
    server.statuses = [status]
    with pytest.raises(DownloadError, match=str(status)) as caught:
        downloader.fetch(server.url, SHA256, QUIET)
    assert caught.value.hint == "check the URL in the recipe"
    assert len(server.requests) == 1


def test_a_server_that_is_not_there(downloader: Downloader, pauses: list[float]) -> None:
    with pytest.raises(DownloadError, match=r"3 times in a row.*refused"):
        downloader.fetch("http://127.0.0.1:9/a.tar.gz", SHA256, QUIET)
    assert len(pauses) == 2


def test_a_silent_server_runs_into_the_time_limit(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/a.tar.gz"
        downloader = Downloader(tmp_path, attempts=1, timeout_s=0.2)
        with pytest.raises(DownloadError, match="timed out"):
            downloader.fetch(url, SHA256, QUIET)


def test_no_room_is_not_the_servers_fault(downloader: Downloader, server: Behaviour) -> None:
    downloader.folder.parent.mkdir(exist_ok=True)
    downloader.folder.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="can't be kept") as caught:
        downloader.fetch(server.url, SHA256, QUIET)
    assert "XDG_CACHE_HOME" in str(caught.value.hint)


def test_nonsense_is_not_a_url(downloader: Downloader) -> None:
    with pytest.raises(DownloadError, match="is not a URL"):
        downloader.fetch("http://[broken/a.tar.gz", SHA256, QUIET)
    assert is_url("https://example.org/a.tar.gz")
    assert not is_url("data/a.tar.gz")


def test_two_runs_fetch_it_once(downloader: Downloader, server: Behaviour) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(downloader.fetch(server.url, SHA256, QUIET)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in found] == [CONTENT, CONTENT]
    assert len(server.requests) == 1


def test_the_folder_is_where_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == tmp_path / ".cache" / "edgeprune" / "downloads"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_folder() == tmp_path / "x" / "edgeprune" / "downloads"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == tmp_path / ".cache" / "edgeprune" / "downloads"
