"""Started, suspended, put back, removed: QEMU and the system in it are stand-ins here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from edgeprune.deployment.device.process import is_alive
from edgeprune.errors import DeclarationError, DeviceError
from edgeprune.ssh_target import Ssh
from edgeprune.virtual_pi import VirtualPi, cache_folder, told
from edgeprune.virtual_pi.machine import KEY_FOLDER
from tests.virtual_pi.conftest import Workbench


def starts(bench: Workbench) -> list[str | None]:
    """The snapshots that QEMU was started with; None where it booted."""
    lines = (bench.image / "arguments").read_text().splitlines()
    commands = [json.loads(line) for line in lines]
    return [
        command[command.index("-loadvm") + 1] if "-loadvm" in command else None
        for command in commands
    ]


def test_the_first_start_builds_boots_and_takes_a_snapshot(bench: Workbench) -> None:
    started = bench.pi().start()
    assert (started.how, started.built_s is not None) == ("booted", True)
    assert bench.guest.events == ["wait for all", "clock", "settle"]
    assert bench.emulator().running
    assert (bench.image / "disk.qcow2").read_text().split() == ["clean"]
    assert bench.pi().status().state == "running"


def test_a_second_start_finds_it_running(bench: Workbench) -> None:
    bench.pi().start()
    started = bench.pi().start()
    assert (started.how, started.built_s) == ("ran", None)
    assert len(bench.built) == len(starts(bench)) == 1


def test_it_goes_on_where_it_was_stopped_once(bench: Workbench) -> None:
    bench.pi().start()
    assert bench.pi().stop()
    assert not bench.emulator().running
    assert bench.pi().status().state == "suspended"
    assert not bench.pi().stop()
    assert bench.pi().start().how == "restored"
    # It must not be gone back to after a power cut: what happened since would be lost.
    assert (bench.image / "disk.qcow2").read_text().split() == ["clean"]
    assert starts(bench) == [None, "suspended"]
    assert bench.guest.events[-2:] == ["wait", "clock"]


def test_after_a_power_cut_it_boots_from_its_disk(bench: Workbench) -> None:
    bench.pi().start()
    record = json.loads((bench.image / "process.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    while bench.emulator().running:
        time.sleep(0.01)
    assert bench.pi().status().state == "off"
    assert bench.pi().start().how == "booted"
    assert starts(bench) == [None, None]
    assert (bench.image / "disk.qcow2").read_text().split() == ["clean"]


@pytest.mark.parametrize("stopped", [True, False])
def test_fresh_goes_back_to_the_first_boot(bench: Workbench, stopped: bool) -> None:
    bench.pi().start()
    if stopped:
        bench.pi().stop()
    assert bench.pi().start(fresh=True).how == "fresh"
    assert starts(bench) == [None, "clean"]
    assert (bench.image / "disk.qcow2").read_text().split() == ["clean"]


def test_what_interrupts_the_boot_leaves_no_process(bench: Workbench) -> None:
    for failure in (KeyboardInterrupt(), DeviceError("was not up"), SystemExit(143)):
        bench.guest.failure = failure
        with pytest.raises(type(failure)):
            bench.pi().start()
        assert not bench.emulator().running
    # Whatever the disk had of a boot that did not end is no place to begin from.
    (bench.image / "disk.qcow2").write_text("suspended")
    assert bench.pi().start().how == "booted"
    assert (bench.image / "disk.qcow2").read_text().split() == ["clean"]


def test_a_process_that_was_never_noted_is_ended(bench: Workbench) -> None:
    bench.pi().start()
    record = json.loads((bench.image / "process.json").read_text())
    (bench.image / "process.json").unlink()
    bench.emulator().end()
    deadline = time.monotonic() + 10
    while is_alive(record):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_signal_that_ends_the_program_ends_what_it_began(bench: Workbench) -> None:
    def wait(limit_s: float, *, all_units: bool) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    bench.guest.wait = wait  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        bench.pi().start()
    assert caught.value.code == 128 + signal.SIGTERM
    assert not bench.emulator().running
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_of_another_program_is_never_taken_for_it(bench: Workbench) -> None:
    bench.pi().start()
    bench.pi().stop()
    other = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        record = {"pid": other.pid, "start": 1}
        (bench.image / "process.json").write_text(json.dumps(record))
        assert not bench.emulator().running
        assert bench.pi().start().how == "restored"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_taken_port_is_named(bench: Workbench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", bench.ssh.port or 0))
        taken.listen()
        with pytest.raises(DeviceError, match=f"port {bench.ssh.port} .*in use") as caught:
            bench.pi().start()
    assert "--set target.ssh.port=" in str(caught.value.hint)
    assert starts_not(bench)


def starts_not(bench: Workbench) -> bool:
    return not (bench.image / "arguments").exists()


def test_what_qemu_refuses_is_told(bench: Workbench) -> None:
    bench.pi().start()
    bench.pi().stop()
    (bench.image / "refuse").write_text("qemu: no such thing as a free lunch")
    with pytest.raises(DeviceError, match=r"(?s)does not start: .*free lunch"):
        bench.pi().start()
    assert bench.pi().status().state == "suspended"


def test_a_snapshot_that_fails_leaves_it_running(bench: Workbench) -> None:
    bench.pi().start()
    (bench.image / "refuse-savevm").touch()
    with pytest.raises(DeviceError, match="savevm suspended: Error: no room"):
        bench.pi().stop()
    assert bench.emulator().running


def test_another_version_of_qemu_gets_another_image(bench: Workbench) -> None:
    bench.pi().start()
    old = bench.image
    bench.new_version_of_qemu()
    started = bench.pi().start()
    assert started.built_s is not None
    assert not old.exists()
    assert bench.emulator().running
    assert any("removed" in line for line in bench.said)


def test_the_key_is_this_computers_and_the_host_key_is_pinned(bench: Workbench) -> None:
    bench.pi().start()
    folder = KEY_FOLDER.expanduser()
    assert (folder / "id_ed25519").stat().st_mode & 0o777 == 0o600
    pinned = (folder / "known_hosts").read_text().splitlines()
    assert pinned == [f"[127.0.0.1]:{bench.ssh.port} {(bench.image / 'host_key.pub').read_text()}"]
    key = (folder / "id_ed25519").read_bytes()
    bench.new_version_of_qemu()
    bench.pi().start()
    # The new image has a new host key, and the old one is no longer trusted.
    pinned = (folder / "known_hosts").read_text().splitlines()
    assert pinned == [f"[127.0.0.1]:{bench.ssh.port} {(bench.image / 'host_key.pub').read_text()}"]
    assert (folder / "id_ed25519").read_bytes() == key


def test_all_is_removed_but_a_key_of_the_users_own(bench: Workbench, tmp_path: Path) -> None:
    bench.pi().start()
    emulator = bench.emulator()
    bench.pi().remove()
    assert not emulator.running
    assert not bench.cache.exists()
    assert bench.pi().status().state == "absent"
    own = tmp_path / "own" / "id"
    bench.pi(identity_file=str(own)).start()
    bench.pi(identity_file=str(own)).remove()
    assert own.exists()
    assert not bench.cache.exists()


def test_processes_take_turns(bench: Workbench) -> None:
    bench.pi().start()
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(bench.pi().start().how)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["ran"] * 3


def test_a_lost_program_is_told_with_all_others_that_are_missing(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.programs / "qemu-img").unlink()
    (bench.programs / "mmdebstrap").unlink()
    monkeypatch.setenv("PATH", str(bench.programs))
    with pytest.raises(DeviceError, match="needs qemu-img, mmdebstrap, which") as caught:
        bench.pi().start()
    assert caught.value.hint == "sudo apt-get install qemu-utils mmdebstrap"
    assert not bench.cache.exists()


def test_the_shipped_target_names_what_is_made_here(shipped: Ssh) -> None:
    folder = cache_folder() if "XDG_CACHE_HOME" not in os.environ else KEY_FOLDER.expanduser()
    for named in (shipped.identity_file, shipped.known_hosts):
        assert named is not None
        assert Path(named).parent == KEY_FOLDER
        assert Path(named).expanduser().parent == folder
    assert shipped.config == "none"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"host": "raspberrypi.local"}, "pi@raspberrypi.local; a virtual Pi is pi@127.0.0.1"),
        ({"user": "me"}, "me@127.0.0.1"),
        ({"port": None}, "needs port, identity_file and known_hosts"),
        ({"known_hosts": None}, "needs port, identity_file and known_hosts"),
    ],
)
def test_a_target_of_another_host_is_refused(
    bench: Workbench, changed: dict[str, object], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        bench.pi(**changed)


def test_caches_are_where_the_user_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgeprune" / "virtual-pi"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == KEY_FOLDER.expanduser()


def test_settings_are_repeated_in_the_commands_to_come(bench: Workbench) -> None:
    pi: VirtualPi = bench.pi()
    text = told(pi.start(), bench.ssh, ["target.ssh.port=20023"])
    assert "invoke deploy --target virtual-pi --set target.ssh.port=20023" in text
    assert f"ssh -p {bench.ssh.port} -i ~/.cache/edgeprune/virtual-pi/id_ed25519" in text
