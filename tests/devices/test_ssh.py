"""A device over SSH: a real agent on a folder, one that is told what to say, and a real server."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest
from invoke.exceptions import Exit
from rich.console import Console

from edgeprune.budgets import Status
from edgeprune.bundle import Bundle
from edgeprune.codegen.manifest import Manifest
from edgeprune.devices import BatchSession, SshDevice, make_device, run_clips
from edgeprune.devices.ssh import Expected
from edgeprune.errors import (
    ConnectionLost,
    DeclarationError,
    DeviceError,
    EdgepruneError,
    IdentityError,
    RemoteProcessError,
)
from edgeprune.evaluation.measurement import LinuxRun
from edgeprune.model_pipeline import ModelPipeline
from edgeprune.pipeline import Pipeline
from edgeprune.progress import SilentProgress
from edgeprune.reference import report_schema
from edgeprune.remote.base import Completed
from edgeprune.remote.fake import FakeRemote
from edgeprune.reports import Report, junit, markdown, show
from edgeprune.ssh_target import Ssh
from edgeprune.store import Store
from edgeprune.target import Target
from edgeprune.tasks import way
from tests.devices.tiny_release import (
    CLIPS,
    Workbench,
    model,
    place,
    runtime_here,
    ssh_target,
)
from tests.models import tiny
from tests.remote.sshd import start_sshd

AGENT = ("python3", "-I", "edgeprune/current/agent/run.py")
LITERT = metadata.version("ai-edge-litert")
DEPLOY = "invoke deploy --recipe tiny --target pi --set target.ssh.host=kitchen"


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("bench") / "own", model())


@pytest.fixture(scope="session")
def bundle(bench: Workbench) -> Bundle:
    return bench.bundle(ssh_target(), runtime_here(bench.root / "native", "native"))


@pytest.fixture
def home(tmp_path: Path, bundle: Bundle) -> Path:
    """A home folder that the release is deployed to."""
    place(bundle, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def python_with_numpy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The device's ``python3`` is this one: the bundles here come without wheels."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "python3"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@dataclass
class Told:
    """A device whose agent says what the test wants.

    Attributes:
        home: its home folder.
        answers: command to its last line.
        scores: what ``eval`` writes.
        codes: command to exit code.
        before: what is printed before each answer.
        remotes: every connection.
    """

    home: Path
    answers: dict[str, Any]
    scores: bytes
    codes: dict[str, int] = field(default_factory=dict)
    before: str = ""
    remotes: list[FakeRemote] = field(default_factory=list)

    def reach(self, ssh: Ssh, *, target: str) -> FakeRemote:
        remote = FakeRemote(self.home)
        remote.answer_with(*AGENT, function=self._answer)
        self.remotes.append(remote)
        return remote

    def _answer(self, command: tuple[str, ...], stdin: bytes) -> Completed:
        name = command[3]
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        if name == "eval":
            (self.home / command[command.index("--scores") + 1]).write_bytes(self.scores)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        content = f"{self.before}{text}\n".encode()
        return Completed(command, self.codes.get(name, 0), content, b"")

    def change(self, name: str, **values: Any) -> None:
        self.answers[name] = {**self.answers[name], **values}

    def asked(self, name: str) -> list[tuple[str, ...]]:
        return [
            call.arguments
            for remote in self.remotes
            for call in remote.calls
            if call.method == "lines" and call.arguments[3] == name
        ]


CONDITIONS = {
    "governor": "ondemand",
    "clock_mhz": 1500.0,
    "temperature_c": 48.5,
    "throttled": [],
    "load": [0.5, 0.25, 0.0],
}
RUN = {
    "runtime": "native",
    "runtime_version": "libedgeprune_model.so",
    "resolver": None,
    "arithmetic": "native",
    "threads": 1,
    "passed_over": {},
    "device": {
        "machine": "aarch64",
        "model": "Raspberry Pi 4 Model B",
        "cpus": 4,
        "kernel": "6.6",
        "python": "3.11.2",
    },
    "before": CONDITIONS,
    "after": {**CONDITIONS, "temperature_c": 55.0, "throttled": ["frequency capped"]},
    "cpu_share": 0.99,
    "peak_rss_bytes": 40 << 20,
}
TIMES = {"p50": 2.0, "p95": 3.0, "p99": 4.0, "max": 9.0}


@pytest.fixture
def told(home: Path, bundle: Bundle, bench: Workbench) -> Told:
    """One that says what is right."""
    run = {**RUN, "release": bundle.release}
    pipeline = bench.pipeline(ssh_target())
    return Told(
        home,
        {
            "bench": {
                **run,
                "kind": "bench",
                "warm_up": 30,
                "iterations": 300,
                "latency_ms": TIMES,
                "frame_ms": TIMES,
                "inference_ms": TIMES,
                "frame_instructions": 40_000,
                "inference_instructions": 960_000,
                "instructions_reason": "",
            },
            "eval": {
                **run,
                "kind": "eval",
                "clips": CLIPS,
                "labels": list(tiny.LABELS),
                "wall_s": 1.5,
                "inference_ms": TIMES,
                "features_ms": TIMES,
            },
        },
        np.load(pipeline.foretold("native").path / "scores.npy").tobytes(),
    )


def pipeline_of(bench: Workbench, target: Target, reach: Any) -> Pipeline:
    pipeline = bench.pipeline(target)
    pipeline.reach = reach
    return pipeline


def linux(report: Report) -> LinuxRun:
    assert report.pruned.linux is not None
    return report.pruned.linux


def on(home: Path) -> Callable[..., FakeRemote]:
    """Reach a device where everything really runs."""
    return lambda ssh, *, target: FakeRemote(home)


# The real agent ---------------------------------------------------------------------------------


def test_every_test_clip_runs_on_the_device(bench: Workbench, bundle: Bundle, home: Path) -> None:
    report = pipeline_of(bench, ssh_target(), on(home)).report()
    assert report.passed
    measured, run = report.pruned, linux(report)
    assert measured.accuracy == measured.device_accuracy
    assert measured.device_accuracy is not None
    assert measured.device_accuracy.clips == CLIPS
    assert measured.agreement is not None
    assert (measured.agreement.clips, measured.agreement.identical) == (CLIPS, True)
    assert report.dense is None
    assert (run.release, run.host) == (bundle.release, "pi@fake:22")
    assert run.bundle_bytes == bundle.total_bytes
    assert (run.runtime.name, run.runtime.reason) == ("native", "native is there")
    assert 0 < run.latency_ms.p50 <= run.latency_ms.p95 <= run.latency_ms.p99
    assert run.peak_rss_bytes > 10_000_000
    assert run.instructions is not None or run.instructions_reason
    jsonschema.validate(json.loads(report.to_json()), json.loads(report_schema()))
    assert not list((home / "edgeprune" / "check").iterdir())


@pytest.mark.parametrize(
    ("resolver", "arithmetic"), [("default", "xnnpack"), ("reference", "reference")]
)
def test_litert_gives_the_bits_of_the_same_resolver_here(
    bench: Workbench, tmp_path: Path, resolver: str, arithmetic: str
) -> None:
    target = ssh_target(runtime="ai-edge-litert", listen=("--input", "-", "--resolver", resolver))
    runtime = runtime_here(tmp_path / "runtime", "ai-edge-litert")
    place(bench.bundle(target, runtime), tmp_path / "home")
    pipeline = pipeline_of(bench, target, on(tmp_path / "home"))
    report = pipeline.report()
    run = linux(report)
    assert (run.runtime.resolver, run.runtime.arithmetic) == (resolver, arithmetic)
    assert (run.comparison.kind, run.comparison.same) == ("bits", CLIPS)
    assert report.pruned.accuracy == report.pruned.device_accuracy
    assert f"resolver {resolver}" in markdown(report)
    here, native = (
        np.load(pipeline.foretold(name).path / "scores.npy") for name in (arithmetic, "native")
    )
    # Were they the same, this would prove nothing about the resolver.
    assert arithmetic == "reference" or (here != native).any()


def test_a_session_is_one_of_any_device(bench: Workbench, home: Path) -> None:
    target = ssh_target()
    pipeline = pipeline_of(bench, target, on(home))
    device = pipeline.device("pruned")
    assert isinstance(device, SshDevice)
    clips = bench.dataset.test.pcm[:3]
    expected = np.load(pipeline.foretold("native").path / "scores.npy")[:3]
    with device.open() as session:
        assert isinstance(session, BatchSession)
        info = session.info()
        assert (info.device, info.core, info.labels) == ("pi", "x86_64", tiny.LABELS)
        assert (info.frames, info.features) == (tiny.FRONTEND.frames, tiny.FRONTEND.features)
        result = session.infer_pcm(clips[0], measure=True, identity=info.frontend_identity)
        np.testing.assert_array_equal(result.scores, expected[0])
        assert result.cost is not None
        assert result.cost.wall_s is not None
        assert result.cost.wall_s > 0
        features = np.zeros((info.frames, info.features), np.int16)
        for refused in (
            lambda: session.frontend_pcm(clips[0]),
            lambda: session.infer_features(features, info.frontend_identity),
            lambda: session.infer_clips(clips[:, 1:]),
            lambda: session.infer_clips(clips[:0]),
            lambda: session.infer_pcm(clips[0].astype(np.int32)),
        ):
            with pytest.raises(DeviceError):
                refused()
        with pytest.raises(IdentityError):
            session.infer_pcm(clips[0], identity="0" * 16)
    results = run_clips(device, clips, identity=info.frontend_identity)
    np.testing.assert_array_equal([result.scores for result in results], expected)


# Views and verdicts -----------------------------------------------------------------------------


def test_the_report_tells_the_circumstances(bench: Workbench, told: Told) -> None:
    report = pipeline_of(bench, ssh_target(), told.reach).report()
    console = Console(width=200, record=True, quiet=False, file=None)
    with console.capture() as captured:
        show(report, console)
    for text in (captured.get(), markdown(report)):
        for part in (
            "accuracy, int8, on the device, 24 clips",
            "· here, the compiled model, 24 clips",
            "latency p95, measured wall time, ms",
            "1,000,000",
            "41,943,040",
            "governor ondemand",
            "temperature 48.5 °C before, 55 °C after",
            "throttling: frequency capped",
            "Raspberry Pi 4 Model B, aarch64",
            "runtime native",
            "compared bit for bit with the compiled model",
            "bits on device and host, 24 clips",
        ):
            assert part in " ".join(text.split()), part
        assert "estimated" not in text
        assert "flash" not in text


def test_what_a_device_measures_is_never_taken_from_the_store(bench: Workbench, told: Told) -> None:
    target = ssh_target(budgets={"latency_ms": 3.0})
    assert pipeline_of(bench, target, told.reach).report().passed
    told.change("bench", latency_ms={**TIMES, "p95": 3.5})
    report = pipeline_of(bench, target, told.reach).report()
    assert linux(report).latency_ms.p95 == 3.5
    assert not report.passed
    assert len(told.asked("bench")) == len(told.asked("eval")) == 2
    with pytest.raises(DeclarationError, match="never stored"):
        bench.pipeline(target).measurement("pruned")


@pytest.mark.parametrize(
    ("budget", "limit", "measured"),
    [
        ("latency_ms", 2.9, 3.0),
        ("instructions", 999_999, 1_000_000),
        ("rss_mib", 39.9, 40.0),
        ("bundle_mib", 0.1, None),
        ("model_kib", 1.0, None),
        ("accuracy", 0.99, None),
    ],
)
def test_a_missed_budget_ends_with_exit_code_1(
    bench: Workbench, told: Told, budget: str, limit: float, measured: float | None
) -> None:
    pipeline = pipeline_of(bench, ssh_target(budgets={budget: limit}), told.reach)
    with pytest.raises(Exit) as caught:
        way._judge(pipeline, profile=False)
    assert caught.value.code == 1
    folder = bench.root / "build" / "pi"
    report = Report.read(folder / "report.json")
    failed = [check for check in report.verdict.checks if check.status is Status.FAIL]
    assert [check.name for check in failed] == [budget]
    assert measured is None or failed[0].measured == measured
    assert failed[0].hint
    assert "profile" not in failed[0].hint
    assert f"{budget}: try" in (folder / "report.md").read_text()
    assert ET.parse(folder / "junit.xml").getroot()[0].get("failures") == "1"


def test_the_accuracy_that_counts_is_the_devices(bench: Workbench, told: Told) -> None:
    """Here the scores are wrong, so that this machine's accuracy is another."""
    labels = bench.dataset.test.labels
    told.scores = np.where(np.arange(4) == labels[:, None], 1, 0).astype(np.int8).tobytes()
    report = pipeline_of(bench, ssh_target(budgets={"accuracy": 1.0}), told.reach).report()
    checks = {check.name: check.status for check in report.verdict.checks}
    assert checks == {"accuracy": Status.PASS, "agreement": Status.FAIL}
    assert report.pruned.accuracy != report.pruned.device_accuracy


