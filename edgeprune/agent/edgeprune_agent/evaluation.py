"""Scores of many clips, from a file of PCM to a file of int8."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .engine import Engine
from .errors import UsageError
from .latency import percentiles
from .machine import CpuShare, conditions, description, peak_rss_bytes
from .output import emit, write_atomically

__all__ = ["evaluate"]

#: Clips whose features are computed at once: 1 MiB of PCM.
_CHUNK = 32
_PROGRESS_S = 1.0
#: Inferences that are not timed, before the first.
_WARM_UP = 10


def evaluate(engine: Engine, clips: Path, clip_samples: int, scores: Path) -> dict[str, Any]:
    """Run every clip of a file; progress goes to standard output.

    Args:
        engine: what to run.
        clips: int16 PCM, little-endian, [clips, clip_samples].
        clip_samples: of one clip.
        scores: where the int8 scores [clips, labels] go; written in one step when all are there.

    Raises:
        UsageError: a file can't be read or written, or holds no whole number of clips.
    """
    if clip_samples != engine.frontend.settings.clip_samples:
        raise UsageError(
            f"the network hears {engine.frontend.settings.clip_samples} samples, not {clip_samples}"
        )
    try:
        count, rest = divmod(clips.stat().st_size, 2 * clip_samples)
        if rest or not count:
            raise UsageError(f"{clips}: holds no whole number of clips of {clip_samples} samples")
        with clips.open("rb") as source:
            answers, summary = _run(engine, source, count)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{clips}: can't be read: {error.strerror}") from error
    try:
        write_atomically(scores, answers)
    except OSError as error:
        raise UsageError(f"{scores}: can't be written: {error.strerror}") from error
    return summary


def _run(engine: Engine, source: BinaryIO, count: int) -> tuple[bytes, dict[str, Any]]:
    """The scores of the next clips, and the summary."""
    samples = engine.frontend.settings.clip_samples
    before, share = conditions(), CpuShare()
    features, inferences, scores = [], [], bytearray()
    begin = told = time.monotonic()
    for first in range(0, count, _CHUNK):
        clips = min(_CHUNK, count - first)
        content = source.read(2 * samples * clips)
        if len(content) != 2 * samples * clips:
            raise UsageError("the file of clips became shorter while it was read")
        start = time.perf_counter()
        pcm = np.frombuffer(content, dtype="<i2").astype(np.int16).reshape(clips, samples)
        inputs = engine.frontend.inputs(pcm)
        features.append((time.perf_counter() - start) / clips)
        for values in inputs[:1].repeat(0 if first else _WARM_UP, axis=0):
            engine.runtime.infer(values)
        for values in inputs:
            start = time.perf_counter()
            answer = engine.runtime.infer(values)
            inferences.append(time.perf_counter() - start)
            scores += answer.tobytes()
        if time.monotonic() - told >= _PROGRESS_S or first + clips == count:
            told = time.monotonic()
            emit({"kind": "progress", "done": first + clips, "total": count})
    return bytes(scores), {
        "kind": "eval",
        **engine.describe(),
        "device": description(),
        "before": before,
        "after": conditions(),
        "clips": count,
        "labels": list(engine.labels),
        "wall_s": round(time.monotonic() - begin, 3),
        "inference_ms": percentiles(inferences),
        "features_ms": percentiles(features),
        "cpu_share": share.value(),
        "peak_rss_bytes": peak_rss_bytes(),
    }
