"""The machine is an aarch64 one, keeps to itself, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import paramiko
import pytest

from edgeprune.process import run
from tests.devices.aarch64 import machine as machine_module
from tests.devices.aarch64.machine import aarch64_or_skip, start

DAEMON = "sleep 31415"


def host_processes(text: str) -> list[int]:
    """Processes of this computer, the boxes' among them, with ``text`` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in words:
            found.append(int(path.parent.name))
    return found


def wait_until_gone(text: str) -> None:
    deadline = time.monotonic() + 10
    while host_processes(text):
        assert time.monotonic() < deadline, f"still runs: {host_processes(text)}"
        time.sleep(0.05)


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def output(machine, *command: str) -> str:
    done = machine.run(command)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_it_is_a_raspberry_pi_as_far_as_programs_can_tell(aarch64_machine) -> None:
    facts = aarch64_machine.facts
    cpu = "/sys/devices/system/cpu/possible"
    shown = output(
        aarch64_machine, "sh", "-c", f"uname -m; whoami; pwd; printenv QEMU_CPU; cat {cpu}"
    )
    expected = [facts.architecture, aarch64_machine.user, "/home/pi", facts.cpu, "0-3"]
    assert shown.splitlines() == expected
    assert (facts.architecture, facts.cpu, facts.debian) == ("aarch64", "cortex-a72", "bookworm")
    files = ("/etc/debian_version", "/sys/firmware/devicetree/base/model")
    release, model = output(aarch64_machine, "cat", *files).splitlines()
    assert release.startswith("12.")
    assert model.startswith("Raspberry Pi 4")
    script = "import platform, os; print(platform.machine(), platform.python_version())"
    machine, version = output(aarch64_machine, "python3", "-I", "-c", script).split()
    assert (machine, version.rsplit(".", 1)[0]) == ("aarch64", facts.python)


def test_it_has_the_tools_that_a_deployment_uses(aarch64_machine) -> None:
    assert aarch64_machine.run(["timeout", "-k", "1", "0.5", "sleep", "20"]).returncode == 124
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert output(aarch64_machine, "sha256sum", "/dev/null").split()[0] == empty
    tools = ("ps", "tar", "df", "nohup", "setsid", "flock", "sync", "ln", "which")
    assert len(output(aarch64_machine, "which", *tools).splitlines()) == len(tools)
    assert output(aarch64_machine, "python3", "-m", "venv", "--without-pip", "venv") == ""
    prefix = "import sys; print(sys.prefix)"
    assert output(aarch64_machine, "venv/bin/python", "-c", prefix) == "/home/pi/venv"


def test_arguments_and_input_arrive_whole(aarch64_machine) -> None:
    words = ["it's", 'two "words"', "a\nline", "$HOME", ""]
    assert output(aarch64_machine, "printf", "%s|", *words) == "|".join(words) + "|"
    content = bytes(range(256)) * 4096
    assert aarch64_machine.run(["cat"], stdin=content).stdout == content


def test_paramiko_logs_in_with_the_pinned_key(aarch64_machine, tmp_path) -> None:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(aarch64_machine.known_hosts_file))
        client.connect(
            aarch64_machine.host,
            aarch64_machine.port,
            aarch64_machine.user,
            key_filename=str(aarch64_machine.key_file),
            allow_agent=False,
            look_for_keys=False,
        )
        with client.open_sftp() as sftp:
            with sftp.open("by-sftp", "wb") as file:
                file.write(b"content")
            assert sftp.stat("by-sftp").st_size == 7
    assert output(aarch64_machine, "cat", "by-sftp") == "content"


def test_another_key_is_refused(aarch64_machine, tmp_path) -> None:
    other = tmp_path / "other"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other])
    command = [
        str(other) if word == str(aarch64_machine.key_file) else word
        for word in aarch64_machine.ssh
    ]
    refused = subprocess.run([*command, "true"], capture_output=True, check=False)
    assert refused.returncode == 255
    assert b"Permission denied" in refused.stderr


def test_it_sees_nothing_of_the_host(aarch64_machine) -> None:
    assert "pytest" not in output(aarch64_machine, "ps", "-eo", "comm")
    assert aarch64_machine.run(["ls", str(Path(__file__).parent)]).returncode == 2
    assert aarch64_machine.run(["touch", "/etc/passwd"]).returncode == 1
    assert not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists()


def test_two_machines_share_a_root_and_no_file(aarch64_machine, tmp_path) -> None:
    output(aarch64_machine, "touch", "mine", "../../tmp/mine")
    with aarch64_or_skip(tmp_path / "second") as second:
        assert second.port != aarch64_machine.port
        assert second.facts.root == aarch64_machine.facts.root
        assert "mine" not in output(second, "ls", ".", "../../tmp")
    for place in ("home/pi/mine", "tmp/mine"):
        assert not (aarch64_machine.facts.root / place).exists()
    assert output(aarch64_machine, "ls", "mine") == "mine"


def test_stop_leaves_nothing_behind(aarch64_machine, tmp_path) -> None:
    before = mounts()
    folder = tmp_path / "machine"
    machine = start(folder)
    assert output(machine, "sh", "-c", f"setsid {DAEMON} </dev/null >/dev/null 2>&1 &") == ""
    assert host_processes(DAEMON)
    assert host_processes(str(folder))
    machine.stop()
    assert not machine.running
    wait_until_gone(DAEMON)
    wait_until_gone(str(folder))
    assert mounts() == before
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((machine.host, machine.port), timeout=5)
    machine.stop()


def test_a_box_that_does_not_listen_to_its_end_is_killed(
    aarch64_machine, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("tests.devices.aarch64.box.END_LIMIT_S", 0.5)
    machine = start(tmp_path / "machine")
    machine.run(["true"])
    first = int(Path(f"/proc/{machine.pid}/task/{machine.pid}/children").read_text())
    os.kill(first, signal.SIGSTOP)
    machine.stop()
    wait_until_gone(str(tmp_path))


def test_it_dies_with_the_process_that_started_it(aarch64_machine, tmp_path) -> None:
    program = (
        "import sys, time; from pathlib import Path;"
        "from tests.devices.aarch64.machine import start;"
        "machine = start(Path(sys.argv[1])); print(machine.pid, flush=True); time.sleep(600)"
    )
    folder = tmp_path / "machine"
    with subprocess.Popen(
        [sys.executable, "-c", program, folder],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as owner:
        assert owner.stdout is not None
        assert int(owner.stdout.readline()) in host_processes(str(folder))
        owner.kill()
    wait_until_gone(str(folder))


def test_orphans_that_end_do_not_end_it(aarch64_machine) -> None:
    output(aarch64_machine, "sh", "-c", "(sleep 0.1 &) >/dev/null 2>&1 </dev/null")
    time.sleep(0.3)
    assert aarch64_machine.running
    assert output(aarch64_machine, "true") == ""


def test_a_port_that_another_took_is_given_up(aarch64_machine, tmp_path, monkeypatch) -> None:
    free = machine_module._free_port
    ports = iter([aarch64_machine.port, free()])
    monkeypatch.setattr(machine_module, "_free_port", lambda: next(ports))
    machine = start(tmp_path / "machine")
    try:
        assert machine.port != aarch64_machine.port
        assert output(machine, "true") == ""
    finally:
        machine.stop()
