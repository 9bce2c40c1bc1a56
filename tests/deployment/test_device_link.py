"""The program that is sent along with every request."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from edgeprune.deployment import device, device_link
from edgeprune.deployment.device_link import DeviceLink
from edgeprune.errors import DeploymentError
from edgeprune.remote.fake import FakeRemote

SOURCES = sorted(Path(device.__file__).parent.glob("*.py"))


def test_every_module_is_sent() -> None:
    assert sorted(path.stem for path in SOURCES) == sorted(device_link._MODULES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_program_needs_python_3_9_and_its_library_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module in sys.stdlib_module_names | {"collections.abc"}


@pytest.mark.parametrize("name", ["../x", "20250301T120000Z-1a2b3c4d/..", "", "current"])
def test_a_release_of_another_name_is_refused(fake: FakeRemote, name: str) -> None:
    link = DeviceLink(fake, "edgeprune")
    link.ask("acquire", token="t", owner={}, lease_s=60, instead_of="")  # noqa: S106
    with pytest.raises(DeploymentError, match="not the name of a release"):
        link.ask("stage", token="t", release=name, files={})  # noqa: S106


def test_files_outside_of_the_release_are_refused(fake: FakeRemote) -> None:
    link = DeviceLink(fake, "edgeprune")
    link.ask("acquire", token="t", owner={}, lease_s=60, instead_of="")  # noqa: S106
    for path in ("../x", "/etc/passwd", "a/../../x", ""):
        with pytest.raises(DeploymentError, match="outside of the release"):
            release = "20250301T120000Z-1a2b3c4d"
            link.ask("stage", token="t", release=release, files={path: ["", 0, 0o644]})  # noqa: S106
