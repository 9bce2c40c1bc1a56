"""What keeps the agent running: the unit's command, systemd, and the process in its place."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeprune.bundle import HEALTH_FILE, UNIT
from edgeprune.bundle.unit import service_unit
from edgeprune.deployment import deploy, rollback, status
from edgeprune.deployment.device import health, layout, service, supervisor
from edgeprune.deployment.device import unit as unit_file
from edgeprune.deployment.device.layout import DeviceError, Layout, boot_id, read_json, write_json
from edgeprune.deployment.device.process import detached, identity, is_alive, stop
from edgeprune.deployment.device.supervisor import Supervisor
from edgeprune.errors import DeploymentError
from edgeprune.remote.fake import FakeRemote
from tests.deployment.conftest import MakeBundle
from tests.deployment.device import DeviceFolder
from tests.deployment.stub_bundle import ROOT

#: Keeps a log of what it was asked, and runs the unit as systemd would.
_SYSTEMCTL = """\
#!/usr/bin/env -S python3 -IS
import json, os, re, signal, subprocess, sys
from pathlib import Path
here = Path(os.environ["HOME"])
words = sys.argv[2:]
with (here / "asked").open("a") as file:
    print(*words, file=file)
pid = here / "pid"
def end():
    if pid.exists():
        try:
            os.kill(int(pid.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            pass
        pid.unlink()
if words[0] == "show-environment":
    sys.exit(not (here / "bus").exists() and "Failed to connect to bus")
if words[0] == "restart":
    end()
    trial = Path(os.environ["XDG_RUNTIME_DIR"]) / "systemd/user.control" / words[1]
    unit = trial if trial.exists() else here / ".config/systemd/user" / words[1]
    text = unit.read_text()
    line = re.search("ExecStart=(.*)", text)[1].replace("%h", str(here)).replace("$$", "$")
    child = subprocess.Popen(["sh", "-c", "exec " + line.replace("$", "\\\\$")],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
    pid.write_text(str(child.pid))
if words[0] == "stop":
    end()
if words[0] == "show" and "ActiveState" in words[1]:
    print("active" if pid.exists() else "inactive")
if words[0] == "daemon-reload" and (here / "refuse").exists():
    sys.exit("Access denied")
"""
_LOGINCTL = """\
#!/bin/sh
if [ "$1" = show-user ]; then cat "$HOME/linger"; else echo "$@" >> "$HOME/asked"; fi
if [ "$1" = enable-linger ]; then [ -e "$HOME/may-linger" ] && echo Linger=yes > "$HOME/linger"; fi
"""


def test_the_names_that_two_rooms_know_are_the_same() -> None:
    assert unit_file.UNIT == UNIT
    assert Layout("x").health.name == HEALTH_FILE


@pytest.mark.parametrize("root", ["edgeprune", "a b", 'it\'s 100 % $HOME \\ "x"', "/srv/edge"])
def test_a_units_command_is_read_as_it_was_written(root: str) -> None:
    arguments = ["--input", "a b", "", "$x %h", 'q"q', "back\\slash", "ü", "'"]
    unit = service_unit(root, description="x", listen=arguments)
    home = Path("/home/pi")
    assert unit_file.exec_start(unit, home) == [
        *("/usr/bin/env", "python3", "-I", f"{home / root}/current/agent/run.py", "listen"),
        *("--health-file", f"{home / root}/health.json"),
        *arguments,
    ]


@pytest.mark.parametrize(
    "line", ["", "ExecStart=", 'ExecStart=a "b', "ExecStart=%n", "ExecStart=$x"]
)
def test_a_unit_in_another_notation_is_refused(line: str) -> None:
    with pytest.raises(DeviceError, match=r"unit/edgeprune\.service"):
        unit_file.exec_start(line, Path("/home/pi"))


@pytest.mark.parametrize("root", ["edgeprune", 'it\'s 100 % $HOME \\ "x"', "a/../b"])
def test_a_release_on_trial_is_run_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place, release = Layout(root), "20250301T120001Z-00000000"
    arguments = ["--input", "a/current/x", "%h $x", f"{place.current}/clip.wav"]
    unit = service_unit(root, description="x", listen=arguments)
    (place.release(release) / "unit").mkdir(parents=True)
    (place.release(release) / UNIT).write_text(unit)
    folder, words = place.release(release), unit_file.command_of(place, release)
    assert words[3:5] == [str(folder / "agent/run.py"), "listen"]
    assert words[-4:] == [*arguments[:3], str(folder / "clip.wav")]
    alone = unit_file.standing_alone(place, release)
    assert unit_file.exec_start(alone, Path("/another")) == words
    kept = [line for line in unit.splitlines() if not line.startswith("ExecStart=")]
    assert [line for line in alone.splitlines() if not line.startswith("ExecStart=")] == kept
    (place.release(release) / UNIT).unlink()
    with pytest.raises(DeviceError, match="has no unit"):
        unit_file.command_of(place, release)


def test_a_record_is_old_or_new_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, written = tmp_path / "record.json", layout._write
    write_json(path, {"log": "x" * 2000}, in_place_if_full=True)

    def write(to: Path, content: bytes, mode: str) -> None:
        if mode == "wb":
            raise OSError(errno.ENOSPC, "No space left on device")
        written(to, content, mode)

    monkeypatch.setattr(layout, "_write", write)
    write_json(path, {"new": 1}, in_place_if_full=True)
    assert read_json(path) == {"new": 1}
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"log": "x" * 3000}, in_place_if_full=True)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"new": 1}


class Alive(service.ProcessService):
    """A service that runs, and whose log nobody asks for."""

    def alive(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("change", "healthy"),
    [
        ({}, True),
        ({"at": {"monotonic_s": -1.0}}, False),
        ({"at": {"boot": "an earlier one"}}, False),
        ({"release": "r0"}, False),
        ({"healthy": False}, False),
    ],
)
def test_only_a_fresh_answer_of_the_very_release_counts(
    tmp_path: Path, change: dict[str, Any], healthy: bool
) -> None:
    place, asked = Layout(str(tmp_path)), time.monotonic()
    at = {"monotonic_s": 0.5, "boot": boot_id()} | change.get("at", {})
    told = {"release": "r1", "healthy": True, "pid": os.getpid(), **change}
    told["at"] = {**at, "monotonic_s": asked + at["monotonic_s"]}
    write_json(place.health, told)
    found, _ = health.wait_healthy(place, "r1", Alive(place), since=asked, wait_s=0.1)
    assert found == healthy


@pytest.mark.parametrize(
    ("audio", "deaf", "healthy"),
    [
        ("heard", "deaf", True),
        ("idle", "deaf", True),
        (None, "deaf", True),
        ("waiting", "", True),
        ("waiting", "deaf", False),
    ],
)
def test_a_service_that_waits_for_a_microphone_is_given_a_while(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    audio: str | None,
    deaf: str,
    healthy: bool,
) -> None:
    monkeypatch.setattr(health, "_MICROPHONE_S", 0.1)
    place, asked = Layout(str(tmp_path)), time.monotonic()
    at = {"monotonic_s": asked + 0.5, "boot": boot_id()}
    told = {"release": "r1", "healthy": True, "pid": os.getpid(), "detail": "x", "audio": audio}
    write_json(place.health, {**told, "at": at})
    found = health.wait_healthy(place, "r1", Alive(place), since=asked, wait_s=60, deaf=deaf)
    assert found == (healthy, "x" if healthy else "deaf: x")
    assert time.monotonic() < asked + 30


def eventually(condition: Callable[[], bool], limit_s: float = 15.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_command_that_fails_is_started_again_until_it_failed_too_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_PAUSE_S", 0.01)
    log = tmp_path / "log" / "service.log"
    child = detached(Supervisor(["sh", "-c", "echo once; exit 3"], log, "r1").run)
    os.waitpid(child, 0)
    text = log.read_text()
    assert text.count("once\n") == 5
    assert "service: release r1\n" in text
    assert text.endswith("ended with exit code 3, as 5 times in a row: given up\n")


def test_a_command_that_ends_well_has_ended(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    os.waitpid(detached(Supervisor(["true"], log, "r1").run), 0)
    os.waitpid(detached(Supervisor(["/absent"], log, "r2").run), os.WNOHANG)
    eventually(lambda: "/absent can't be run" in log.read_text())
    assert log.read_text().count("ended with exit code 0") == 1


def test_a_log_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_LOG_BYTES", 10_000)
    log = tmp_path / "service.log"
    command = ["sh", "-c", "for i in $(seq 200); do echo $(seq 100); done"]
    os.waitpid(detached(Supervisor(command, log, "r1").run), 0)
    kept = sorted(tmp_path.glob("service.log*"))
    assert [path.name for path in kept] == ["service.log", "service.log.1"]
    assert all(path.stat().st_size < 10_000 + (1 << 16) for path in kept)


def test_a_process_is_stopped_with_what_it_started(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f'trap "" TERM; sleep 60 & echo $! > "{ready}"; wait; wait'
    child = detached(Supervisor(["sh", "-c", script], tmp_path / "log", "r1").run)
    process = identity(child)
    assert process is not None
    eventually(lambda: ready.exists() and ready.read_text() != "")
    assert is_alive(process)
    stop(process, 0.3)
    os.waitpid(child, 0)
    assert not is_alive(process)
    eventually(lambda: identity(int(ready.read_text())) is None)
    assert not is_alive({"pid": os.getpid(), "start": 1}), "another process of the same id"


@pytest.fixture
def systemd(fake: FakeRemote, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A device with a systemd of its user's, as far as its programs tell."""
    programs = fake.home / "bin"
    programs.mkdir()
    for name, text in {"systemctl": _SYSTEMCTL, "loginctl": _LOGINCTL}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(fake.home / "run"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name, text in {"bus": "", "linger": "Linger=yes\n"}.items():
        (fake.home / name).write_text(text)
    yield fake.home
    if (fake.home / "pid").exists():
        os.kill(int((fake.home / "pid").read_text()), 9)


def test_systemd_that_refuses_leaves_the_old_service(
    systemd: Path, fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    old = deploy(fake, make(1), root=ROOT, health_timeout_s=10).release
    (process,) = device.processes()
    (systemd / "refuse").touch()
    with pytest.raises(DeploymentError, match=r"reload failed: Access denied; .* runs on, healthy"):
        deploy(fake, make(2), root=ROOT, health_timeout_s=2)
    assert device.running == device.serving() == old
    assert device.processes() == [process]


def test_a_service_that_was_killed_is_not_healthy_until_it_runs_again(
    systemd: Path, fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    deploy(fake, make(1), root=ROOT, health_timeout_s=10)
    (process,) = device.processes()
    os.kill(process, 9)
    while device.processes():
        time.sleep(0.01)
    told = status(fake, root=ROOT).service
    assert (told.alive, told.healthy) == (True, False)
    assert told.detail == "the service ended, and is being started again"


def test_the_service_moves_to_systemd_and_back(
    systemd: Path, fake: FakeRemote, device: DeviceFolder, make: MakeBundle
) -> None:
    (systemd / "bus").unlink()
    first = deploy(fake, make(1), root=ROOT, health_timeout_s=10)
    assert first.service.kind == "process"
    assert "Failed to connect to bus" in str(first.service.reason)
    (systemd / "bus").touch()
    assert deploy(fake, make(2), root=ROOT, health_timeout_s=10).service.kind == "systemd"
    assert len(device.processes()) == 1
    (systemd / "linger").write_text("Linger=no\n")
    back = rollback(fake, root=ROOT, health_timeout_s=10)
    assert back.service.kind == "process"
    assert "sudo loginctl enable-linger" in str(back.service.reason)
    assert "enable-linger" in (systemd / "asked").read_text()
    assert len(device.processes()) == 1
    assert not list((systemd / ".config").rglob("*.service")), "a login would start it again"
    (systemd / "may-linger").touch()
    assert deploy(fake, make(3), root=ROOT, health_timeout_s=10).service.kind == "systemd"
