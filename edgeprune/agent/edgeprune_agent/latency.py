"""Wall times to the percentiles that reports show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["percentiles"]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Median and tail of wall times, in milliseconds.

    Args:
        seconds: at least one.
    """
    values = np.percentile(seconds, [50, 95, 99, 100]) * 1000
    return {
        name: round(float(value), 4) for name, value in zip(("p50", "p95", "p99", "max"), values)
    }
