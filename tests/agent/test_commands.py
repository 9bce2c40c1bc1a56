"""The commands, as a deployer starts them on a device."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeprune import agent
from tests.agent.conftest import Device
from tests.agent.tone_bundle import FRONTEND, LABELS, RELEASE, Parts, add, tone


def test_the_program_stands_alone(bundle: Path, device: Device) -> None:
    """Nothing of edgeprune, from another folder, isolated, with other files in the way."""
    (device.home / "numpy.py").write_text("raise SystemExit('shadowed')\n")
    (device.home / "edgeprune.py").write_text("raise SystemExit('shadowed')\n")
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['run.py', 'health', '--runtime', 'native']\n"
        "try:\n"
        f"    runpy.run_path({str(bundle / 'agent' / 'run.py')!r}, run_name='__main__')\n"
        "finally:\n"
        "    names = {name.split('.')[0] for name in sys.modules}\n"
        "    print('modules', *sorted(names), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        cwd=device.home,
        env=device.environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules = set(done.stderr.rpartition("modules ")[2].split())
    assert {"edgeprune_agent", "numpy"} <= modules
    foreign = modules - sys.stdlib_module_names - {"edgeprune_agent", "numpy", "__main__"}
    assert not {name for name in foreign if not name.startswith("_")}
    assert "edgeprune" not in modules


def test_the_program_is_written_for_python_3_9() -> None:
    for name, content in agent.sources().items():
        tree = ast.parse(content, name, feature_version=(3, 9))
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert any(node.module == "__future__" for node in imported), name


def test_python_3_9_runs_it(bundle: Path, device: Device) -> None:
    """What needs no numpy, for a Python of that age seldom has it."""
    program = shutil.which("python3.9")
    if (
        program is None
        or subprocess.run([program, "-c", ""], check=False, stderr=subprocess.DEVNULL).returncode
    ):
        pytest.skip("there is no Python 3.9 here")
    done = subprocess.run(
        [program, *device.command(bundle, "version")[1:]],
        capture_output=True,
        text=True,
        env={**os.environ, **device.environment},
        check=False,
    )
    assert json.loads(done.stdout)["python"].startswith("3.9"), done.stderr


def test_version_verifies_and_tells(fresh: Path, device: Device) -> None:
    add(fresh, {}, recipe="kws", architecture="x86_64", versions={"edgeprune": "1"})
    line = device.run(fresh, "version").last
    assert line["kind"] == "version"
    assert (line["release"], line["recipe"], line["signed_by"]) == (RELEASE, "kws", None)
    assert line["versions"] == {"edgeprune": "1"}


def test_health_is_printed_and_kept(bundle: Path, device: Device) -> None:
    answer = device.run(bundle, "health", "--file", "state/health.json")
    kept = json.loads((device.home / "state" / "health.json").read_text())
    assert answer.code == 0
    assert (kept["healthy"], kept["release"]) == (True, RELEASE)
    assert kept["at"]["monotonic_s"] >= kept["started"]["monotonic_s"]
    assert kept["at"]["boot"]
    assert answer.last["golden"] == {
        "expected": "golden/scores.xnnpack.i8",
        "exact": True,
        "largest_difference": 0,
    }
    assert answer.last["resolver"] == "default"
    assert [path.name for path in (device.home / "state").iterdir()] == ["health.json"]


def test_bench_tells_latency_and_circumstances(bundle: Path, device: Device) -> None:
    answer = device.run(bundle, "bench", "--iterations", 40, "--warm-up", 3, "--threads", 2)
    line = answer.last
    assert answer.code == 0
    assert (line["kind"], line["iterations"], line["threads"]) == ("bench", 40, 2)
    for name in ("latency_ms", "frame_ms", "inference_ms"):
        assert 0 < line[name]["p50"] <= line[name]["p95"] <= line[name]["p99"] <= line[name]["max"]
    assert line["latency_ms"]["p50"] > line["inference_ms"]["p50"]
    assert line["peak_rss_bytes"] > 10_000_000
    assert set(line["before"]) >= {"governor", "temperature_c", "throttled", "clock_mhz"}
    counted = line["inference_instructions"]
    assert counted > 1000 if counted is not None else line["instructions_reason"]


@pytest.mark.parametrize("runtime", ["ai-edge-litert", "native"])
def test_eval_scores_every_clip(parts: Parts, bundle: Path, device: Device, runtime: str) -> None:
    clips = np.stack([tone(hz) for hz in np.linspace(100, 3500, 75)])
    (device.home / "clips.s16").write_bytes(clips.astype("<i2").tobytes())
    answer = device.run(
        bundle, "eval", "--clips", "clips.s16", "--clip-samples", FRONTEND.clip_samples,
        "--scores", "scores.i8", "--runtime", runtime, "--resolver", "reference",
    )  # fmt: skip
    assert answer.code == 0, answer
    scores = np.frombuffer((device.home / "scores.i8").read_bytes(), np.int8).reshape(75, 3)
    native = runtime == "native"
    expected = parts.program.infer_pcm(clips) if native else parts.interpreted(clips, "BUILTIN_REF")
    assert np.array_equal(scores, expected)
    assert len({int(each) for each in scores.argmax(axis=1)}) > 1
    assert answer.of("progress")[-1] == {"kind": "progress", "done": 75, "total": 75}
    line = answer.last
    assert (line["kind"], line["clips"], tuple(line["labels"])) == ("eval", 75, LABELS)
    assert line["resolver"] == (None if native else "reference")
    assert line["inference_ms"]["p50"] > 0


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", (), "no whole number of clips"),
        (bytes(12_801), (), "no whole number of clips"),
        (None, (), "can't be read: No such file"),
        (bytes(12_800), ("--clip-samples", 3200), "hears 6400 samples, not 3200"),
        (bytes(12_800), ("--scores", "/proc/scores"), "can't be written"),
    ],
)
def test_eval_says_what_is_wrong_with_its_files(
    bundle: Path,
    device: Device,
    content: bytes | None,
    arguments: tuple[object, ...],
    message: str,
) -> None:
    if content is not None:
        (device.home / "clips.s16").write_bytes(content)
    answer = device.run(
        bundle, "eval", "--clips", "clips.s16", "--clip-samples", 6400, "--scores", "scores.i8",
        "--runtime", "native", *arguments,
    )  # fmt: skip
    assert (answer.code, answer.last["kind"], answer.last["error"]) == (2, "error", "UsageError")
    assert message in answer.last["message"]
    assert not (device.home / "scores.i8").exists()


@pytest.mark.parametrize(
    "arguments",
    [(), ("dance",), ("bench", "--iterations", "0"), ("eval",), ("health", "--runtime", "tvm")],
)
def test_wrong_arguments_are_a_line_too(
    bundle: Path, device: Device, arguments: tuple[str, ...]
) -> None:
    answer = device.run(bundle, *arguments)
    assert (answer.code, answer.last["error"]) == (2, "UsageError")
    assert "--help" in answer.last["hint"]


def test_a_bug_of_ours_keeps_its_traceback(fresh: Path, device: Device) -> None:
    main = "agent/edgeprune_agent/machine.py"
    text = (fresh / main).read_text() + "\ndef now():\n    return 1 / 0\n"
    add(fresh, {main: text})
    answer = device.run(fresh, "health")
    assert (answer.code, answer.last["error"]) == (1, "ZeroDivisionError")
    assert "Traceback" in answer.stderr


def test_a_reader_that_goes_away_is_no_bug(bundle: Path, device: Device) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        device.command(bundle, "version"),
        stdout=writing,
        stderr=subprocess.PIPE,
        env=device.environment,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, b"")
