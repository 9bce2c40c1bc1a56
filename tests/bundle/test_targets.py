"""The targets that are shipped for single-board computers."""

from __future__ import annotations

import pytest

from edgeprune import resources
from edgeprune.cores import CORES
from edgeprune.target import Target

NAMES = [name for name in resources.available("targets") if name.startswith("raspberry-pi")]


def test_every_raspberry_pi_that_runs_the_agent_is_there() -> None:
    sizes = {"3", "4", "5", "zero-2", "32bit"}
    assert {f"raspberry-pi-{size}" for size in sizes} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_target_validates(name: str) -> None:
    target = Target.read(resources.find("targets", name))
    assert target.device == "ssh"
    assert target.ssh is not None
    assert target.ssh.host is None
    assert CORES[target.core].linux == ("armv7l" if name.endswith("32bit") else "aarch64")
    assert target.budgets.accuracy is not None
    assert target.budgets.latency_ms is not None
