"""The systemd unit, read as systemd reads it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeprune.bundle.unit import service_unit
from edgeprune.errors import BundleError


def _section(text: str, name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return dict(parser[name])


def test_the_service_runs_the_current_release() -> None:
    text = service_unit("edgeprune", description="yes and no", listen=())
    service = _section(text, "Service")
    assert service["ExecStart"] == (
        '/usr/bin/env python3 -I "%h/edgeprune/current/agent/run.py" listen'
        ' --health-file "%h/edgeprune/health.json"'
    )
    assert service["Restart"] == "on-failure"
    assert _section(text, "Unit")["Description"] == "Keyword spotting: yes and no"
    assert _section(text, "Install")["WantedBy"] == "default.target"


def test_odd_names_and_arguments_arrive_as_they_are() -> None:
    text = service_unit(
        'a folder/of "mine" 100%', description="50 %", listen=("--device", "USB $1\\", "")
    )
    command = _section(text, "Service")["ExecStart"]
    assert '"%h/a folder/of \\"mine\\" 100%%/current/agent/run.py"' in command
    assert command.endswith('"--device" "USB $$1\\\\" ""')
    assert "Keyword spotting: 50 %%" in text


def test_an_absolute_root_is_not_below_the_home_folder() -> None:
    command = _section(service_unit("/srv/kws", description="", listen=()), "Service")["ExecStart"]
    assert '"/srv/kws/current/agent/run.py"' in command
    assert "%h" not in command


@pytest.mark.parametrize("argument", ["two\nlines", "a\0b", "bell\a"])
def test_what_no_unit_can_hold_is_refused(argument: str) -> None:
    with pytest.raises(BundleError, match="systemd unit"):
        service_unit("edgeprune", description="", listen=(argument,))


def test_systemd_finds_nothing_to_say_against_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "edgeprune.service"
    path.write_text(service_unit("my things", description="yes", listen=("--device", "a b")))
    command = [analyze, "--user", "verify", "--man=no", "--recursive-errors=no", str(path)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    complaints = [line for line in done.stdout.splitlines() if "edgeprune.service" in line]
    assert not complaints, done.stdout
