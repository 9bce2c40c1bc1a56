"""Latency of single clips, with the circumstances that it depends on."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from .engine import Engine
from .instructions import InstructionCounter
from .latency import percentiles
from .machine import CpuShare, conditions, description, peak_rss_bytes

__all__ = ["bench"]


def bench(
    engine: Engine, counter: InstructionCounter, *, iterations: int, warm_up: int
) -> dict[str, Any]:
    """Time the golden clip again and again.

    The latency is the time from a clip's last sample to its scores, as the firmware's is: one
    frame of the front-end and one inference.

    Args:
        engine: what to time.
        counter: made before the engine, so that the threads of the interpreter count.
        iterations: that are timed.
        warm_up: that are not, before.
    """
    settings = engine.frontend.settings
    pcm = np.frombuffer(engine.bundle.path("golden/clip.s16").read_bytes(), "<i2").astype(np.int16)
    values = engine.frontend.inputs(pcm.reshape(1, -1))[0]
    stream = engine.frontend.stream()
    stream.push(pcm[: settings.window])
    hop = pcm[-settings.hop :]
    before = conditions()
    for _ in range(warm_up):
        stream.push(hop)
        engine.runtime.infer(values)
    share = CpuShare()
    frames, inferences = [], []
    for _ in range(iterations):
        start = time.perf_counter()
        stream.push(hop)
        middle = time.perf_counter()
        engine.runtime.infer(values)
        frames.append(middle - start)
        inferences.append(time.perf_counter() - middle)
    cpu_share = share.value()
    counted = min(iterations, 51)
    of_frame = _counted(counter, lambda: stream.push(hop), counted)
    of_inference = _counted(counter, lambda: engine.runtime.infer(values), counted)
    return {
        "kind": "bench",
        **engine.describe(),
        "device": description(),
        "before": before,
        "after": conditions(),
        "warm_up": warm_up,
        "iterations": iterations,
        "latency_ms": percentiles([a + b for a, b in zip(frames, inferences)]),
        "frame_ms": percentiles(frames),
        "inference_ms": percentiles(inferences),
        "cpu_share": cpu_share,
        "frame_instructions": of_frame,
        "inference_instructions": of_inference,
        "instructions_reason": counter.reason,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def _counted(counter: InstructionCounter, work: Callable[[], object], times: int) -> int | None:
    """The median of the instructions of some work, without those of the counting."""

    def once(run: Callable[[], object]) -> int | None:
        start = counter.read()
        run()
        end = counter.read()
        return None if start is None or end is None else end - start

    found = [each for _ in range(times) if (each := once(work)) is not None]
    empty = [each for _ in range(times) if (each := once(lambda: None)) is not None]
    return int(median(found) - median(empty)) if found and empty else None
