"""The same image on QEMU and on Unicorn: the same bits, the same counts; and what QEMU lacks."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgeprune import resources
from edgeprune.cores import CORES, QEMU_BOARDS
from edgeprune.devices import EmulatorDevice, QemuDevice, open_device, run_clips
from edgeprune.devices.cycles import estimate_from_count
from edgeprune.devices.mailbox import Command
from edgeprune.devices.qemu_process import PROGRAM
from edgeprune.errors import DeclarationError, DeviceError, IdentityError
from edgeprune.firmware import build_image
from edgeprune.target import Target
from edgeprune.toolchain import find_toolchain

FAKE_PROGRAM = Path(__file__).parent.parent / "firmware" / "fake_program"
#: The free-running counter of the boards' FPGA, and the time of its tick.
FPGAIO_COUNTERS = {
    "cortex-m3": (0x40028018, 40),
    "cortex-m4": (0x40028018, 40),
    "cortex-m7": (0x40028018, 40),
    "cortex-m33": (0x50302018, 50),
    "cortex-m55": (0x59302018, 50),
}
FRONTEND = "0123456789abcdef"
QEMU_CORES = [name for name, core in CORES.items() if core.qemu]
BOTH = [name for name in QEMU_CORES if CORES[name].unicorn]

if shutil.which(PROGRAM) is None and "EDGEPRUNE_REQUIRE_COMPILERS" not in os.environ:
    pytest.skip(f"{PROGRAM} is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    """A core's target and its image, built once for the memories of the core's board."""
    built = {}

    def board(core):
        if core not in built:
            memories = QEMU_BOARDS[CORES[core].qemu]
            table = {
                "name": f"qemu-{core}",
                "core": core,
                "clock_mhz": 64.0,
                "device": "qemu",
                "memory": {
                    "flash_kib": 64,
                    "ram_kib": 16,
                    "flash_origin": memories.flash_origin,
                    "ram_origin": memories.ram_origin,
                },
            }
            target = Target.model_validate_json(json.dumps(table))
            folder = tmp_path_factory.mktemp(f"qemu-{core}")
            built[core] = target, build_image(FAKE_PROGRAM, target, find_toolchain("zig"), folder)
        return built[core]

    return board


@pytest.fixture
def qemu(boards, request):
    """QEMU with the M4, or the core that the test is parametrized with."""
    return _device(QemuDevice, *boards(getattr(request, "param", "cortex-m4")))


def _device(kind, target, image):
    return kind(target.name, image.elf, target.core, target.memory, image.manifest)


on_every_board = pytest.mark.parametrize("qemu", QEMU_CORES, indirect=True)


@on_every_board
def test_every_board_computes_what_it_should(qemu, clips, reference):
    with qemu.open() as session:
        for clip in clips[:4]:
            features = reference.features(clip)
            assert np.array_equal(session.frontend_pcm(clip), features)
            assert np.array_equal(session.infer_pcm(clip).scores, reference.scores(features))
            given = session.infer_features(features, FRONTEND, measure=True)
            assert np.array_equal(given.scores, reference.scores(features))
            assert session.trace(clip) == [
                reference.hidden(features).tobytes(),
                reference.scores(features).tobytes(),
            ]


@pytest.mark.parametrize("core", BOTH)
def test_one_image_gives_the_bits_and_the_counts_of_the_emulator(boards, clips, core):
    """Counts within 0.1 % are asked for; they are the same to the instruction."""
    with (
        _device(QemuDevice, *boards(core)).open() as here,
        _device(EmulatorDevice, *boards(core)).open() as there,
    ):
        for clip in clips[:3]:
            ours, theirs = here.profile(clip), there.profile(clip)
            assert np.array_equal(ours.scores, theirs.scores)
            assert ours.stack_bytes == theirs.stack_bytes
            for part in ("frontend_frame", "inference"):
                mine, other = getattr(ours, part), getattr(theirs, part)
                assert mine.work.instructions == other.work.instructions
                counts = [layer.instructions for layer in mine.layers]
                assert counts == [layer.instructions for layer in other.layers]
            assert here.trace(clip) == there.trace(clip)


@on_every_board
def test_counts_repeat_whatever_ran_before(qemu, clips):
    with qemu.open() as session:
        first = session.profile(clips[0])
        session.infer_pcm(clips[1], measure=True)
        session.trace(clips[2])
        again = session.profile(clips[0])
    with qemu.open() as session:
        anew = session.profile(clips[0])
    assert first.cost == again.cost == anew.cost
    assert first.inference == again.inference == anew.inference
    assert sum(layer.instructions for layer in first.inference.layers) > 0


@pytest.mark.parametrize("qemu", FPGAIO_COUNTERS, indirect=True)
def test_the_boards_timer_shows_the_count_and_the_hosts_noise(qemu, clips):
    address, tick_ns = FPGAIO_COUNTERS[qemu.core]
    with qemu.open() as session:
        board = session._board
        session.infer_pcm(clips[0])
        noise = []
        for _ in range(20):
            ticks, count = int.from_bytes(board.read(address, 4), "little"), board._executed()
            session._infer()
            ticks = int.from_bytes(board.read(address, 4), "little") - ticks
            # An instruction takes 128 ns; the breakpoint takes none.
            noise.append(ticks * tick_ns / 128 - (board._executed() - count - 1))
    assert -1 <= min(noise) < 3000


def test_cycles_are_estimated_from_the_count_alone(qemu, clips):
    with qemu.open() as session:
        work = session.profile(clips[0]).inference.work
    assert work.cycles_estimate == estimate_from_count("cortex-m4", work.instructions)
    assert work.instructions < work.cycles_estimate < 2 * work.instructions


@on_every_board
def test_start_up_switches_the_fpu_on(qemu):
    with qemu.open() as session:
        access = int.from_bytes(session._board.read(0xE000ED88, 4), "little")
    assert bool(access & 0x00F00000) == CORES[qemu.core].fpu


def test_memory_is_not_zero_at_power_up(qemu):
    with qemu.open() as session:
        end = qemu.memory.ram_origin + qemu.memory.ram_kib * 1024
        assert session._board.read(end - 4, 4) == b"\xa5" * 4


def test_the_targets_device_is_opened(boards, clips):
    target, image = boards("cortex-m4")
    with open_device(target, image=image) as session:
        assert session.info().device == "qemu-cortex-m4"
        assert session.infer_pcm(clips[0]).scores.shape == (3,)
        with pytest.raises(IdentityError):
            session.infer_pcm(clips[0], identity="0" * 16)


@pytest.mark.parametrize(
    "name", ["cortex-m55", *(f"qemu-{core}" for core in ("m3", "m4", "m7", "m33"))]
)
def test_shipped_targets_for_boards_validate(name):
    target = Target.read(resources.find("targets", name))
    assert (target.name, target.device) == (name, "qemu")
    if target.core != "cortex-m55":
        elsewhere = Target.read(resources.find("targets", name), {"device": "emulator"})
        model = Target.read(resources.find("targets", target.core))
        assert elsewhere.memory == target.memory
        assert (model.budgets, model.clock_mhz) == (target.budgets, target.clock_mhz)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("cortex-m55", {"device": "emulator"}, "'cortex-m55'; device = 'qemu' does"),
        ("cortex-m4", {"device": "qemu"}, "mps2-an386, which has 4096 KiB for code at 0x00000000"),
        ("cortex-m55", {"memory.flash_kib": 1024}, "mps3-an547, which has 512 KiB for code"),
        ("cortex-m55", {"memory.ram_kib": 513}, "mps3-an547, which has 512 KiB of RAM"),
        ("qemu-m33", {"memory.ram_origin": 0x20000000}, "4096 KiB of RAM at 0x38000000"),
    ],
)
def test_targets_that_no_board_fits_are_refused(name, settings, says):
    with pytest.raises(DeclarationError, match=says):
        Target.read(resources.find("targets", name), settings)


def test_clips_run_in_several_processes(qemu, clips, reference):
    results = run_clips(pickle.loads(pickle.dumps(qemu)), clips, workers=2)  # noqa: S301
    for clip, result in zip(clips, results, strict=True):
        assert np.array_equal(result.scores, reference.scores(reference.features(clip)))
    assert not _running()


def test_a_session_that_is_closed_refuses_and_leaves_nothing(qemu, clips):
    session = qemu.open()
    assert _running()
    session.close()
    session.close()
    assert not _running()
    with pytest.raises(DeviceError, match="closed"):
        session.infer_pcm(clips[0])


def test_a_session_that_is_forgotten_leaves_nothing(qemu):
    session = qemu.open()
    assert _running()
    del session
    assert not _running()


def test_an_image_of_another_program_leaves_nothing(qemu):
    manifest = dataclasses.replace(qemu.manifest, identity="f" * 16)
    with pytest.raises(IdentityError):
        dataclasses.replace(qemu, manifest=manifest).open()
    assert not _running()


def test_without_qemu_the_error_says_what_to_install(qemu, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="qemu-system-arm is not installed") as caught:
        qemu.open()
    assert "apt-get install qemu-system-arm" in str(caught.value)
    assert caught.value.where == "qemu-cortex-m4"


def test_a_qemu_that_does_not_start_says_why(qemu, monkeypatch, tmp_path):
    program = tmp_path / PROGRAM
    program.write_text("#!/bin/sh\necho 'no such machine' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(DeviceError, match="QEMU ended: no such machine"):
        qemu.open()


def test_a_qemu_that_is_killed_is_an_error(qemu, clips):
    with qemu.open() as session:
        (process,) = _running()
        os.kill(process, signal.SIGKILL)
        with pytest.raises(DeviceError, match="QEMU ended"):
            session.infer_pcm(clips[0])
        with pytest.raises(DeviceError):
            session._request(Command.RESET)
    assert not _running()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_qemu_ends_with_the_program_that_started_it(qemu, tmp_path, how):
    """However that ends, and whatever the core is doing."""
    (tmp_path / "device").write_bytes(pickle.dumps(qemu))
    script = (
        "import pathlib, pickle, signal, sys, time\n"
        # A job in the background of a shell ignores it, and so do its children.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "device = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "session = device.open()\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "device"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with program:
        assert program.stdout.readline() == "open\n"
        (process,) = _running(program.pid)
        # As a terminal does it: to the whole group.
        os.killpg(program.pid, how) if how == signal.SIGINT else program.send_signal(how)
        program.wait(timeout=20)
        end = time.monotonic() + 10
        while Path(f"/proc/{process}").exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert not Path(f"/proc/{process}").exists()


def _running(ancestor: int | None = None) -> list[int]:
    """The QEMU processes that descend from a process, this one unless another is named."""
    root = ancestor or os.getpid()
    processes = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = path.read_text().split(" (", 1)
        except OSError:
            continue
        name, rest = rest.rsplit(") ", 1)
        state, parent = rest.split()[:2]
        if state != "Z":
            processes[int(number)] = (name, int(parent))

    def descends(process: int) -> bool:
        while process in processes and process != root:
            _, process = processes[process]
        return process == root

    return [each for each, (name, _) in processes.items() if name == PROGRAM and descends(each)]
