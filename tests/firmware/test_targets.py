from __future__ import annotations

import pytest

from edgeprune import resources
from edgeprune.cores import CORES
from edgeprune.target import Target


def test_every_core_that_runs_an_image_has_a_target_of_its_name():
    names = {path.stem for path in (resources.root() / "targets").glob("*.toml")}
    assert {name for name, core in CORES.items() if not core.linux} <= names


@pytest.mark.parametrize("name", sorted(name for name, core in CORES.items() if not core.linux))
def test_shipped_targets_validate(name):
    target = Target.read(resources.find("targets", name))
    assert target.name == target.core == name
    assert target.description
    if name != "host":
        assert target.device == ("emulator" if CORES[name].unicorn else "qemu")
        for key in ("accuracy", "latency_ms", "flash_kib", "ram_kib", "stack_bytes", "model_kib"):
            assert getattr(target.budgets, key) is not None, key