def test_instructions_that_are_not_counted_are_told_with_the_reason(
    bench: Workbench, told: Told
) -> None:
    reason = "perf_event_open: Permission denied"
    told.change(
        "bench", frame_instructions=None, inference_instructions=None, instructions_reason=reason
    )
    report = pipeline_of(bench, ssh_target(), told.reach).report()
    assert report.passed
    assert f"instructions were not counted: {reason}" in report.notes
    target = ssh_target(budgets={"instructions": 1_000_000})
    report = pipeline_of(bench, target, told.reach).report()
    check = report.verdict.checks[0]
    assert check.status is Status.NOT_MEASURED
    assert check.hint is not None
    assert reason in check.hint
    assert 'errors="1"' in junit(report)


def test_bits_that_differ_name_the_first_clip(bench: Workbench, told: Told) -> None:
    scores = np.frombuffer(told.scores, np.int8).reshape(CLIPS, -1).copy()
    scores[[5, 9], 2] ^= 1
    told.scores = scores.tobytes()
    with pytest.raises(Exit) as caught:
        way._judge(pipeline_of(bench, ssh_target(), told.reach), profile=False)
    assert caught.value.code == 1
    report = Report.read(bench.root / "build" / "pi" / "report.json")
    (check,) = report.verdict.checks
    assert (check.name, check.status) == ("agreement", Status.FAIL)
    assert check.hint is not None
    assert check.hint.startswith("2 of 24 clips, first clip5: [")
    assert "invoke deploy again" in check.hint


