"""What a device tells of itself, in folders made for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeprune.agent.edgeprune_agent import instructions, machine
from edgeprune.agent.edgeprune_agent.instructions import InstructionCounter
from edgeprune.agent.edgeprune_agent.latency import percentiles


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_pi_tells_governor_clock_and_temperature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cpu, clock in ((0, 600_000), (1, 1_500_000)):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        _write(folder / "scaling_governor", "ondemand\n")
        _write(folder / "scaling_cur_freq", f"{clock}\n")
    _write(tmp_path / "sys/class/thermal/thermal_zone0/temp", "51234\n")
    _write(tmp_path / "sys/class/thermal/thermal_zone1/temp", "nothing\n")
    _write(tmp_path / "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    _write(tmp_path / "bin/vcgencmd", "#!/bin/sh\necho throttled=0x50005\n")
    (tmp_path / "bin/vcgencmd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    found = machine.conditions(tmp_path)
    assert (found["governor"], found["clock_mhz"], found["temperature_c"]) == (
        "ondemand",
        1500,
        51.2,
    )
    assert found["throttled"] == [
        "under-voltage",
        "throttled",
        "under-voltage has occurred",
        "throttling has occurred",
    ]
    assert machine.description(tmp_path)["model"] == "Raspberry Pi 4 Model B Rev 1.4"


@pytest.mark.parametrize("script", ["exit 1; echo throttled=0x0", "echo garbage", None])
def test_what_a_device_does_not_tell_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    if script is not None:
        _write(tmp_path / "bin/vcgencmd", f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin/vcgencmd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    found = machine.conditions(tmp_path)
    assert [found[name] for name in ("governor", "clock_mhz", "temperature_c", "throttled")] == [
        None
    ] * 4


def test_peak_memory_is_this_process_alone() -> None:
    """A small child of a large parent: the kernel's ru_maxrss would have the parent's."""
    ballast = bytearray(b"x" * 200_000_000)
    folder = Path(machine.__file__).parents[1]
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        "from edgeprune_agent import machine\n"
        "print(machine.peak_rss_bytes())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert 1_000_000 < int(done.stdout) < len(ballast) / 2


def test_percentiles_are_in_milliseconds() -> None:
    found = percentiles([each / 1000 for each in range(101)])
    assert found == {"p50": 50, "p95": 95, "p99": 99, "max": 100}


def test_an_architecture_without_a_known_system_call_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(instructions.platform, "machine", lambda: "riscv64")
    with InstructionCounter() as counter:
        assert counter.read() is None
        assert counter.reason == "no system call is known for riscv64"


def test_instructions_are_counted_or_the_reason_is_told() -> None:
    with InstructionCounter() as counter:
        first = counter.read()
        if first is None:
            assert counter.reason.startswith("perf_event_open: ")
            return
        sum(range(10_000))
        second = counter.read()
        assert second is not None
        assert second - first > 10_000
