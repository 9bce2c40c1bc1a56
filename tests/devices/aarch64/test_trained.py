"""A network that heard real speech, on the aarch64 machine, by the commands that a user types."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from tests.conftest import REPOSITORY
from tests.devices.aarch64.machine import Aarch64Machine

pytestmark = pytest.mark.slow

#: A tenth of the recipe's, and nothing pruned: it has to hear, not to win.
TRAINING = {"training.epochs": 16, "pruning.structure": "none"}
#: Far below what that gives, and far above the twelfth that guessing gives.
ACCURACY = 0.5
AUDIO = "audio"
SPOKEN = 12
LIMIT_S = 600.0


@dataclass(frozen=True)
class User:
    """Somebody at a terminal, and what the folder there holds."""

    folder: Path
    recipe: dict[str, object]
    target: dict[str, object]

    def invoke(self, task: str, *more: str, **ssh: object) -> str:
        """Run a task on the machine; returns what it prints."""
        told = self.target | {f"target.ssh.{name}": value for name, value in ssh.items()}
        command = [sys.executable, "-m", "invoke", task, "--target", "raspberry-pi-4", *more]
        if task in ("deploy", "check"):
            command += ["--recipe", "speech-commands-mini"]
            told |= self.recipe
        for name, value in told.items():
            command += ["--set", f"{name}={json.dumps(value)}"]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert done.returncode == 0, f"{task}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def told(self, task: str) -> dict[str, Any]:
        """What ``--json`` of a task says."""
        path = self.folder / f"{task}.json"
        self.invoke(task, "--json", str(path))
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return answer

    def made(self, name: str) -> Path:
        """A file that a task published."""
        (path,) = (self.folder / "build" / "raspberry-pi-4").glob(f"**/{name}")
        return path


@pytest.fixture(scope="module")
def user(
    aarch64_machine: Aarch64Machine, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> User:
    folder = tmp_path_factory.mktemp("user")
    (folder / "tasks.py").symlink_to(REPOSITORY / "tasks.py")
    (folder / "data").symlink_to(shared_data)
    machine = aarch64_machine
    ssh = {
        "host": machine.host,
        "port": machine.port,
        "user": machine.user,
        "identity_file": str(machine.key_file),
        "known_hosts": str(machine.known_hosts_file),
        "config": "none",
        "root": "trained",
        "health_timeout_s": 120,
    }
    budgets = {"accuracy": ACCURACY, "latency_ms": 1000.0, "model_kib": 256.0, "rss_mib": 1000.0}
    return User(
        folder,
        dict(TRAINING),
        {f"target.ssh.{name}": value for name, value in ssh.items()}
        | {f"target.budgets.{name}": value for name, value in budgets.items()},
    )


def test_a_trained_network_is_deployed_proved_replaced_and_rolled_back(
    user: User, aarch64_machine: Aarch64Machine
) -> None:
    listen = ["--input", f"/home/pi/{AUDIO}", "--resolver", "reference", "--threshold", "0.4"]
    assert aarch64_machine.run(["mkfifo", AUDIO]).returncode == 0

    user.invoke("deploy")
    first = json.loads(user.made("deployment.json").read_text(encoding="utf-8"))
    assert first["previous"] is None
    # A machine as bare as this one waits for a microphone, and for the program that reads one.
    assert first["service"]["healthy"]
    assert first["service"]["audio"] == "waiting"

    user.invoke("deploy", listen=listen)
    second = json.loads(user.made("deployment.json").read_text(encoding="utf-8"))
    assert second["previous"] == first["release"] != second["release"]
    assert second["uploaded_bytes"] < 0.1 * second["shared_bytes"]

    user.invoke("check", listen=listen)
    measured = json.loads(user.made("report.json").read_text(encoding="utf-8"))["pruned"]
    there = measured["linux"]
    assert there["machine"]["machine"] == "aarch64"
    assert there["release"] == second["release"]
    assert there["runtime"]["name"] == "ai-edge-litert"
    assert there["comparison"]["kind"] == "bits"
    assert there["comparison"]["same"] == measured["accuracy"]["clips"] == 812
    assert measured["device_accuracy"] == measured["accuracy"]

    keyword = _best_heard(measured)
    _speak(aarch64_machine, _spoken(user, keyword))
    heard = _detections(user, keyword)
    assert {line["release"] for line in heard} == {second["release"]}

    assert user.told("rollback")["release"] == first["release"]
    status = user.told("status")
    assert status["running"] == first["release"]
    assert status["service"]["healthy"]


def _best_heard(measured: dict[str, Any]) -> str:
    confusion = np.array(measured["confusion"])
    recall = np.diag(confusion) / confusion.sum(axis=1)
    keywords = [i for i, label in enumerate(measured["labels"]) if not label.startswith("_")]
    best = max(keywords, key=lambda each: float(recall[each]))
    return str(measured["labels"][best])


def _spoken(user: User, keyword: str) -> bytes:
    """Test clips of a keyword, each followed by silence."""
    (folder,) = (user.folder / "build" / "store" / "clips").iterdir()
    test = Dataset.load(folder).test
    clips = test.pcm[[keyword in name for name in test.names]][:SPOKEN]
    assert len(clips) == SPOKEN
    return np.concatenate([clips, np.zeros_like(clips)], axis=1).astype("<i2").tobytes()


def _speak(machine: Aarch64Machine, content: bytes) -> None:
    done = machine.run(["sh", "-c", 'cat >"$1"', "sh", AUDIO], stdin=content)
    assert done.returncode == 0, done.stderr.decode()


def _detections(user: User, keyword: str) -> list[dict[str, Any]]:
    """What the service heard of what was spoken; most of it, or it is deaf."""
    deadline = time.monotonic() + 60
    while True:
        lines = [json.loads(line) for line in user.invoke("logs").splitlines() if line[:1] == "{"]
        heard = [line for line in lines if line["kind"] == "detection"]
        right = [line for line in heard if line["label"] == keyword]
        if len(right) > SPOKEN / 2:
            return heard
        assert time.monotonic() < deadline, lines
        time.sleep(2)