@pytest.mark.parametrize(
    ("arithmetic", "version", "machine", "why"),
    [
        ("no-delegates", LITERT, platform.machine(), "on every architecture"),
        ("xnnpack", "1.0", platform.machine(), "the device has LiteRT 1.0"),
        ("xnnpack", LITERT, "mips", "on mips than on"),
    ],
)
def test_other_kernels_are_compared_by_their_decisions(
    bench: Workbench, told: Told, arithmetic: str, version: str, machine: str, why: str
) -> None:
    told.change(
        "eval",
        runtime="ai-edge-litert",
        runtime_version=version,
        arithmetic=arithmetic,
        device={**told.answers["eval"]["device"], "machine": machine},
    )
    pipeline = pipeline_of(bench, ssh_target(), told.reach)
    here = np.load(pipeline.foretold("xnnpack").path / "scores.npy")

    def decided(wrong: int) -> Report:
        """Other bits everywhere, and other decisions for some clips."""
        scores = np.full_like(here, -128)
        scores[np.arange(CLIPS), np.argmax(here, axis=1)] = 100
        scores[:wrong] = np.roll(scores[:wrong], 1, axis=1)
        told.scores = scores.tobytes()
        return pipeline.report()

    report = decided(1)
    assert report.passed
    assert report.pruned.agreement is None
    assert (linux(report).comparison.kind, linux(report).comparison.same) == ("decisions", 23)
    text = markdown(report)
    assert "| decisions on device and host, 24 clips | 23 are the same | ≥ 95 % | pass |" in text
    assert "decisions, not bits, are compared" in text
    assert why in text
    assert "0 of 24 clips have the same bits" in text
    (check,) = decided(2).verdict.checks
    assert (check.name, check.status) == ("decisions", Status.FAIL)
    assert check.hint is not None
    assert "first clip0" in check.hint


