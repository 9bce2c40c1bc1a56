"""The tasks, as a user runs them, with a host that is a private sshd."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.bundle import Bundle, DeviceFacts
from edgeprune.deployment.delivery import deliver
from edgeprune.devices.ssh import Reach
from edgeprune.errors import DeploymentError
from edgeprune.progress import Progress, SilentProgress
from edgeprune.remote import connect
from edgeprune.store import Artifact
from edgeprune.target import Target
from edgeprune.tasks import deployment as tasks
from edgeprune.tasks import way
from tests.deployment.device import DeviceFolder
from tests.deployment.stub_bundle import stub_bundle
from tests.remote.sshd import Sshd

ROOT = "edgeprune"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class StandIn:
    """A pipeline whose bundles are made already."""

    target: Target
    folder: Path
    progress: Progress
    made: Bundle
    reach: Reach = connect
    asked: DeviceFacts | None = None

    def bundle(self, facts: DeviceFacts) -> Artifact:
        self.asked = facts
        return Artifact("bundle", "key", self.made.folder.parent)


@pytest.fixture
def target(sshd: Sshd, tmp_path: Path) -> Path:
    """A target's file."""
    table = sshd.table(root=ROOT, keep_releases=2, health_timeout_s=1.0).model_dump()
    lines = [f"{key} = {json.dumps(table[key])}" for key in table if table[key] is not None]
    text = ['schema_version = 1\nname = "pi"\ncore = "x86_64"\ndevice = "ssh"\n[ssh]', *lines]
    path = tmp_path / "pi.toml"
    path.write_text("\n".join(text), encoding="utf-8")
    return path


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs that are started can be interrupted, also below a shell's job that can't be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_release_is_deployed_watched_and_taken_back(
    sshd: Sshd,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    context, name, report = Context(), str(target), tmp_path / "report.json"
    device = DeviceFolder.behind(sshd, ROOT)
    made = [
        stub_bundle(tmp_path / str(number) / "bundle", number, root=ROOT, fate=fate)
        for number, fate in ((1, "well"), (2, "well"), (3, "ill"))
    ]
    pipelines = [
        StandIn(Target.read(target), tmp_path / "published", SilentProgress(), bundle)
        for bundle in made
    ]
    with pytest.raises(Exit) as ended:
        tasks.status(context, target=name)
    assert ended.value.code == 1
    assert "nothing" in capsys.readouterr().out

    first = deliver(pipelines[0])  # type: ignore[arg-type]
    assert pipelines[0].asked is not None
    assert pipelines[0].asked.machine == "x86_64"
    published = json.loads((tmp_path / "published" / "deployment.json").read_text())
    assert published["release"] == first.release
    monkeypatch.setattr(way, "open_pipeline", lambda *given: pipelines[1])
    way.deploy(context, target=name)
    assert made[1].release in capsys.readouterr().out
    assert device.serving() == made[1].release

    tasks.status(context, target=name, json_=str(report))
    assert json.loads(report.read_text())["running"] == made[1].release
    assert "healthy: listening" in capsys.readouterr().out
    tasks.rollback(context, target=name, json_=str(report))
    assert json.loads(report.read_text())["release"] == first.release
    assert f"left     {made[1].release}" in capsys.readouterr().out
    tasks.logs(context, target=name, lines=1)
    assert capsys.readouterr().out.startswith("arguments ['listen'")

    with pytest.raises(Exit) as ended:
        tasks.rollback(context, target=name)
    assert ended.value.code == 2
    assert "DeploymentError: pi@127.0.0.1" in capsys.readouterr().err
    with pytest.raises(DeploymentError):
        deliver(pipelines[2])  # type: ignore[arg-type]
    assert device.serving() == first.release

    command = [sys.executable, "-m", "invoke", "--search-root", str(REPOSITORY)]
    command += ["logs", "--target", name, "--lines", "100", "--follow"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        while f"release {made[2].release}" not in run.stdout.readline():
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        assert (run.wait(20), run.stderr.read()) == (0, "")
