"""Many clips on one device: spread over processes, results in the order of the clips."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeprune.devices.base import BatchSession, Device, Pcm, Result, Session, check_identity
from edgeprune.errors import DeviceError, EdgepruneError
from edgeprune.progress import Progress, SilentProgress, Task

__all__ = ["run_clips"]

#: Fewer clips than this for each process are not worth its start.
_LEAST_CLIPS = 4


def run_clips(
    device: Device,
    clips: Pcm,
    *,
    workers: int | None = None,
    measured: int = 0,
    identity: str | None = None,
    progress: Progress | None = None,
    description: str = "run clips",
) -> list[Result]:
    """Infer clips, each from a fresh state.

    Args:
        device: opened once by each process. One whose sessions take many clips at once stays in
            this process; any other must be possible to pickle.
        clips: int16 [clips, samples].
        workers: processes; None is one for each processor, and 1 is this process alone.
        measured: how many clips, from the first one on, also tell their cost.
        identity: of the front-end that the clips were cut for; None is not checked.
        progress: where to report.
        description: what to call the work there.

    Returns:
        One result a clip, in the order of the clips.

    Raises:
        IdentityError: the device has another front-end.
        DeviceError: and its subclasses, of the first clip that failed; ``where`` names it.
    """
    wanted = _processors() if workers is None else max(1, workers)
    count = min(wanted, -(-len(clips) // _LEAST_CLIPS))
    with (progress or SilentProgress()).task(description, len(clips), "clips") as task:
        # Opened here too, so that a device that can't be opened says so before processes start.
        with device.open() as session:
            if count <= 1 or isinstance(session, BatchSession):
                return _run_here(session, clips, measured, identity, task)
        with tempfile.TemporaryDirectory(prefix="edgeprune-") as folder:
            file = Path(folder) / "clips.npy"
            np.save(file, clips)
            return _run_in_pool(device, file, len(clips), count, measured, identity, task)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_here(
    session: Session, clips: Pcm, measured: int, identity: str | None, task: Task
) -> list[Result]:
    if isinstance(session, BatchSession) and not measured:
        check_identity(identity, session.info().frontend_identity, where=session.info().device)
        scores = session.infer_clips(clips)
        task.advance(len(clips))
        return [Result(row) for row in scores]
    results = []
    for index, clip in enumerate(clips):
        with _named(index):
            results.append(session.infer_pcm(clip, measure=index < measured, identity=identity))
        task.advance()
    return results


@contextmanager
def _named(index: int) -> Iterator[None]:
    """Say which clip an error comes from."""
    try:
        yield
    except DeviceError as error:
        error.where = f"{error.where}, clip {index}" if error.where else f"clip {index}"
        raise


def _run_in_pool(
    device: Device,
    file: Path,
    clips: int,
    workers: int,
    measured: int,
    identity: str | None,
    task: Task,
) -> list[Result]:
    """Run the clips of a file.

    They don't go through the pool's queue: one that is full when a worker dies hangs for ever, in
    Python up to 3.11.4 (CPython issue 94777).
    """
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(device, file),
    )
    try:
        futures = [
            executor.submit(_work, index, index < measured, identity) for index in range(clips)
        ]
        return list(_collect(futures, task))
    except BrokenProcessPool as error:
        raise DeviceError(
            "a process that ran clips was ended from outside",
            where=device.name,
            hint="is the memory exhausted? fewer workers need less",
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _collect(futures: Sequence[Future[Result]], task: Task) -> Iterator[Result]:
    for future in futures:
        yield future.result()
        task.advance()


@dataclass
class _Worker:
    """What a worker process keeps between clips; a device that failed to open, its error."""

    clips: Pcm | None = None
    session: Session | None = None
    failure: EdgepruneError | None = None


_worker = _Worker()


def _start_worker(device: Device, file: Path) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker.clips = np.load(file, mmap_mode="r")
    try:
        _worker.session = device.open()
    except EdgepruneError as error:
        _worker.failure = error


def _end_with_parent() -> None:
    """A worker waits for work for ever, also when its parent was killed and can't send any."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(index: int, measure: bool, identity: str | None) -> Result:
    if _worker.session is None or _worker.clips is None:
        raise _worker.failure or DeviceError("the worker has no session")
    clip = np.array(_worker.clips[index])
    with _named(index):
        return _worker.session.infer_pcm(clip, measure=measure, identity=identity)