def test_a_runtime_that_was_passed_over_is_told(bench: Workbench, told: Told) -> None:
    why = {"ai-edge-litert": "crashes with SIGILL"}
    told.change("eval", passed_over=why)
    report = pipeline_of(bench, ssh_target(), told.reach).report()
    assert linux(report).runtime.passed_over == why
    assert "ai-edge-litert was passed over: crashes with SIGILL" in markdown(report)


def test_the_report_says_that_the_dense_network_is_not_there(bench: Workbench, told: Told) -> None:
    pipeline = pipeline_of(bench, ssh_target(), told.reach)
    pipeline.recipe = tiny.recipe()
    pipeline._made["pruned"] = pipeline._made["trained"]
    report = pipeline.report()
    assert report.dense is None
    assert any("the dense network is not deployed" in note for note in report.notes)
    assert not any("levels" in note for note in report.notes)


# What is not there, or not right ----------------------------------------------------------------


def refused(bench: Workbench, told: Told, **ssh: Any) -> EdgepruneError:
    """The error of a check; every connection is closed, and nothing stays there."""
    pipeline = pipeline_of(bench, ssh_target(**ssh), told.reach)
    with pytest.raises(EdgepruneError) as caught:
        pipeline.report()
    assert all(remote.closed for remote in told.remotes)
    return caught.value


