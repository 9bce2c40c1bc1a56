from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from edgeprune.devices import Cost, DeviceInfo, FakeDevice, Result, run_clips
from edgeprune.errors import DeviceError, DeviceFault, IdentityError


class Counted:
    def __init__(self):
        self.tasks = []

    @contextmanager
    def task(self, description, total=None, unit=""):
        self.tasks.append([description, total, unit, 0])
        yield self

    def advance(self, n=1):
        self.tasks[-1][3] += n


def test_processes_give_what_one_gives_in_the_order_of_the_clips(device, clips, reference):
    alone = run_clips(device, clips, workers=1, measured=2)
    progress = Counted()
    spread = run_clips(device, clips, workers=2, measured=2, progress=progress, description="go")
    expected = [list(reference.scores(reference.features(clip))) for clip in clips]
    assert [list(result.scores) for result in alone] == expected
    assert [list(result.scores) for result in spread] == expected
    assert [result.cost for result in spread] == [result.cost for result in alone]
    assert [result.cost is not None for result in alone] == [True] * 2 + [False] * 10
    assert progress.tasks == [["go", 12, "clips", 12]]


def test_a_crash_arrives_whole_from_another_process():
    fault = DeviceFault("boom", pc=16, symbol="f", registers={"r0": 7}, where="bench", hint="try")
    arrived = pickle.loads(pickle.dumps(fault))  # noqa: S301
    assert type(arrived) is DeviceFault
    assert str(arrived) == str(fault)
    assert (arrived.pc, arrived.symbol, arrived.registers) == (16, "f", {"r0": 7})


def test_a_device_that_can_not_be_opened_starts_no_process(device, clips):
    wrong = dataclasses.replace(device, core="cortex-m0plus")
    with pytest.raises(DeviceFault, match="undefined instruction") as caught:
        run_clips(wrong, clips, workers=2)
    assert caught.value.where == device.name


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_its_clip(workers):
    failing = FakeDevice(failures={0: IdentityError("other", where="fake", hint="try")})
    with pytest.raises(IdentityError) as caught:
        run_clips(failing, np.zeros((8, 16000), np.int16), workers=workers)
    assert caught.value.where == "fake, clip 0"
    assert caught.value.hint == "try"


def test_the_first_of_several_failures_is_raised():
    failing = FakeDevice(failures={n: DeviceError(f"number {n}") for n in (6, 3)})
    with pytest.raises(DeviceError, match=r"^clip 3: number 3$"):
        run_clips(failing, np.zeros((8, 16000), np.int16), workers=1)
    assert [call.kind for call in failing.calls[-2:]] == ["infer_pcm", "close"]


def test_few_clips_start_no_process():
    fake = FakeDevice()
    results = run_clips(fake, np.zeros((3, 16000), np.int16), workers=8, measured=1)
    assert len(results) == len(fake.inferences) == 3
    assert [call.measure for call in fake.inferences] == [True, False, False]
    assert run_clips(fake, np.zeros((0, 16000), np.int16)) == []


def test_a_session_that_takes_many_clips_at_once_gets_them_at_once():
    class Batch:
        name = "batch"

        def __init__(self):
            self.sizes = []

        def open(self):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def info(self):
            return FakeDevice().reported

        def infer_clips(self, clips):
            self.sizes.append(len(clips))
            return np.arange(2 * len(clips), dtype=np.int8).reshape(-1, 2)

        def infer_pcm(self, clip, *, measure=False, identity=None):
            return Result(np.zeros(2, np.int8), Cost(wall_s=1.0))

    batch = Batch()
    progress = Counted()
    clips = np.zeros((30, 4), np.int16)
    results = run_clips(batch, clips, workers=2, progress=progress)
    assert [list(result.scores) for result in results[:2]] == [[0, 1], [2, 3]]
    assert batch.sizes == [30] and progress.tasks[0][3] == 30
    assert run_clips(batch, clips, workers=1, measured=1)[0].cost == Cost(wall_s=1.0)
    with pytest.raises(IdentityError):
        run_clips(batch, clips, workers=1, identity="f" * 16)
    assert batch.sizes == [30]


SCRIPT = """
import os, sys, time
import numpy as np
from edgeprune.devices import FakeDevice, run_clips

def slow(clip):
    print("pid", os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    run_clips(FakeDevice(scores=slow), np.zeros((8, 16000), np.int16), workers=2)
"""


def test_no_process_outlives_a_killed_parent(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline().split()[1]) for _ in range(2)]
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while any(map(_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(_alive, workers))
    finally:
        _kill_group(parent.pid)
        parent.stdout.close()


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_worker_that_is_killed_is_an_error_and_not_a_hang(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.replace("time.sleep(60)", "os.kill(os.getpid(), 9)").replace(
            "    run_clips(",
            "    from edgeprune.errors import DeviceError\n    try: run_clips(",
        )
        + "    except DeviceError as error: print(error, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "fake: a process that ran clips was ended from outside" in done.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_clips_for_another_front_end_are_refused(device, clips, workers):
    own = device.manifest.frontend_identity
    assert len(run_clips(device, clips, workers=workers, identity=own)) == len(clips)
    with pytest.raises(IdentityError, match=f"for front-end {'f' * 16}, .* has front-end {own}"):
        run_clips(device, clips, workers=workers, identity="f" * 16)


def test_the_info_of_a_fake_can_be_chosen():
    info = dataclasses.replace(FakeDevice().reported, clip_samples=4, labels=("a", "b"))
    assert isinstance(info, DeviceInfo)
    fake = FakeDevice(reported=info, scores=lambda clip: [int(clip[0]), 0])
    clips = np.array([[5, 0, 0, 0], [6, 0, 0, 0]], np.int16)
    assert [list(result.scores) for result in run_clips(fake, clips)] == [[5, 0], [6, 0]]
