"""A FIFO that is spoken into as fast as people speak."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = ["spoken"]


@contextmanager
def spoken(fifo: Path, samples: np.ndarray) -> Iterator[None]:
    """Samples written in real time, and silence after them."""
    over = threading.Event()
    content = np.concatenate([samples, np.zeros(30 * 16_000)]).astype("<i2").tobytes()

    def write() -> None:
        with fifo.open("wb", buffering=0) as file:
            begin = time.monotonic()
            for first in range(0, len(content), 640):
                if over.wait(max(0.0, begin + first / 32_000 - time.monotonic())):
                    return
                try:
                    file.write(content[first : first + 640])
                except BrokenPipeError:
                    return

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.is_alive():
            os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        thread.join(10)