def left_behind(told: Told) -> list[Path]:
    folder = told.home / "edgeprune" / "check"
    return list(folder.iterdir()) if folder.exists() else []


def test_nothing_is_deployed(bench: Workbench, told: Told) -> None:
    (told.home / "edgeprune" / "current").unlink()
    error = refused(bench, told)
    assert type(error) is DeviceError
    assert "nothing is deployed" in error.message
    assert (error.where, error.hint) == ("pi@fake:22", DEPLOY)


def test_another_network_is_deployed(bench: Workbench, told: Told, bundle: Bundle) -> None:
    manifest = told.home / "edgeprune" / "current" / "manifest.json"
    manifest.write_text(json.dumps({**bundle.manifest, "model_identity": "ab" * 8}))
    error = refused(bench, told)
    assert isinstance(error, IdentityError)
    assert error.message.startswith(f"release {bundle.release} of recipe tiny is deployed, with")
    assert f"model {'ab' * 8}" in error.message
    assert error.hint == DEPLOY
    assert not told.asked("eval")


@pytest.mark.parametrize("what", ["frontend_identity", "labels"])
def test_another_front_end_or_other_labels(
    bench: Workbench, told: Told, bundle: Bundle, what: str
) -> None:
    program = Manifest.read(bench.pipeline(ssh_target()).program("pruned").path)
    assert program.frontend_identity is not None
    right = Expected(program.frontend_identity, program.identity, tiny.LABELS)
    wrong = replace(right, **{what: "f" * 16 if what == "frontend_identity" else ("a", "b")})
    ssh = ssh_target().ssh_table()
    SshDevice("pi", "x86_64", ssh, right, told.reach).open().close()
    with pytest.raises(IdentityError, match="front-end" if "front" in what else "labels"):
        SshDevice("pi", "x86_64", ssh, wrong, told.reach).open()
    assert told.remotes[-1].closed


