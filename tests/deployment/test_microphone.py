"""The default deployment onto a device without a microphone, and one that is plugged in later."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgeprune.deployment import deploy, logs, status
from edgeprune.deployment.records import Service
from edgeprune.remote import Remote, connect
from edgeprune.toolchain import find_toolchain
from tests.agent.speaking import spoken
from tests.agent.tone_bundle import Parts, tone
from tests.deployment.stub_bundle import ROOT
from tests.deployment.test_sshd import real_bundle
from tests.remote.sshd import HOME, USER_ID, Sshd


@pytest.fixture
def remote(sshd: Sshd) -> Iterator[Remote]:
    with connect(sshd.table(stall_timeout_s=5.0), target="pi") as connected:
        yield connected


def _service(remote: Remote) -> Service:
    return status(remote, root=ROOT).service


@contextmanager
def _plugged_in(sshd: Sshd, samples: np.ndarray) -> Iterator[None]:
    """Give the device's user a default device of alsa-lib, and speak into it in real time."""
    fifo = sshd.home / "microphone"
    os.mkfifo(fifo)
    os.chown(fifo, USER_ID, USER_ID)
    (sshd.home / ".asoundrc").write_text(
        'pcm.!default { type file slave.pcm null file "/dev/null" '
        f'infile "{HOME}/microphone" format raw }}\n'
    )
    with spoken(fifo, samples):
        yield


def _wait(what: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)


def test_the_default_deployment_waits_for_a_microphone_and_hears_it(
    sshd: Sshd, remote: Remote, build_cache: Path, tmp_path: Path
) -> None:
    parts = Parts.build(find_toolchain("zig"), build_cache)
    # The shipped targets leave ssh.listen empty.
    done = deploy(remote, real_bundle(tmp_path / "bundle", parts, 1, listen=()), root=ROOT)
    assert (done.service.healthy, done.service.audio) == (True, "waiting")
    assert done.service.detail.startswith("waiting for a microphone: arecord")
    if shutil.which("arecord") is None:
        pytest.skip("arecord is not installed (apt-get install alsa-utils)")
    with _plugged_in(sshd, np.concatenate([tone(0, 500), tone(400, 800)])):
        _wait(lambda: _service(remote).audio == "heard")
        _wait(lambda: any('"label": "low"' in line for line in logs(remote, root=ROOT)))
        assert _service(remote).detail == "listening: arecord default"
    said = [line for line in logs(remote, root=ROOT) if '"warning"' in line]
    assert len(said) == 1
