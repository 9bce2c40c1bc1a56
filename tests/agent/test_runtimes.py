"""Bits are those of the same arithmetic on the host; what can't run is found out, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent.bundle import open_bundle
from edgeprune.agent.edgeprune_agent.engine import open_engine
from edgeprune.agent.edgeprune_agent.errors import (
    BundleError,
    GoldenMismatch,
    RuntimeUnavailable,
)
from edgeprune.agent.edgeprune_agent.probe import survives
from tests.agent.conftest import Device
from tests.agent.tone_bundle import FRONTEND, Parts, add

IMPORTS_ONLY = """
class OpResolverType:
    AUTO = BUILTIN_REF = BUILTIN_WITHOUT_DEFAULT_DELEGATES = 0

def Interpreter(**options):
    raise SystemError("numpy 2 is not what this was built for")
"""
#: tflite-runtime as far as it matters: it has the reference's bits in every mode.
OLD_RUNTIME = """
from ai_edge_litert import interpreter

class OpResolverType:
    AUTO = BUILTIN_REF = interpreter.OpResolverType.BUILTIN_REF

Interpreter = interpreter.Interpreter
"""
CRASHES = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
OTHER_LIBC = "raise ImportError('libc.so.6: version `GLIBC_2.38 not found')\n"
FAKE = "site/ai_edge_litert/interpreter.py"
PACKAGE = {"site/ai_edge_litert/__init__.py": ""}


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    rng = np.random.default_rng(6)
    return rng.normal(0, 1, (24, FRONTEND.clip_samples)).astype(np.float64) * 3000


@pytest.mark.parametrize(("resolver", "kind"), [("default", "AUTO"), ("reference", "BUILTIN_REF")])
def test_an_interpreter_gives_the_bits_of_the_same_resolver(
    noisy: Parts, tmp_path: Path, clips: np.ndarray, resolver: str, kind: str
) -> None:
    noisy.write(tmp_path)
    pcm = clips.astype(np.int16)
    engine = open_engine(open_bundle(tmp_path, ()), runtime="ai-edge-litert", resolver=resolver)
    scores = np.array([engine.runtime.infer(each) for each in engine.frontend.inputs(pcm)])
    assert engine.golden.exact
    assert np.array_equal(scores, noisy.interpreted(pcm, kind))
    other = "BUILTIN_REF" if kind == "AUTO" else "AUTO"
    assert not np.array_equal(scores, noisy.interpreted(pcm, other)), "proves nothing"


def test_the_compiled_model_gives_the_bits_of_the_host(
    noisy: Parts, tmp_path: Path, clips: np.ndarray
) -> None:
    noisy.write(tmp_path)
    pcm = clips.astype(np.int16)
    engine = open_engine(open_bundle(tmp_path, ()), runtime="native")
    scores = np.array([engine.runtime.infer(each) for each in engine.frontend.inputs(pcm)])
    assert np.array_equal(scores, noisy.program.infer_pcm(pcm))
    assert (engine.runtime.arithmetic, engine.runtime.resolver) == ("native", None)


def test_a_wrong_golden_answer_is_found_out(fresh: Path) -> None:
    name = "golden/scores.xnnpack.i8"
    scores = bytearray((fresh / name).read_bytes())
    scores[0] ^= 1
    add(fresh, {name: bytes(scores)})
    with pytest.raises(GoldenMismatch, match="answers the golden clip with"):
        open_engine(open_bundle(fresh, ()), runtime="ai-edge-litert")
    engine = open_engine(open_bundle(fresh, ()), runtime="native")
    assert engine.golden.exact


def test_arithmetic_without_its_own_scores_must_decide_alike(fresh: Path) -> None:
    scores = np.frombuffer((fresh / "golden/scores.i8").read_bytes(), np.int8)
    near, far = scores.copy(), np.roll(scores, 1)
    near[0] += 3
    add(fresh, {"golden/scores.xnnpack.i8": None, "golden/scores.i8": near.tobytes()})
    engine = open_engine(open_bundle(fresh, ()), runtime="ai-edge-litert")
    assert (engine.golden.exact, engine.golden.largest_difference) == (False, 3)
    with pytest.raises(GoldenMismatch):
        open_engine(open_bundle(fresh, ()), runtime="ai-edge-litert", resolver="reference")
    add(fresh, {"golden/scores.i8": far.tobytes()})
    with pytest.raises(GoldenMismatch):
        open_engine(open_bundle(fresh, ()), runtime="ai-edge-litert")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            IMPORTS_ONLY,
            "can be imported, but can't construct an interpreter: SystemError: numpy 2 is not",
        ),
        (CRASHES, "crashes with SIGILL"),
        (OTHER_LIBC, "can't be imported: ImportError: libc.so.6"),
    ],
)
def test_a_runtime_that_does_not_work_is_passed_over_with_its_reason(
    fresh: Path, device: Device, content: str, reason: str
) -> None:
    add(fresh, {**PACKAGE, FAKE: content})
    answer = device.run(fresh, "health")
    assert answer.code == 0, answer
    assert answer.last["healthy"]
    assert answer.last["runtime"] == "native"
    assert reason in answer.last["passed_over"]["ai-edge-litert"]
    assert "tflite-runtime is not installed" in answer.last["passed_over"]["tflite-runtime"]


def test_tflite_runtime_has_the_bits_of_the_reference(
    noisy: Parts, tmp_path: Path, device: Device
) -> None:
    folder = tmp_path / "bundle"
    noisy.write(folder)
    name = "site/tflite_runtime"
    # No decision, but the reference's bits alone satisfy these scores.
    files = {f"{name}/__init__.py": "", f"{name}/interpreter.py": OLD_RUNTIME}
    add(folder, {**files, "golden/scores.xnnpack.i8": bytes(3)})
    answer = device.run(folder, "health", "--runtime", "tflite-runtime")
    assert answer.code == 0, answer
    assert (answer.last["arithmetic"], answer.last["resolver"]) == ("reference", "default")
    assert answer.last["golden"]["expected"] == "golden/scores.i8"
    assert answer.last["golden"]["exact"]


def test_a_runtime_that_was_asked_for_is_not_replaced(fresh: Path, device: Device) -> None:
    add(fresh, {**PACKAGE, FAKE: IMPORTS_ONLY})
    answer = device.run(fresh, "health", "--runtime", "ai-edge-litert")
    assert (answer.code, answer.last["error"]) == (2, "RuntimeUnavailable")
    assert "SystemError" in answer.last["message"]


def test_without_any_runtime_every_reason_is_told(fresh: Path, device: Device) -> None:
    add(fresh, {**PACKAGE, FAKE: OTHER_LIBC, "lib/libedgeprune_model.so": None})
    answer = device.run(fresh, "health", "--file", "health.json")
    assert (answer.code, answer.last["error"]) == (2, "RuntimeUnavailable")
    for reason in ("libc.so.6", "is not installed", "has no lib/libedgeprune_model.so"):
        assert reason in answer.last["message"]
    assert '"healthy": false' in (device.home / "health.json").read_text()


def test_the_bundle_says_which_runtime(fresh: Path, device: Device) -> None:
    add(fresh, {}, runtime="native")
    assert device.run(fresh, "health").last["runtime"] == "native"
    add(fresh, {}, runtime="other")
    assert device.run(fresh, "health").last["error"] == "BundleError"


def test_a_model_of_another_size_is_refused(fresh: Path) -> None:
    add(fresh, {"labels.json": '["silence", "low"]'})
    with pytest.raises(BundleError, match="its output is int8 with 3 values; int8 with 2"):
        open_engine(open_bundle(fresh, ()), runtime="ai-edge-litert")
    add(fresh, {"labels.json": "{}"})
    with pytest.raises(BundleError, match="is no list of labels"):
        open_engine(open_bundle(fresh, ()), runtime="ai-edge-litert")


def test_what_is_no_model_is_refused(fresh: Path) -> None:
    add(fresh, {"model.tflite": b"no model", "lib/libedgeprune_model.so": b"no library"})
    with pytest.raises(RuntimeUnavailable, match="can't construct an interpreter"):
        open_engine(open_bundle(fresh, ()), runtime="ai-edge-litert")
    with pytest.raises(RuntimeUnavailable, match="can't be loaded"):
        open_engine(open_bundle(fresh, ()), runtime="native")


def test_logits_become_posteriors(bundle: Path, fresh: Path) -> None:
    scores = np.array([-128, 127, 0], np.int8)
    softmax = open_engine(open_bundle(bundle, ()), runtime="native")
    assert softmax.posteriors(scores).tolist() == [0, 255 / 256, 0.5]
    text = (fresh / "frontend.json").read_text()
    logits = text[:-1] + ', "output": {"scale": 0.5, "zero_point": 0}}'
    add(fresh, {"frontend.json": logits})
    found = open_engine(open_bundle(fresh, ()), runtime="native").posteriors(scores)
    assert found.sum() == pytest.approx(1)
    assert found[2] / found[0] == pytest.approx(np.exp(64))


def test_what_hangs_is_killed() -> None:
    def hang() -> None:
        while True:
            pass

    assert survives(hang, limit_s=0.2) == "did not answer within 0.2 s"
    assert survives(lambda: None) is None
    assert survives(lambda: 1 // 0) == "ZeroDivisionError: integer division or modulo by zero"