def test_somebody_deploys_meanwhile(bench: Workbench, told: Told) -> None:
    told.change("eval", release="20990101T000000Z-00000000")
    error = refused(bench, told)
    assert isinstance(error, IdentityError)
    assert "20990101T000000Z-00000000 answers" in error.message
    assert error.hint == "somebody deployed meanwhile; invoke check again"
    assert not left_behind(told)


def test_a_profile_is_refused_before_anything_is_measured(bench: Workbench, told: Told) -> None:
    pipeline = pipeline_of(bench, ssh_target(), told.reach)
    with pytest.raises(DeclarationError, match="'ssh' has no image to profile"):
        way._judge(pipeline, profile=True)
    assert not told.remotes


@pytest.mark.parametrize("command", ["bench", "eval"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("", "gave no answer"),
        ("Segmentation fault", "its last line: 'Segmentation fault'"),
        ('{"kind": "eval"', "gave no answer"),
        ("[1, 2]", "gave no answer"),
        ("{}", "gave no answer"),
        ({"kind": None}, "Field required"),
        ({"peak_rss_bytes": "much"}, "peak_rss_bytes: Input should be a valid integer"),
        ({"inference_ms": {**TIMES, "p50": float("nan")}}, "inference_ms.p50"),
        ({"peak_rss_bytes": 10**400}, "peak_rss_bytes: Input should be"),
        ({"arithmetic": "analog"}, "arithmetic: Input should be"),
        ({"before": 3}, "before"),
        ({"after": {**CONDITIONS, "temperature_c": float("inf")}}, "after.temperature_c"),
    ],
)
def test_what_the_agent_says_is_not_believed_blindly(
    bench: Workbench, told: Told, command: str, answer: str | dict[str, Any], says: str
) -> None:
    if isinstance(answer, str):
        told.answers[command] = answer
    elif answer == {"kind": None}:
        told.answers[command] = {"kind": command}
    else:
        told.change(command, **answer)
    error = refused(bench, told)
    assert type(error) is DeviceError
    assert says in error.message
    assert error.where == "pi@fake:22"
    assert not left_behind(told)


def test_scores_that_are_not_of_these_clips(bench: Workbench, told: Told) -> None:
    told.scores = told.scores[:-1]
    assert f"wrote {4 * CLIPS - 1} scores" in refused(bench, told).message
    told.change("eval", clips=3)
    assert "ran 3 clips" in refused(bench, told).message
    told.change("eval", clips=CLIPS, labels=["a"])
    assert "for the labels a" in refused(bench, told).message
    assert not left_behind(told)


def test_damaged_files_of_the_release(bench: Workbench, told: Told) -> None:
    current = told.home / "edgeprune" / "current"
    for name in ("labels.json", "frontend.json", "manifest.json"):
        (current / name).write_text('{"release": 3}')
        error = refused(bench, told)
        assert type(error) is DeviceError
        assert name in error.message


def test_the_agents_own_error_is_passed_on(bench: Workbench, told: Told) -> None:
    told.codes["eval"] = 2
    told.answers["eval"] = {
        "kind": "error",
        "error": "GoldenMismatch",
        "message": "answers \x1b[31mwrongly",
        "hint": "try another runtime",
    }
    error = refused(bench, told)
    assert type(error) is DeviceError
    assert error.message == "the agent's eval failed: GoldenMismatch: answers \ufffd[31mwrongly"
    assert error.hint == "try another runtime"
    told.answers["eval"] = "Traceback"
    assert isinstance(refused(bench, told), RemoteProcessError)
    assert not left_behind(told)


