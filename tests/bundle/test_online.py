"""Bundles whose packages the device installs by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeprune import stages
from edgeprune.bundle import Bundle, DeviceFacts
from edgeprune.bundle.runtime import Plan, Wanted
from edgeprune.bundle.wheels import PipFailure
from edgeprune.errors import BundleError
from edgeprune.progress import SilentProgress
from edgeprune.ssh_target import Ssh
from edgeprune.store import Artifact, Store
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain
from tests.models import tiny

PI = DeviceFacts("x86_64", (3, 11), (2, 36))


def target(**ssh: object) -> Target:
    table = Ssh.model_validate({"online": True, "listen": ("--input", "-"), **ssh})
    return Target(name="pi", core="x86_64", device="ssh", ssh=table)


@pytest.mark.parametrize("wanted", ["auto", "ai-edge-litert", "native"])
def test_an_online_bundle_brings_a_plan_and_no_packages(
    artifacts: dict[str, Artifact],
    zig: Toolchain,
    build_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: Wanted,
) -> None:
    """Nor the bits of XNNPACK: the version is not known before the device chose it."""
    monkeypatch.setattr("edgeprune.bundle.golden.litert_version", lambda: "2.3.0")
    store, which = Store(tmp_path / "store"), target(runtime=wanted)
    runtime = store.ensure(stages.runtime(which, PI, SilentProgress())).artifact
    stage = stages.bundle(
        tiny.recipe(),
        which,
        PI,
        artifacts=artifacts | {"runtime": runtime},
        toolchain=zig,
        host_toolchain=zig,
        cache=build_cache,
        progress=SilentProgress(),
    )
    bundle = Bundle.load(store.ensure(stage).artifact.path / "bundle")
    assert not any(name.startswith("site") for name in bundle.files)
    plan = Plan.parse(bundle.manifest["packages"])
    assert plan == Plan.of(wanted, PI, litert_here="2.3.0")
    assert bundle.manifest["packages"]["digest"] == plan.digest
    assert bundle.manifest["runtime"] == wanted
    golden = {name for name in bundle.files if name.startswith("golden/scores")}
    expected = {
        "auto": {"golden/scores.i8", "golden/scores.native.i8"},
        "ai-edge-litert": {"golden/scores.i8"},
        "native": {"golden/scores.native.i8"},
    }
    assert golden == expected[wanted]
    assert ("lib/libedgeprune_model.so" in bundle.files) == (wanted != "ai-edge-litert")


def test_a_plan_tries_what_the_offline_way_tries() -> None:
    facts = DeviceFacts("armv7l", (3, 11), (2, 36), numpy="1.24.2")
    plan = Plan.of("auto", facts, litert_here="2.3.0", extras=("paho-mqtt>=1.6,<3",))
    assert [(each.name, each.requirements) for each in plan.candidates] == [
        ("ai-edge-litert", ("ai-edge-litert==2.3.0", "numpy>=1.21,<3")),
        ("ai-edge-litert", ("ai-edge-litert>=1.0,<3", "numpy>=1.21,<3")),
        ("tflite-runtime", ("tflite-runtime>=2.11,<3", "numpy>=1.21,<2")),
        ("tflite-runtime", ("tflite-runtime>=2.11,<3",)),
        ("native", ()),
    ]
    assert Plan.parse({"digest": plan.digest, **plan.json()}) == plan


def test_a_digest_is_all_that_the_packages_depend_on() -> None:
    plans = [
        Plan.of("auto", PI, litert_here="2.3.0"),
        Plan.of("auto", PI, litert_here="2.4.0"),
        Plan.of("native", PI, litert_here="2.3.0"),
        Plan.of("auto", PI, litert_here="2.3.0", extras=("paho-mqtt>=1.6,<3",)),
        Plan.of("auto", DeviceFacts("x86_64", (3, 13), (2, 36)), litert_here="2.3.0"),
        Plan.of("auto", DeviceFacts("aarch64", (3, 11), (2, 36)), litert_here="2.3.0"),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)
    assert Plan.of("auto", PI, litert_here="2.3.0").digest == plans[0].digest


@pytest.mark.parametrize(
    "told", [{}, {"wanted": "auto", "device": "x", "candidates": [{"name": "y"}], "extras": []}]
)
def test_a_plan_that_is_damaged(told: dict[str, object]) -> None:
    with pytest.raises(BundleError, match="plan of its packages is damaged"):
        Plan.parse(told)


def test_the_stages_tell_online_from_offline() -> None:
    keys = {stages.runtime(target(online=online), PI, SilentProgress()).key() for online in (0, 1)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("output", "kind", "said"),
    [
        ("ERROR: No matching distribution found for x\n", "no wheel", "No matching"),
        ("ERROR: ResolutionImpossible: for help\n", "no wheel", "ResolutionImpossible"),
        (
            "WARNING: Retrying (Retry(total=2)) after connection broken by 'NameError'\n"
            "ERROR: No matching distribution found for x\n",
            "no network",
            "No matching",
        ),
        ("/usr/bin/python3: No module named pip\n", "no pip", "No module named pip"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on "
            "device\n",
            "full disk",
            "Could not install",
        ),
        ("Killed\n\n", "other", "Killed"),
        ("", "other", "nothing"),
    ],
)
def test_what_pip_says_is_understood(output: str, kind: str, said: str) -> None:
    failure = PipFailure.of(output)
    assert failure.kind == kind
    assert failure.said.startswith(said) or said in failure.said
