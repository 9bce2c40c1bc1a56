"""``invoke payoff`` as a user runs it, on a network that is trained in seconds."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.user import User

TINY = """
name = "tiny"
[data]
kind = "synthetic"
keywords = ["yes"]
unknown_words = ["water"]
train_clips = 16
validation_clips = 4
test_clips = 6
[frontend]
clip_ms = 500
[model]
kind = "matchbox"
width = 8
blocks = 1
[training]
epochs = 9
batch = 16
[pruning]
channel_multiple = 4
epochs = 9
[evaluation]
device_clips = 2
counted_clips = 1
"""

#: Few epochs, as ``--set`` lays them over the recipe.
FEW = ("--set=training.epochs=2", "--set=pruning.epochs=2", "--set=target.budgets.accuracy=0")
GRID = ("--structures=channel,unstructured", "--sparsity=0.5")

IDS = ["dense", "dense-tuned", "channel-50", "unstructured-50", "narrower-4", "dense-4bit"]


@dataclass
class Payer(User):
    """A user with a tiny recipe."""

    def payoff(self, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run("payoff", "--recipe=tiny.toml", *GRID, *FEW, *more)

    def records(self, name: str) -> dict[str, dict[str, Any]]:
        records = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return {record["id"]: record for record in records}

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.arguments("payoff", "--recipe=tiny.toml", *GRID, *FEW, "--json=never.json"),
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )


def _payer(folder: Path) -> Payer:
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    return Payer(folder)


@pytest.fixture(scope="module")
def killed_and_resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Payer, str, str]:
    """A user whose run was killed, what it had said by then, and what the next run said."""
    user = _payer(tmp_path_factory.mktemp("payer"))
    process = user.start()
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if " 2 of 6 " in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL, said
    files = ("--json=out/p.json", "--csv=out/p.csv", "--markdown=out/p.md", "--plot=out/p")
    done = user.payoff(*files)
    assert done.returncode == 0, done.stdout + done.stderr
    return user, said, done.stdout + done.stderr


def test_a_killed_run_goes_on_where_it_was(killed_and_resumed: tuple[Payer, str, str]) -> None:
    user, before, after = killed_and_resumed
    assert before.count("made in") >= 3
    lines = {line[:9].strip(): line for line in after.splitlines() if " of 6 " in line}
    assert "up to date" in lines["1 of 6"]
    assert "up to date" in lines["2 of 6"]
    assert "made in" in lines["6 of 6"]
    assert not (user.folder / "never.json").exists()
    counted = re.search(r"6 networks: done, (\d+) steps", after)
    assert counted, after
    assert int(counted[1]) <= 26, "what was there already counts as work: 38 steps in all"
    assert not list((user.folder / "build" / "store" / ".partial").iterdir())


def test_every_network_is_in_the_files(killed_and_resumed: tuple[Payer, str, str]) -> None:
    user, _, said = killed_and_resumed
    records = user.records("out/p.json")
    assert list(records) == IDS
    assert {record["epochs"] for record in records.values()} == {2, 4}, "--set was not honoured"
    assert records["dense"]["epochs"] == 2
    svg = (user.folder / "out/p.svg").read_text(encoding="utf-8")
    for identifier, record in records.items():
        assert record["title"] in said
        assert f'id="flash_bytes-{identifier}"' in svg
        assert f'id="instructions-{identifier}"' in svg
    names = {path.name for path in (user.folder / "out").iterdir()}
    assert names == {"p.json", "p.csv", "p.md", "p.png", "p.svg"}


def test_the_figures_are_those_of_the_networks(
    killed_and_resumed: tuple[Payer, str, str],
) -> None:
    records = killed_and_resumed[0].records("out/p.json")
    dense, channel = records["dense-tuned"], records["channel-50"]
    narrow, zeros = records["narrower-4"], records["unstructured-50"]
    assert dense["nonzero_parameters"] > 0.99 * dense["parameters"]
    for key in ("parameters", "macs", "tflite_bytes", "gzip_bytes", "flash_bytes", "instructions"):
        assert channel[key] < dense[key]
    assert (channel["parameters"], channel["macs"]) == (narrow["parameters"], narrow["macs"])
    assert (zeros["parameters"], zeros["macs"]) == (dense["parameters"], dense["macs"])
    assert zeros["nonzero_parameters"] < 0.8 * dense["nonzero_parameters"]
    assert zeros["gzip_bytes"] < dense["gzip_bytes"]
    assert records["dense-4bit"]["weights"] == "int4"
    assert [record["id"] for record in records.values() if record["verdict"]] == [
        "channel-50",
        "unstructured-50",
    ]
    assert all(record["verdict"]["reason"] for record in (channel, zeros))


def test_tflite_micro_sees_bytes_of_arrays_and_no_zeros(
    killed_and_resumed: tuple[Payer, str, str],
) -> None:
    user = killed_and_resumed[0]
    done = user.payoff("--backend=tflm", "--json=tflm.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made in" not in done.stdout, "nothing has to be trained or measured for it"
    records = user.records("tflm.json")
    assert all(record["c_array_bytes"] == record["tflite_bytes"] for record in records.values())
    assert all(record["flash_bytes"] is None for record in records.values())
    zeros = records["unstructured-50"]
    assert zeros["c_array_bytes"] == records["dense-tuned"]["c_array_bytes"]
    assert zeros["verdict"]["pays"] is False
    assert zeros["verdict"]["reason"].startswith("saves no byte of C array and no multiply-acc")


@pytest.mark.slow
def test_the_host_has_no_flash_and_says_so(killed_and_resumed: tuple[Payer, str, str]) -> None:
    user = killed_and_resumed[0]
    done = user.payoff("--target=host", "--json=host.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no flash" in done.stdout
    assert "not judged" in done.stdout
    assert {each["flash_bytes"] for each in user.records("host.json").values()} == {None}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--structures=chanel"], "--structures: there is no structure 'chanel'"),
        (["--backend=rust"], "--backend: there is no backend 'rust'"),
        (["--set=pruning.epoks=1"], "--set: pruning.epoks: is not a key here. Did you mean"),
    ],
)
def test_a_mistake_is_one_message_and_trains_nothing(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    user = _payer(tmp_path)
    done = user.run("payoff", "--recipe=tiny.toml", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "build" / "store" / "clips").exists()


def test_without_matplotlib_a_plot_is_refused_before_the_training(tmp_path: Path) -> None:
    user = _payer(tmp_path)
    blocked = "import importlib.util as u; f = u.find_spec; "
    blocked += "u.find_spec = lambda n, *a: None if n == 'matplotlib' else f(n, *a)"
    (tmp_path / "sitecustomize.py").write_text(blocked, encoding="utf-8")
    done = subprocess.run(
        user.arguments("payoff", "--recipe=tiny.toml", "--plot=p"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "pip install 'edgeprune[plot]'" in done.stderr
    assert not (tmp_path / "build" / "store" / "clips").exists()


@pytest.mark.slow
def test_a_killed_run_ends_with_the_figures_of_a_whole_one(
    tmp_path: Path, killed_and_resumed: tuple[Payer, str, str]
) -> None:
    whole = _payer(tmp_path)
    done = whole.payoff("--json=p.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert whole.records("p.json") == killed_and_resumed[0].records("out/p.json")