def test_the_device_dies_in_the_middle(bench: Workbench, told: Told) -> None:
    told.answers["eval"] = ConnectionLost("the connection broke", where="pi@fake:22")
    error = refused(bench, told)
    assert type(error) is ConnectionLost


@pytest.mark.parametrize("call", range(12))
def test_a_connection_that_breaks_at_any_step_is_said(
    bench: Workbench, told: Told, call: int
) -> None:
    def reach(ssh: Ssh, *, target: str) -> FakeRemote:
        remote = told.reach(ssh, target=target)
        remote.cut_at_call = call
        return remote

    pipeline = pipeline_of(bench, ssh_target(), reach)
    calls = ["read"] * 3 + ["lines"] + ["run"] * 3 + ["put", "lines", "read", "run"]
    if call >= len(calls) - 1:  # all is there; only removing the clips fails
        assert pipeline.report().passed
    else:
        with pytest.raises(ConnectionLost):
            pipeline.report()
    (remote,) = told.remotes
    assert remote.closed
    assert [each.method for each in remote.calls][: call + 1] == calls[: call + 1]


def test_a_disk_that_is_full(bench: Workbench, told: Told) -> None:
    def reach(ssh: Ssh, *, target: str) -> FakeRemote:
        remote = told.reach(ssh, target=target)
        remote.disk_bytes = 1000
        return remote

    with pytest.raises(EdgepruneError, match="disk is full"):
        pipeline_of(bench, ssh_target(), reach).report()
    assert not left_behind(told)


def test_a_greeting_and_control_characters_do_no_harm(bench: Workbench, told: Told) -> None:
    told.before = 'Welcome!\n{"kind": "progress", "done": 8}\n{"kind": "progress"}\n'
    told.before += '{"kind": "progress", "done": 1%s}\n' % ("0" * 400)
    told.change("eval", device={**RUN["device"], "model": "Pi\x1b]0;owned\x07" + "x" * 5000})
    report = pipeline_of(bench, ssh_target(), told.reach).report()
    assert report.passed
    assert "\x1b" not in report.to_json() + markdown(report)
    assert len(linux(report).machine.model or "") < 1100


def test_the_agent_runs_what_the_service_runs(bench: Workbench, told: Told) -> None:
    listen = ("--input", "-", "--resolver=reference", "--threads", "2", "--mqtt", "broker")
    pipeline_of(bench, ssh_target(listen=listen), told.reach).report()
    for name in ("bench", "eval"):
        (command,) = told.asked(name)
        assert command[:8] == (*AGENT, name, "--resolver", "reference", "--threads", "2")
    told.remotes.clear()
    pipeline_of(bench, ssh_target(listen=("--runtime", "native")), told.reach).report()
    assert told.asked("bench")[0][4:6] == ("--runtime", "native")
    error = refused(bench, told, listen=("--loud",))
    assert isinstance(error, DeclarationError)
    assert error.where == "ssh.listen"


def test_folders_of_old_checks_are_removed_and_new_ones_stay(told: Told) -> None:
    folder = told.home / "edgeprune" / "check"
    for name in ("old", "new"):
        (folder / name).mkdir(parents=True)
        (folder / name / "clips.s16").write_bytes(b"12")
    os.utime(folder / "old", (0, 0))
    clips = np.zeros((CLIPS, tiny.FRONTEND.clip_samples), np.int16)
    with SshDevice("pi", "x86_64", ssh_target().ssh_table(), None, told.reach).open() as session:
        session.evaluate(clips)
        assert len(left_behind(told)) == 2
    assert [path.name for path in left_behind(told)] == ["new"]


# Where it is asked for --------------------------------------------------------------------------


