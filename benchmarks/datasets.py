"""How long the data sets take to make: ``python benchmarks/datasets.py [ARCHIVE [TEST_ARCHIVE]]``.

Without an archive (Speech Commands or a data set in its layout) only synthetic speech is timed.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from edgeprune.datasets import Dataset, make
from edgeprune.recipe import Data, SpeechCommandsData, SyntheticData

KEYWORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")


def _cpu_s() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(data: Data) -> None:
    """Make, save and load one data set, and print what each took."""
    wall, cpu = time.perf_counter(), _cpu_s()
    dataset = make(data, sample_rate_hz=16_000, clip_samples=16_000, seed=1)
    wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        dataset.save(Path(folder))
        saved = time.perf_counter()
        Dataset.load(Path(folder))
        loaded = time.perf_counter()
    clips = sum(len(split) for split in dataset.splits.values())
    print(
        f"{data.kind}: {clips:,} clips, made in {wall:.1f} s ({cpu:.1f} CPU s),"
        f" saved in {saved - started:.2f} s, loaded in {1e3 * (loaded - saved):.1f} ms"
    )


if __name__ == "__main__":
    measure(SyntheticData(kind="synthetic", keywords=KEYWORDS))
    if sys.argv[1:]:
        test = sys.argv[2] if sys.argv[2:] else None
        measure(
            SpeechCommandsData(
                kind="speech-commands", keywords=KEYWORDS, source=sys.argv[1], test_source=test
            )
        )
