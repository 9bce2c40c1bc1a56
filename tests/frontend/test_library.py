"""The host library: what it refuses, and a cache that survives company and damage."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.errors import CompileError, FrontendError
from edgeprune.frontend import FrontendLibrary, fraction_bits, identity
from edgeprune.toolchain import Job, Toolchain
from tests.frontend import signals
from tests.frontend.conftest import LOG_MEL, MFCC, Build


def test_shapes_and_types(build: Build) -> None:
    for frontend in (LOG_MEL, MFCC):
        library = build(frontend)
        assert library.frontend == frontend
        assert library.identity == identity(frontend)
        for count in (0, 1, 3):
            features = library.features(np.zeros((count, 16_000), np.int16))
            assert features.shape == (count, 49, frontend.features)
            assert features.dtype == np.int16


@pytest.mark.parametrize(
    "clips",
    [
        np.zeros((1, 16_000), np.float32),
        np.zeros((1, 16_000), np.int32),
        np.zeros((1, 15_999), np.int16),
        np.zeros(16_000, np.int16),
        np.zeros((1, 1, 16_000), np.int16),
        [[0] * 16_000],
    ],
    ids=["float", "int32", "short", "vector", "cube", "list"],
)
def test_other_clips_are_refused(clips: NDArray[np.int16], build: Build) -> None:
    with pytest.raises(FrontendError, match=r"int16|shape"):
        build(LOG_MEL).features(clips)


def test_strides_and_byte_order(build: Build) -> None:
    library = build(LOG_MEL)
    clips = signals.stacked(signals.ordinary(LOG_MEL))
    expected = library.features(clips)
    np.testing.assert_array_equal(library.features(clips[::-1])[::-1], expected)
    np.testing.assert_array_equal(library.features(np.asfortranarray(clips)), expected)
    with pytest.raises(FrontendError):
        library.features(clips.astype(">i2"))


def test_threads_share_a_library(build: Build) -> None:
    library = build(LOG_MEL)
    clips = signals.stacked(signals.ordinary(LOG_MEL))
    expected = library.features(clips)
    found: list[NDArray[np.int16]] = []
    threads = [
        threading.Thread(target=lambda: found.append(library.features(clips))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for features in found:
        np.testing.assert_array_equal(features, expected)
    assert len(found) == 4


def test_cache_is_by_content(zig: Toolchain, tmp_path: Path) -> None:
    first = FrontendLibrary.build(LOG_MEL, zig, tmp_path / "cache")
    changed = first.path.stat().st_mtime_ns
    again = FrontendLibrary.build(LOG_MEL, zig, tmp_path / "cache")
    assert (again.path, again.path.stat().st_mtime_ns) == (first.path, changed)
    other = FrontendLibrary.build(MFCC, zig, tmp_path / "cache")
    assert other.path != first.path
    assert sorted((tmp_path / "cache").iterdir()) == sorted([first.path, other.path])


def test_another_compiler_gives_another_library_and_the_same_bits(
    build: Build, host: Toolchain, tmp_path: Path
) -> None:
    library = FrontendLibrary.build(MFCC, host, tmp_path)
    assert library.path.name != build(MFCC).path.name
    clips = {**signals.ordinary(MFCC), **signals.extreme(MFCC)}
    np.testing.assert_array_equal(
        library.features(signals.stacked(clips)), build(MFCC).features(signals.stacked(clips))
    )


_BUILD = """
import sys
from pathlib import Path
import numpy as np
from edgeprune.frontend import FrontendLibrary
from edgeprune.recipe import Frontend
from edgeprune.toolchain import find_toolchain

library = FrontendLibrary.build(Frontend(mel_bins=21), find_toolchain("zig"), Path(sys.argv[1]))
print(int(library.features(np.full((1, 16_000), 5, np.int16)).sum()))
"""


def test_processes_may_build_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _BUILD, str(tmp_path / "cache")]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    assert len({output for output, _ in outputs}) == 1
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".so"]


def test_a_damaged_library_is_built_anew(build: Build, zig: Toolchain, tmp_path: Path) -> None:
    clips = np.full((1, 16_000), 77, np.int16)
    damaged = tmp_path / build(LOG_MEL).path.name
    damaged.write_bytes(b"\x7fELF and nothing more")
    library = FrontendLibrary.build(LOG_MEL, zig, tmp_path)
    assert library.path == damaged
    np.testing.assert_array_equal(library.features(clips), build(LOG_MEL).features(clips))


def test_a_library_of_another_front_end_is_refused(build: Build) -> None:
    with pytest.raises(FrontendError, match=identity(LOG_MEL)):
        FrontendLibrary(MFCC, build(LOG_MEL).path)


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frontend.so").write_text("nothing", encoding="utf-8")
    with pytest.raises(FrontendError, match="can't be loaded"):
        FrontendLibrary(MFCC, tmp_path / "frontend.so")


def test_a_failed_build_leaves_nothing(
    zig: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Toolchain, job: Job) -> str:
        job.output.write_bytes(b"half of it")
        raise CompileError("stopped", command=["zig"])

    monkeypatch.setattr(Toolchain, "build", fail)
    with pytest.raises(CompileError):
        FrontendLibrary.build(LOG_MEL, zig, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fraction_bits() -> None:
    assert fraction_bits(LOG_MEL) == 8
    assert fraction_bits(MFCC) == 6
