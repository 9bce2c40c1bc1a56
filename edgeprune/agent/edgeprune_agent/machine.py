"""What the device tells of itself: CPU, governor, temperature, throttling, memory, time."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .process import output_of

__all__ = ["CpuShare", "conditions", "description", "now", "peak_rss_bytes"]

#: Bits of ``vcgencmd get_throttled``, as the Raspberry Pi's documentation numbers them.
_THROTTLED = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage has occurred",
    17: "frequency cap has occurred",
    18: "throttling has occurred",
    19: "soft temperature limit has occurred",
}


def description(root: Path = Path("/")) -> dict[str, Any]:
    """What does not change while it runs.

    Args:
        root: where ``sys`` and ``proc`` lie.
    """
    return {
        "machine": platform.machine(),
        "model": _text(root / "proc/device-tree/model"),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def conditions(root: Path = Path("/")) -> dict[str, Any]:
    """What makes a latency repeat or not; null where the device does not tell.

    Args:
        root: where ``sys`` lies.
    """
    cpus = root / "sys/devices/system/cpu"
    governors = {
        text
        for path in sorted(cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"))
        if (text := _text(path)) is not None
    }
    clocks = list(_numbers(cpus, "cpu[0-9]*/cpufreq/scaling_cur_freq"))
    heat = list(_numbers(root / "sys/class/thermal", "thermal_zone*/temp"))
    return {
        "governor": ", ".join(sorted(governors)) or None,
        "clock_mhz": round(max(clocks) / 1000, 1) if clocks else None,
        "temperature_c": round(max(heat) / 1000, 1) if heat else None,
        "throttled": _throttled(),
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def now() -> dict[str, Any]:
    """The time, so that a reader can tell fresh from old: in UTC, and since this boot."""
    return {
        "utc": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "monotonic_s": round(time.monotonic(), 3),
        "boot": _text(Path("/proc/sys/kernel/random/boot_id")),
    }


def peak_rss_bytes() -> int:
    """The most memory that this process had resident."""
    # ru_maxrss starts with what the parent had when it forked; VmHWM does not.
    for line in (_text(Path("/proc/self/status")) or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class CpuShare:
    """CPU time of this process over wall time, 1 being one core, since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def value(self, others_s: float = 0.0) -> float:
        """The share.

        Args:
            others_s: CPU seconds since then of other processes that work for this one.
        """
        wall = time.monotonic() - self._wall
        cpu = time.process_time() - self._cpu + others_s
        return round(cpu / wall, 4) if wall > 0 else 0.0


def _throttled() -> list[str] | None:
    try:
        value = int((output_of(["vcgencmd", "get_throttled"]) or "").partition("=")[2], 16)
    except ValueError:
        return None
    return [meaning for bit, meaning in _THROTTLED.items() if value >> bit & 1]


def _numbers(folder: Path, pattern: str) -> Iterator[int]:
    for path in folder.glob(pattern):
        try:
            yield int(_text(path) or "")
        except ValueError:
            continue


def _text(path: Path) -> str | None:
    """The content of a file of the kernel; none where it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None
