"""Whole bundles: what lies in them, how they are keyed, and the agent that runs them."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune import stages
from edgeprune.bundle import SIGNATURE, UNIT, Bundle, DeviceFacts
from edgeprune.bundle.signature import make_keys
from edgeprune.codegen import HostProgram, Program
from edgeprune.cores import CORES, CoreName
from edgeprune.datasets.dataset import Split
from edgeprune.errors import BundleError, DeclarationError
from edgeprune.frontend import InputQuantization, sources
from edgeprune.graph import read_graph
from edgeprune.progress import SilentProgress
from edgeprune.ssh_target import Ssh
from edgeprune.stages.bundling import golden_clip
from edgeprune.store import Artifact, Stage, Store
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain
from tests.codegen.reference import Reference
from tests.models import tiny

Describe = Callable[..., Stage]


def target(core: CoreName = "x86_64", **ssh: Any) -> Target:
    table = Ssh(**{"listen": ("--input", "-"), "runtime": "native", **ssh})
    return Target(name="pi", core=core, device="ssh", ssh=table)


def runtime_artifact(folder: Path, name: str = "native", version: str = "") -> Artifact:
    """What the stage ``runtime`` leaves, without any package's real content."""
    (folder / "site" / "thing").mkdir(parents=True)
    (folder / "site" / "thing" / "__init__.py").write_text("VALUE = 3\n")
    summary = {
        "name": name,
        "version": version,
        "reason": "because",
        "packages": {"thing": "1.2"},
        "left_out": [],
    }
    (folder / "runtime.json").write_text(json.dumps(summary))
    return Artifact("runtime", "key of runtime", folder)