def test_ship_deploys_before_it_checks(
    bench: Workbench, told: Told, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told.home / "edgeprune" / "current").unlink()
    pipeline = pipeline_of(bench, ssh_target(), told.reach)
    monkeypatch.setattr(way, "_open", lambda *arguments: pipeline)

    def deploy(which: Pipeline) -> None:
        assert which is pipeline
        place(bundle, told.home)

    monkeypatch.setattr(way, "_deploy", deploy)
    way.ship.body(None, target="pi")
    assert len(told.asked("eval")) == 1


def test_a_model_file_is_not_checked_over_ssh(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(model())
    pipeline = ModelPipeline(
        model=tmp_path / "model.tflite",
        target=ssh_target(),
        build=tmp_path / "build",
        store=Store(tmp_path / "store"),
        progress=SilentProgress(),
        say=lambda line: None,
    )
    with pytest.raises(DeclarationError, match="without the front-end that a bundle needs"):
        pipeline.report()


def test_the_device_of_a_target() -> None:
    device = make_device(ssh_target())
    assert isinstance(device, SshDevice)
    assert (device.name, device.core, device.ssh.host) == ("pi", "x86_64", "kitchen")
    assert device.deploy == "invoke deploy --target pi --set target.ssh.host=kitchen"


# A real server ----------------------------------------------------------------------------------

#: An agent without numpy, which answers with what lies beside it.
STUB = """\
import pathlib, sys, time
here = pathlib.Path(__file__).parent
name = sys.argv[1]
if name == "eval":
    print('{"kind": "progress", "done": 1, "total": 24}', flush=True)
    (pathlib.Path.home() / "began").touch()
    while (pathlib.Path.home() / "hang").exists():
        time.sleep(0.05)
    scores = pathlib.Path(sys.argv[sys.argv.index("--scores") + 1])
    clips = pathlib.Path(sys.argv[sys.argv.index("--clips") + 1])
    assert clips.stat().st_size == 2 * 24 * int(sys.argv[sys.argv.index("--clip-samples") + 1])
    scores.write_bytes((here / "scores").read_bytes())
print((here / name).read_text())
"""


@pytest.fixture
def served(told: Told, tmp_path: Path) -> Iterator[tuple[Any, Ssh]]:
    """A private SSH server with the release, whose agent is a stub."""
    server = start_sshd(tmp_path / "sshd")
    shutil.copytree(told.home / "edgeprune", server.home / "edgeprune", symlinks=True)
    agent = server.home / "edgeprune" / "current" / "agent"
    (agent / "run.py").write_text(STUB)
    (agent / "scores").write_bytes(told.scores)
    for name in ("bench", "eval"):
        (agent / name).write_text(json.dumps(told.answers[name]))
    for path in [server.home, *server.home.rglob("*")]:
        if "full" not in path.parts:
            shutil.chown(path, 29_001, 29_001)
    ssh = server.table(listen=("--input", "-"), root="edgeprune")
    yield server, ssh
    server.stop()


def test_over_a_real_server(bench: Workbench, served: tuple[Any, Ssh]) -> None:
    server, ssh = served
    target = ssh_target().model_copy(update={"ssh": ssh})
    report = bench.pipeline(target).report()
    assert report.passed
    assert linux(report).host == f"pi@127.0.0.1:{ssh.port}"
    assert not list((server.home / "edgeprune" / "check").iterdir())


def test_a_real_connection_that_breaks_in_the_middle(
    bench: Workbench, served: tuple[Any, Ssh]
) -> None:
    server, ssh = served
    (server.home / "hang").touch()

    def cut() -> None:
        deadline = time.monotonic() + 20
        while not (server.home / "began").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        server.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    target = ssh_target().model_copy(update={"ssh": ssh})
    with pytest.raises(ConnectionLost):
        bench.pipeline(target).report()
    thread.join()
    # What it left behind is in nobody's way.
    assert len(list((server.home / "edgeprune" / "check").iterdir())) == 1
    (server.home / "hang").unlink()
    assert bench.pipeline(target).report().passed
