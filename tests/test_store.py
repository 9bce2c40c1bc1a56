"""The store: keys, atomic folders, explanations, and SIGKILL at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgeprune import store as store_module
from edgeprune.errors import EdgepruneError, StoreError
from edgeprune.store import Artifact, Outcome, Stage, Store


def _stage(
    value: object = 1,
    *,
    name: str = "made",
    upstream: dict[str, Artifact] | None = None,
    runs: list[int] | None = None,
    slot: str = "",
) -> Stage:
    def run(folder: Path) -> None:
        if runs is not None:
            runs.append(1)
        (folder / "below").mkdir()
        (folder / "below" / "value.json").write_text(json.dumps(value), encoding="utf-8")

    reads = {"table": {"value": value}}
    return Stage(name, reads, upstream or {}, ("errors.py",), run, slot)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_unchanged_stage_is_not_run_again(store: Store) -> None:
    runs: list[int] = []
    first = store.ensure(_stage(runs=runs))
    second = store.ensure(_stage(runs=runs))
    assert (first.ran, second.ran, len(runs)) == (True, False, 1)
    assert first.artifact == second.artifact
    assert first.artifact.json("below/value.json") == 1


def test_each_input_changes_the_key(store: Store, tmp_path: Path) -> None:
    base = _stage()
    above = store.ensure(_stage(5, name="above")).artifact
    other = store.ensure(_stage(6, name="above")).artifact
    keys = [
        base.key(),
        _stage(2).key(),
        _stage(name="other").key(),
        _stage(upstream={"above": above}).key(),
        _stage(upstream={"above": other}).key(),
        Stage("made", base.reads, {}, ("store.py",), base.run).key(),
    ]
    assert len(set(keys)) == len(keys)
    assert _stage(slot="elsewhere").key() == base.key()


def test_a_changed_source_file_changes_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_PACKAGE", tmp_path)
    source = tmp_path / "errors.py"
    keys = []
    for text in ("one = 1\n", "one = 2\n"):
        store_module._source_digests.cache_clear()
        source.write_text(text, encoding="utf-8")
        keys.append(_stage().key())
    store_module._source_digests.cache_clear()
    assert keys[0] != keys[1]


def test_a_stage_that_names_absent_source_is_a_bug_of_ours() -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        Stage("made", {}, {}, ("absent.py",), lambda folder: None).key()


def test_it_says_which_input_changed(store: Store) -> None:
    above = store.ensure(_stage(5, name="above")).artifact
    store.ensure(_stage(1, slot="a"))
    told: list[Outcome] = []
    outcome = store.ensure(_stage(2, slot="a", upstream={"above": above}), before_run=told.append)
    assert outcome.why == ("table.value: 1 → 2", f"upstream above: absent → {above.key}")
    assert [each.why for each in told] == [outcome.why]
    assert store.ensure(_stage(3, slot="b")).why == ("nothing was made before",)


def test_going_back_is_explained_from_what_was_used_last(store: Store) -> None:
    for value in (1, 2, 1):
        store.ensure(_stage(value, slot="a"))
    assert store.explain(_stage(3, slot="a")) == ("table.value: 1 → 3",)


@pytest.mark.parametrize("error", [EdgepruneError("no"), KeyboardInterrupt(), ZeroDivisionError()])
def test_a_stage_that_fails_leaves_nothing(store: Store, error: BaseException) -> None:
    def run(folder: Path) -> None:
        (folder / "half").write_text("half", encoding="utf-8")
        raise error

    stage = Stage("made", {}, {}, (), run)
    with pytest.raises(type(error)):
        store.ensure(stage)
    assert store.find(stage) is None
    assert not list(store.root.rglob("half"))


@pytest.mark.parametrize("damage", ["truncate", "remove", "manifest", "no manifest"])
def test_a_damaged_artifact_is_made_again(store: Store, damage: str) -> None:
    path = store.ensure(_stage()).artifact.path
    value, manifest = path / "below" / "value.json", path / "artifact.json"
    match damage:
        case "truncate":
            value.write_text("", encoding="utf-8")
        case "remove":
            value.unlink()
        case "manifest":
            manifest.write_text('{"layout": 1, "files": [', encoding="utf-8")
        case _:
            manifest.unlink()
    outcome = store.ensure(_stage())
    assert outcome.ran
    assert outcome.why == ("the artifact is gone or damaged",) or damage.endswith("manifest")
    assert outcome.artifact.json("below/value.json") == 1


def test_an_unreadable_file_of_an_artifact_is_a_store_error(store: Store) -> None:
    artifact = store.ensure(_stage()).artifact
    with pytest.raises(StoreError, match=r"has no readable absent\.json"):
        artifact.json("absent.json")


def test_two_threads_run_a_stage_once(store: Store) -> None:
    runs: list[int] = []
    gate = threading.Barrier(4)

    def run(folder: Path) -> None:
        runs.append(1)
        time.sleep(0.05)
        (folder / "file").write_text("x", encoding="utf-8")

    def work() -> None:
        gate.wait()
        store.ensure(Stage("made", {}, {}, (), run))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1


_CHAIN = """
import sys, time
from pathlib import Path
from edgeprune.store import Stage, Store

store = Store(Path(sys.argv[1]))

def run(folder):
    for index in range(20):
        (folder / f"{index}.txt").write_text("x" * 1000)
        time.sleep(0.001)

upstream = {}
print("begin", flush=True)
for number in range(4):
    stage = Stage(f"stage{number}", {"number": number}, upstream, (), run)
    upstream = {"above": store.ensure(stage).artifact}
print("end", flush=True)
"""


def _whole(root: Path) -> bool:
    return all(
        sum(1 for each in path.iterdir() if each.suffix == ".txt") == 20
        for path in root.glob("stage*/*")
    )


def test_killed_at_any_moment_the_next_run_completes(tmp_path: Path) -> None:
    root = tmp_path / "store"
    killed = 0
    for attempt in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", _CHAIN, str(root)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(0.004 + 0.009 * attempt)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0]
        killed += process.returncode == -signal.SIGKILL and rest != "end\n"
        assert _whole(root), "a half-written artifact is visible"
    assert killed >= 3, "the machine was too fast for this test to mean anything"
    done = subprocess.run(
        [sys.executable, "-c", _CHAIN, str(root)], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "begin\nend\n"
    assert sorted(path.name for path in root.glob("stage*")) == [f"stage{n}" for n in range(4)]
    assert _whole(root)
    Store(root).sweep()
    assert not list((root / ".partial").iterdir())


def test_sweep_leaves_what_a_living_process_writes(store: Store) -> None:
    kept: list[list[Path]] = []

    def run(folder: Path) -> None:
        kept.append(store.sweep())
        (folder / "file").write_text(str(os.getpid()), encoding="utf-8")

    stale = store.root / ".partial" / "made-dead"
    stale.mkdir(parents=True)
    artifact = store.ensure(Stage("made", {}, {}, (), run)).artifact
    assert kept == [[stale]]
    assert (artifact.path / "file").is_file()