@pytest.fixture(scope="session")
def describe(
    artifacts: dict[str, Artifact],
    zig: Toolchain,
    build_cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Describe:
    """The stage of a target's bundle."""

    def make(
        which: Target, *, facts: DeviceFacts | None = None, runtime: Artifact | None = None
    ) -> Stage:
        resolved = runtime or runtime_artifact(tmp_path_factory.mktemp("runtime"))
        return stages.bundle(
            tiny.recipe(),
            which,
            facts or DeviceFacts.expected(which.core),
            artifacts=artifacts | {"runtime": resolved},
            toolchain=zig,
            host_toolchain=zig,
            cache=build_cache,
            progress=SilentProgress(),
        )

    return make


@pytest.fixture(scope="module")
def native(describe: Describe, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """For x86_64, with the compiled model."""
    store = Store(tmp_path_factory.mktemp("store"))
    artifact = store.ensure(describe(target())).artifact
    return Bundle.load(artifact.path / "bundle")


def test_a_bundle_holds_what_the_agent_needs(native: Bundle) -> None:
    names = set(native.files)
    assert {
        "agent/run.py",
        "agent/edgeprune_agent/__init__.py",
        "frontend.json",
        "golden/clip.s16",
        "golden/scores.native.i8",
        "labels.json",
        "lib/libedgeprune_frontend.so",
        "lib/libedgeprune_model.so",
        "model.tflite",
        "site/thing/__init__.py",
        UNIT,
    } <= names
    assert not any("pycache" in name or name.startswith("requirements") for name in names)
    assert native.files["lib/libedgeprune_model.so"].mode == 0o755
    manifest = native.manifest
    assert (manifest["runtime"], manifest["architecture"]) == ("native", "x86_64")
    assert manifest["recipe"] == "tiny"
    assert manifest["python"] == "3.11"
    assert manifest["versions"]["packages"] == {"thing": "1.2"}
    assert json.loads((native.folder / "labels.json").read_text()) == list(tiny.LABELS)


def test_the_front_end_s_numbers_are_the_recipe_s(
    native: Bundle, quantization: InputQuantization
) -> None:
    told = json.loads((native.folder / "frontend.json").read_text())
    spec = tiny.FRONTEND
    for name in ("sample_rate_hz", "clip_samples", "window", "hop", "frames", "features"):
        assert told[name] == getattr(spec, name), name
    assert told["identity"] == native.manifest["frontend_identity"]
    assert tuple(told["input"]["multipliers"]) == quantization.multipliers
    assert tuple(told["input"]["offsets"]) == quantization.offsets
    assert told["input"]["shift"] == quantization.shift
    assert told["output"] == {"scale": 1 / 256, "zero_point": -128}


def test_the_agent_proves_itself_by_the_golden_clip(native: Bundle) -> None:
    """The real agent, in a process of its own, with nothing of edgeprune on its path."""
    if platform.machine() != "x86_64":
        pytest.skip(f"this machine is {platform.machine()}: it runs no bundle for x86_64")
    command = [sys.executable, "-I", str(native.folder / "agent/run.py"), "health"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, answer
    assert answer["healthy"] is True
    assert answer["release"] == native.release
    assert answer["runtime"] == "native"
    assert answer["golden"] == {
        "expected": "golden/scores.native.i8",
        "exact": True,
        "largest_difference": 0,
    }
    Bundle.load(native.folder)  # the agent wrote nothing into it


def test_golden_scores_are_each_arithmetic_s_own(
    describe: Describe,
    tmp_path: Path,
    model: bytes,
    program: Program,
    quantization: InputQuantization,
    zig: Toolchain,
    build_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the native library is there as well, for a package that fails on the device."""
    monkeypatch.setattr("edgeprune.bundle.assemble.litert_version", lambda: "2.3.0")
    monkeypatch.setattr("edgeprune.bundle.assemble.platform.machine", lambda: "x86_64")
    resolved = runtime_artifact(tmp_path / "runtime", "ai-edge-litert", "2.3.0")
    stage = describe(target(runtime="auto"), runtime=resolved)
    bundle = Bundle.load(Store(tmp_path / "store").ensure(stage).artifact.path / "bundle")
    assert bundle.manifest["runtime"] == "auto"
    assert bundle.manifest["runtime_choice"]["name"] == "ai-edge-litert"
    assert "lib/libedgeprune_model.so" in bundle.files
    clip = np.frombuffer((bundle.folder / "golden/clip.s16").read_bytes(), dtype="<i2")
    texts = sources(tiny.FRONTEND) | quantization.sources()
    host = HostProgram.build(program, zig, build_cache, frontend_sources=texts)
    inputs = host.quantize_pcm(clip[np.newaxis].astype(np.int16))

    def scores(name: str) -> np.ndarray:
        return np.frombuffer((bundle.folder / "golden" / name).read_bytes(), dtype=np.int8)

    np.testing.assert_array_equal(scores("scores.native.i8"), host.invoke(inputs)[0])
    graph = read_graph(model)
    reference = Reference(model)
    reference.invoke(inputs.reshape(graph.input.shape))
    expected = reference.tensor(graph.output.index).reshape(-1)
    np.testing.assert_array_equal(scores("scores.i8"), expected)
    assert len(set(expected.tolist())) > 1
    difference = scores("scores.xnnpack.i8").astype(int) - expected
    assert abs(difference).max() <= 27


@pytest.mark.parametrize(("version", "machine"), [("0.0.1", "x86_64"), ("2.3.0", "riscv64")])
def test_another_litert_s_own_bits_are_not_foretold(
    describe: Describe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    machine: str,
) -> None:
    monkeypatch.setattr("edgeprune.bundle.assemble.litert_version", lambda: "2.3.0")
    monkeypatch.setattr("edgeprune.bundle.assemble.platform.machine", lambda: machine)
    resolved = runtime_artifact(tmp_path / "runtime", "ai-edge-litert", version)
    stage = describe(target(runtime="ai-edge-litert"), runtime=resolved)
    bundle = Bundle.load(Store(tmp_path / "store").ensure(stage).artifact.path / "bundle")
    golden = {name for name in bundle.files if name.startswith("golden/")}
    assert golden == {"golden/clip.s16", "golden/scores.i8"}
    assert bundle.manifest["runtime"] == "ai-edge-litert"
    assert "lib/libedgeprune_model.so" not in bundle.files


def test_a_bundle_made_twice_has_the_same_bytes(
    describe: Describe, native: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1740830400")
    stage = describe(target())
    again = Bundle.load(Store(tmp_path).ensure(stage).artifact.path / "bundle")
    assert again.files == native.files
    assert again.release == f"20250301T120000Z-{native.release[-8:]}"


def test_a_signed_bundle(describe: Describe, tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "key")
    which = target(signing_key=str(keys.private))
    folder = Store(tmp_path / "store").ensure(describe(which)).artifact.path / "bundle"
    bundle = Bundle.load(folder)
    assert bundle.signed
    assert len((folder / SIGNATURE).read_bytes()) == 64


def test_a_bundle_s_key_is_all_that_it_is_made_of(describe: Describe, tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "key")
    other = DeviceFacts("x86_64", (3, 13), (2, 41))
    stages_ = [
        describe(target()),
        describe(target(core="aarch64")),
        describe(target(), facts=other),
        describe(target(runtime="auto")),
        describe(target(root="elsewhere")),
        describe(target(listen=("--input", "-", "--mqtt", "broker"))),
        describe(target(signing_key=str(keys.private))),
        describe(target(), runtime=Artifact("runtime", "another key", tmp_path)),
    ]
    assert len({stage.key() for stage in stages_}) == len(stages_)
    assert describe(target()).key() == describe(target(host="another", port=2222)).key()
    inputs = describe(target()).inputs()
    for code in ("agent/run.py", "bundle/manifest.py", "codegen/host.py", "toolchain.py"):
        assert f"code {code}" in inputs


def test_a_device_that_is_not_the_target_s(describe: Describe) -> None:
    with pytest.raises(BundleError, match="armv7l, the target's core is aarch64"):
        describe(target(core="aarch64"), facts=DeviceFacts("armv7l"))
    with pytest.raises(DeclarationError, match="is not reached over SSH"):
        stages.runtime(
            Target(name="host", core="host", device="host"),
            DeviceFacts(CORES["host"].linux),
            SilentProgress(),
        )
    with pytest.raises(BundleError, match="signing key can't be read"):
        describe(target(signing_key="absent.key"))


def test_a_runtime_s_key_is_the_requirement_and_the_tag() -> None:
    def key(facts: DeviceFacts | None = None, **ssh: Any) -> str:
        device = facts or DeviceFacts("x86_64")
        return stages.runtime(target(**ssh), device, SilentProgress()).key()

    different = [
        key(),
        key(runtime="auto"),
        key(listen=("--input", "-", "--mqtt", "b")),
        key(DeviceFacts("x86_64", (3, 12))),
        key(DeviceFacts("x86_64", (3, 11), (2, 31))),
        key(DeviceFacts("x86_64", numpy="1.24.2")),
    ]
    assert len(set(different)) == len(different)
    assert key() == key(root="elsewhere", host="another")


def test_the_golden_clip_is_a_keyword_where_there_is_one() -> None:
    pcm = np.arange(12, dtype=np.int16).reshape(4, 3)

    def clip(*labels: int) -> list[int]:
        split = Split(pcm[: len(labels)], np.array(labels, np.int16), [], [])
        return golden_clip(split, tiny.LABELS).tolist()

    assert clip(0, 1, 3, 2) == [6, 7, 8]
    assert clip(1, 0) == [0, 1, 2]
    with pytest.raises(BundleError, match="no test clip"):
        clip()
