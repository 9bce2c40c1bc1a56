"""``invoke check`` on the aarch64 machine: real wheels, real SSH, and the host's very bits."""

from __future__ import annotations

import io
import json
import platform
import tarfile
from importlib import metadata

import jsonschema
import numpy as np
import pytest

from edgeprune.bundle import PROBE, Bundle, DeviceFacts
from edgeprune.errors import BundleError, DeviceError
from edgeprune.reference import report_schema
from edgeprune.target import Target
from tests.devices.aarch64.machine import Aarch64Machine, Unavailable, skip_or_fail
from tests.devices.tiny_release import CLIPS, Workbench, model, ssh_target

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("bench") / "own", model())


def target_of(machine: Aarch64Machine, resolver: str) -> Target:
    return ssh_target(
        "aarch64",
        {"accuracy": 0.0, "bundle_mib": 500.0, "rss_mib": 2000.0},
        host=machine.host,
        port=machine.port,
        user=machine.user,
        identity_file=str(machine.key_file),
        known_hosts=str(machine.known_hosts_file),
        config="none",
        runtime="ai-edge-litert",
        listen=("--input", "-", "--resolver", resolver),
    )


@pytest.fixture(scope="module")
def deployed(aarch64_machine: Aarch64Machine, bench: Workbench) -> Bundle:
    """The release for what the machine says it is, there."""
    machine = aarch64_machine
    facts = DeviceFacts.parse(machine.run(["python3", "-I", "-c", PROBE]).stdout.decode())
    pipeline = bench.pipeline(target_of(machine, "default"))
    try:
        bundle = Bundle.load(pipeline.bundle(facts).path / "bundle")
    except BundleError as error:
        skip_or_fail(Unavailable(f"no bundle for aarch64: {error}"))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(bundle.folder, arcname=bundle.release)
    for command, stdin in (
        (["mkdir", "-p", "edgeprune/releases"], b""),
        (["tar", "-x", "-C", "edgeprune/releases"], content.getvalue()),
        (["ln", "-sfn", f"releases/{bundle.release}", "edgeprune/current"], b""),
    ):
        done = machine.run(command, stdin=stdin, timeout_s=300)
        assert done.returncode == 0, done.stderr.decode()
    return bundle


@pytest.mark.parametrize(
    ("resolver", "arithmetic"), [("reference", "reference"), ("default", "xnnpack")]
)
def test_accuracy_on_the_device_is_the_hosts(
    aarch64_machine: Aarch64Machine,
    deployed: Bundle,
    bench: Workbench,
    resolver: str,
    arithmetic: str,
) -> None:
    report = bench.pipeline(target_of(aarch64_machine, resolver)).report()
    assert report.passed, report.verdict
    measured, run = report.pruned, report.pruned.linux
    assert run is not None
    assert (run.machine.machine, run.release) == ("aarch64", deployed.release)
    assert (run.runtime.name, run.runtime.version) == (
        "ai-edge-litert",
        metadata.version("ai-edge-litert"),
    )
    assert (run.runtime.resolver, run.runtime.arithmetic) == (resolver, arithmetic)
    # XNNPACK rounds otherwise on another architecture, if seldom.
    bits = arithmetic == "reference" or platform.machine() == "aarch64"
    assert run.comparison.kind == ("bits" if bits else "decisions")
    assert run.comparison.same == CLIPS
    assert (measured.agreement is not None) == bits
    assert run.comparison.largest_difference <= (0 if bits else 2)
    assert measured.device_accuracy == measured.accuracy
    assert run.bundle_bytes == deployed.total_bytes
    jsonschema.validate(json.loads(report.to_json()), json.loads(report_schema()))


def test_the_resolvers_are_not_the_same(bench: Workbench, aarch64_machine: Aarch64Machine) -> None:
    pipeline = bench.pipeline(target_of(aarch64_machine, "default"))
    reference, xnnpack = (
        np.load(pipeline.foretold(name).path / "scores.npy") for name in ("reference", "xnnpack")
    )
    assert (reference != xnnpack).any()


def test_nothing_is_deployed_elsewhere(bench: Workbench, aarch64_machine: Aarch64Machine) -> None:
    target = target_of(aarch64_machine, "default")
    ssh = target.ssh_table().model_copy(update={"root": "elsewhere"})
    pipeline = bench.pipeline(target.model_copy(update={"ssh": ssh}))
    with pytest.raises(DeviceError, match="nothing is deployed") as caught:
        pipeline.report()
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("invoke deploy --recipe tiny --target pi")
