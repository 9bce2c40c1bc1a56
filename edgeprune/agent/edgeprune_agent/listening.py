"""The voice assistant: audio in, detections out, in real time and for as long as it takes."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .audio import Block, Source
from .detector import Detector
from .engine import Engine
from .health import HealthFile
from .hearing import SILENT, WAITING, Hearing
from .latency import percentiles
from .machine import CpuShare, conditions, now, peak_rss_bytes
from .mqtt import Publisher
from .output import emit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Listener"]

#: Delays that percentiles are taken of.
_KEPT = 4096


@dataclass
class _Tally:
    """What was done; ``fresh``: how often the audio began anew."""

    samples: int = 0
    lost: int = 0
    inferences: int = 0
    detections: int = 0
    fresh: int = 0
    busy_s: float = 0.0


class Listener:
    """Slides the network over a stream of audio.

    A delay is the time from the arrival of the last sample that an inference hears to its decision.
    """

    def __init__(
        self,
        engine: Engine,
        detector: Detector,
        *,
        every: int,
        status_s: float,
        health: HealthFile,
        publisher: Publisher | None,
    ) -> None:
        """Begin a stream.

        Args:
            engine: what to run.
            detector: what decides.
            every: frames from inference to inference.
            status_s: seconds between two status lines.
            health: where the service's health is told.
            publisher: of detections besides standard output.
        """
        settings = engine.frontend.settings
        self._engine, self._detector, self._every = engine, detector, every
        self._status_s, self._health, self._publisher = status_s, health, publisher
        self._rate_hz = settings.sample_rate_hz
        self._stream = engine.frontend.stream()
        self._clip: NDArray[np.int8] = np.zeros((settings.frames, settings.features), np.int8)
        self._frames = 0
        self._begin = 0
        self._audio: str | None = None
        self._tally = _Tally()
        self._delays: deque[float] = deque(maxlen=_KEPT)
        self._share = CpuShare()

    def run(self, source: Source, stop: threading.Event) -> dict[str, Any]:
        """Listen to the end of the audio, or until stopped; returns the summary.

        Raises:
            AudioError: the audio breaks off.
        """
        begin = told = time.monotonic()
        heard = -math.inf
        with closing(source.blocks(stop)) as blocks:
            for block in blocks:
                if len(block.samples):
                    heard = block.arrived
                    self._take(block)
                moment = time.monotonic()
                self._tell(source, quiet_s=moment - heard, open_s=moment - begin)
                if moment - told >= self._status_s:
                    told = moment
                    emit(self._report("status", source))
        summary = self._report("summary", source)
        summary["reason"] = "stopped" if stop.is_set() else "end of audio"
        return summary

    def _take(self, block: Block) -> None:
        start = time.monotonic()
        if block.fresh:
            self._forget()
        self._tally.lost += block.lost
        self._tally.samples += len(block.samples)
        settings = self._engine.frontend.settings
        for frame in self._stream.push(block.samples):
            self._clip = np.roll(self._clip, -1, axis=0)
            self._clip[-1] = frame
            self._frames += 1
            if self._frames >= settings.frames and (
                (self._frames - settings.frames) % self._every == 0
            ):
                end = self._begin + settings.window + (self._frames - 1) * settings.hop
                end += self._tally.lost
                self._infer(end / self._rate_hz, block)
        self._tally.busy_s += time.monotonic() - start

    def _forget(self) -> None:
        """Begin afresh, so that nothing is detected across a gap."""
        self._tally.fresh += 1
        self._begin = self._tally.samples
        self._stream = self._engine.frontend.stream()
        self._clip[:] = 0
        self._frames = 0
        self._detector.reset()

    def _infer(self, at_s: float, block: Block) -> None:
        scores = self._engine.runtime.infer(self._clip.reshape(-1))
        found = self._detector.push(self._engine.posteriors(scores), at_s)
        self._tally.inferences += 1
        delay = time.monotonic() - block.arrived
        self._delays.append(delay)
        if found is None:
            return
        self._tally.detections += 1
        line = {
            "kind": "detection",
            "label": found.label,
            "score": found.score,
            "at_s": round(found.at_s, 3),
            "delay_ms": round(1000 * delay, 3),
            "utc": now()["utc"],
            "release": self._engine.bundle.release,
        }
        emit(line)
        if self._publisher is not None:
            self._publisher.detection(line)

    def _tell(self, source: Source, *, quiet_s: float, open_s: float) -> None:
        """To the health file; and where audio came or went, as a line of output."""
        hearing = Hearing.of(source, quiet_s=quiet_s, open_s=open_s)
        self._health.tell(*hearing)
        if hearing.audio in (None, self._audio):
            return
        self._audio = hearing.audio
        deaf = hearing.audio in (WAITING, SILENT)
        if self._publisher is not None:
            self._publisher.hearing(not deaf)
        kind = "warning" if deaf else "audio"
        line = {"audio": hearing.audio, "source": source.name, "message": hearing.detail}
        emit({"kind": kind, **line, "utc": now()["utc"]})

    def _report(self, kind: str, source: Source) -> dict[str, Any]:
        tally, audio_s = self._tally, self._tally.samples / self._rate_hz
        mqtt = None
        if self._publisher is not None:
            mqtt = {"published": self._publisher.published, "dropped": self._publisher.dropped}
        return {
            "kind": kind,
            "at": now(),
            "source": source.name,
            "audio": self._audio,
            "audio_s": round(audio_s, 3),
            "lost_s": round(tally.lost / self._rate_hz, 3),
            "overruns": source.overruns,
            "reopened": tally.fresh,
            "inferences": tally.inferences,
            "detections": tally.detections,
            "real_time_factor": round(tally.busy_s / audio_s, 5) if audio_s else None,
            "cpu_share": self._share.value(source.cpu_s()),
            "delay_ms": percentiles(list(self._delays)) if self._delays else None,
            "peak_rss_bytes": peak_rss_bytes(),
            "mqtt": mqtt,
            "conditions": conditions(),
        }
