"""The whole way, as a user runs it: ``invoke ship`` and its stages, on a tiny recipe."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.reference import report_schema
from tests.user import User

REPOSITORY = Path(__file__).resolve().parent.parent
CORES = ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"]

TINY = """
name = "tiny"
[data]
kind = "synthetic"
keywords = ["yes", "stop"]
unknown_words = ["water", "house"]
train_clips = 24
validation_clips = 4
test_clips = 6
[model]
kind = "matchbox"
width = 16
blocks = 2
[training]
epochs = 2
batch = 16
[pruning]
sparsity = 0.5
epochs = 2
[evaluation]
device_clips = 4
counted_clips = 1
"""

#: Budgets that any image meets, so that the exit code is about the way and not about the numbers.
GENEROUS = [
    "--set=target.budgets.accuracy=0",
    "--set=target.budgets.latency_ms=100000",
    "--set=target.budgets.flash_kib=120",
    "--set=target.budgets.ram_kib=32",
]

#: A chip that nothing fits into.
TOO_SMALL = ["--set=target.memory.ram_kib=4", "--set=target.budgets.ram_kib=4"]


class Shipper(User):
    """A user whose recipe lies in her folder."""

    def ship(self, target: str, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run("ship", "--recipe=tiny.toml", f"--target={target}", *more)

    def report(self, target: str) -> dict[str, object]:
        path = self.folder / "build" / target / "report.json"
        document: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return document


def _user(folder: Path) -> Shipper:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    return Shipper(folder)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Shipper:
    """A user who has shipped once, to a Cortex-M4."""
    user = _user(tmp_path_factory.mktemp("user"))
    done = user.ship("cortex-m4", *GENEROUS)
    assert done.returncode == 0, done.stdout + done.stderr
    return user


def _made(output: str) -> list[str]:
    return [line for line in output.splitlines() if " made in " in line]


def test_shipping_again_runs_nothing(user: Shipper) -> None:
    done = user.ship("cortex-m4", *GENEROUS)
    assert done.returncode == 0
    assert not _made(done.stdout)
    assert done.stdout.count(" up to date") == 12


def test_the_report_is_whole_and_matches_its_schema(user: Shipper) -> None:
    report = user.report("cortex-m4")
    jsonschema.validate(report, json.loads(report_schema()))
    pruned, dense = report["pruned"], report["dense"]
    assert isinstance(pruned, dict)
    assert isinstance(dense, dict)
    assert pruned["complexity"]["macs"] < 0.7 * dense["complexity"]["macs"]
    assert (
        pruned["latency"]["inference_instructions"]
        < 0.8 * dense["latency"]["inference_instructions"]
    )
    assert pruned["footprint"]["flash_bytes"] < dense["footprint"]["flash_bytes"]
    assert pruned["accuracy"]["clips"] == 4 * 6
    assert pruned["agreement"] == {"clips": 4, "identical": True, "first_difference": None}
    assert any("speech is synthetic" in str(note) for note in report["notes"])  # type: ignore[attr-defined]


def test_every_form_of_the_report_is_there(user: Shipper) -> None:
    folder = user.folder / "build" / "cortex-m4"
    assert ET.parse(folder / "junit.xml").getroot().tag == "testsuites"
    assert "| accuracy, int8, 24 clips |" in (folder / "report.md").read_text(encoding="utf-8")
    names = {path.name for path in folder.iterdir()}
    assert {"program", "firmware.elf", "firmware.bin", "firmware.hex", "sizes.json"} <= names


@pytest.mark.parametrize("core", [core for core in CORES if core != "cortex-m4"])
def test_every_other_core_gives_the_same_bits_and_shares_the_model(
    user: Shipper, core: str
) -> None:
    done = user.ship(core, *GENEROUS)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {line.split()[0] for line in _made(done.stdout)}
    assert made == {"program", "image", "measurement"}
    here, there = user.report(core)["pruned"], user.report("cortex-m4")["pruned"]
    assert isinstance(here, dict)
    assert isinstance(there, dict)
    for key in ("accuracy", "device_accuracy", "confusion", "agreement"):
        assert here[key] == there[key]


def test_another_network_front_end_structure_and_compiler(user: Shipper) -> None:
    gcc = shutil.which("arm-none-eabi-gcc") is not None
    done = user.ship(
        "cortex-m4",
        *GENEROUS,
        f"--set=target.toolchain={'arm-none-eabi-gcc' if gcc else 'zig'}",
        "--set=name=other",
        "--set=model.kind=ds-cnn",
        "--set=frontend.kind=mfcc",
        "--set=pruning.structure=unstructured",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = user.report("cortex-m4")
    pruned = report["pruned"]
    assert isinstance(pruned, dict)
    assert pruned["agreement"]["identical"] is True
    assert pruned["complexity"]["nonzero"] < 0.7 * pruned["complexity"]["weights"]
    assert user.ship("cortex-m4", *GENEROUS).returncode == 0


def test_levels_are_measured_and_each_has_its_bits(user: Shipper) -> None:
    levels = ["--set=name=levels", "--set=pruning.levels=[1.0, 0.5, 0.25]"]
    done = user.ship("cortex-m0plus", *GENEROUS, *levels)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "level 2: accuracy, int8, 24 clips" in done.stdout
    report = user.report("cortex-m0plus")
    jsonschema.validate(report, json.loads(report_schema()))
    pruned, dense = report["pruned"], report["dense"]
    assert isinstance(pruned, dict)
    assert isinstance(dense, dict)
    points = pruned["levels"]
    assert [point["level"] for point in points] == [0, 1, 2]
    assert points[0]["accuracy"] == pruned["accuracy"]
    assert all(point["agreement"]["identical"] for point in points)
    work = [point["latency"]["inference_instructions"] for point in points]
    assert work[0] > 1.4 * work[1] > 1.8 * work[2]
    assert pruned["complexity"]["macs"] == dense["complexity"]["macs"]
    model_h = user.folder / "build" / "cortex-m0plus" / "program" / "model.h"
    assert "#define EDGEPRUNE_MODEL_LEVELS 3" in model_h.read_text(encoding="utf-8")
    assert user.ship("cortex-m0plus", *GENEROUS).returncode == 0


def test_the_host_is_a_target(user: Shipper) -> None:
    done = user.ship("host", "--set=target.budgets.accuracy=0")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = user.report("host")["pruned"]
    assert isinstance(measured, dict)
    assert measured["latency"] is None
    assert measured["wall_ms"] > 0
    assert measured["confusion"] == user.report("cortex-m4")["pruned"]["confusion"]  # type: ignore[index]


def test_a_missed_budget_exits_with_1_and_says_what_to_try(user: Shipper) -> None:
    done = user.ship("cortex-m4", *GENEROUS, "--set=target.budgets.flash_kib=1")
    assert done.returncode == 1
    assert "FAIL" in done.stdout
    assert "flash_kib: try " in done.stdout
    assert "a budget is missed" in done.stdout
    assert not _made(done.stdout), "a budget is no input of any stage"
    assert user.report("cortex-m4")["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ship", "--recipe=absent"], "there is no recipe 'absent'"),
        (["ship", "--target=cortex-m5"], "there is no target 'cortex-m5'"),
        (["ship", "--set=pruning.sparsty=1"], "--set: pruning.sparsty: is not a key here. Did you"),
        (["ship", "--set=target.clok_mhz=1"], "--set: clok_mhz: is not a key here. Did you"),
        (["ship", "--recipe=tiny.toml", *GENEROUS[:1], *TOO_SMALL], "does not fit"),
        (["build", "--backend=rust", "--recipe=tiny.toml"], "there is no backend 'rust'"),
        (["build", "--profile", "--target=host", "--recipe=tiny.toml"], "has no image to profile"),
    ],
)
def test_a_mistake_exits_with_2_and_one_message(
    user: Shipper, arguments: list[str], says: str
) -> None:
    done = user.run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_names_the_input_that_changed(user: Shipper) -> None:
    done = user.run(
        "build",
        "--recipe=tiny.toml",
        "--explain",
        "--set=target.optimize=size",
        "--target=cortex-m4",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in _made(done.stdout)] == ["program", "image"]
    assert 'because target.optimize: "balanced" → "size"' in done.stdout


def test_the_stages_are_tasks_of_their_own(user: Shipper) -> None:
    for task, says in (
        ("data", "_silence_"),
        ("train", "dense, float"),
        ("prune", "pruned, float"),
        ("quantize", "build/tiny.tflite"),
        ("deploy", "cortex-m4 runs model"),
        ("build", "build/cortex-m4"),
    ):
        done = user.run(task, "--recipe=tiny.toml")
        assert done.returncode == 0, done.stdout + done.stderr
        assert says in done.stdout
        assert not _made(done.stdout)


def test_profiles_name_every_layer(user: Shipper) -> None:
    program = json.loads((user.folder / "build/cortex-m4/program/program.json").read_text())
    sizes = user.run("build", "--recipe=tiny.toml", "--profile").stdout
    profile = user.run("check", "--recipe=tiny.toml", "--profile", *GENEROUS).stdout
    for layer in program["layers"]:
        assert layer["op"] in sizes
        assert layer["op"] in profile
    assert "edgeprune_frontend_push" in profile
    assert ".text" in sizes


def test_the_tflm_backend_is_published_beside(user: Shipper) -> None:
    done = user.run("build", "--recipe=tiny.toml", "--backend=tflm")
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.name for path in (user.folder / "build/cortex-m4/tflm").iterdir()}
    assert {"model_data.h", "model_data.cc", "frontend.c"} <= names


def test_a_stored_model_needs_nothing_that_trains(user: Shipper, tmp_path: Path) -> None:
    """What ``pip install edgeprune`` without an extra is enough for."""
    other = _user(tmp_path / "base")
    shutil.copytree(user.folder / "build" / "store", other.folder / "build" / "store")
    for each in ("program", "image", "measurement"):
        shutil.rmtree(other.folder / "build" / "store" / each)
    blocked = ("tensorflow", "keras", "librosa", "soundfile", "soxr", "espeakng_loader")
    for task in ("build", "deploy"):
        done = other.run(task, "--recipe=tiny.toml", blocked=blocked)
        assert done.returncode == 0, done.stdout + done.stderr
    done = other.run("check", "--recipe=tiny.toml", *GENEROUS, blocked=blocked)
    assert done.returncode == 0, done.stdout + done.stderr
    done = other.run("train", "--recipe=tiny.toml", "--set=seed=2", blocked=blocked)
    assert done.returncode == 2
    assert "pip install" in done.stderr


def test_the_dataset_has_no_speaker_in_two_splits(user: Shipper) -> None:
    (folder,) = (user.folder / "build" / "store" / "clips").iterdir()
    dataset = Dataset.load(folder)
    speakers = [set(split.speakers) - {""} for split in dataset.splits.values()]
    assert all(speakers)
    assert not (speakers[0] & speakers[1] or speakers[0] & speakers[2] or speakers[1] & speakers[2])


def test_the_pruned_channels_are_gone_from_the_file_and_from_the_c(user: Shipper) -> None:
    from edgeprune.graph import Conv2D, read_graph

    graph = read_graph(user.folder / "build" / "tiny.tflite")
    widths = [each.output.shape[-1] for each in graph.operators if isinstance(each, Conv2D)]
    assert widths
    assert min(widths) <= 8
    zeros = [
        float(np.mean(each.weights.data == 0))
        for each in graph.operators
        if isinstance(each, Conv2D) and each.weights.data is not None
    ]
    assert max(zeros) < 0.5, "a channel that was pruned is still there, as zeros"


def _spoil(elf: Path, prefix: str) -> None:
    """Change every byte of the largest object in an image whose name starts like that."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        image = ELFFile(file)
        objects = [
            symbol
            for symbol in image.get_section_by_name(".symtab").iter_symbols()
            if symbol.name.startswith(prefix) and symbol["st_info"]["type"] == "STT_OBJECT"
        ]
        entry = max(objects, key=lambda symbol: symbol["st_size"])
        address, size = entry["st_value"], entry["st_size"]
        (offset,) = [
            segment["p_offset"] + address - segment["p_vaddr"]
            for segment in image.iter_segments("PT_LOAD")
            if segment["p_vaddr"] <= address < segment["p_vaddr"] + segment["p_filesz"]
        ]
    content = bytearray(elf.read_bytes())
    content[offset : offset + size] = bytes(byte ^ 0x55 for byte in content[offset : offset + size])
    elf.write_bytes(content)


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("edgeprune_layer_02_", "layer 2, CONV_2D"),
        ("edgeprune_frontend_window", "the front-end"),
    ],
)
def test_bits_that_differ_fail_and_name_the_first_layer(
    user: Shipper, tmp_path: Path, prefix: str, says: str
) -> None:
    other = _user(tmp_path / "spoilt")
    shutil.copytree(user.folder / "build" / "store", other.folder / "build" / "store")
    shutil.rmtree(other.folder / "build" / "store" / "measurement")
    for elf in (other.folder / "build" / "store" / "image").glob("*/firmware.elf"):
        _spoil(elf, prefix)
    done = other.run("check", "--recipe=tiny.toml", *GENEROUS)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f": {says}" in done.stdout
    agreement = other.report("cortex-m4")["pruned"]["agreement"]  # type: ignore[index]
    assert agreement["identical"] is False


@pytest.mark.slow
def test_killed_at_any_moment_the_next_run_completes(tmp_path: Path, user: Shipper) -> None:
    victim = _user(tmp_path / "victim")
    draw = random.Random(1)
    killed = 0
    for _ in range(7):
        process = subprocess.Popen(
            victim.arguments("ship", "--recipe=tiny.toml", *GENEROUS),
            cwd=victim.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(draw.uniform(0.5, 3.0))
        os.killpg(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 3
    done = victim.ship("cortex-m4", *GENEROUS)
    assert done.returncode == 0, done.stdout + done.stderr
    again = victim.ship("cortex-m4", *GENEROUS)
    assert not _made(again.stdout)
    ours, theirs = victim.report("cortex-m4"), user.report("cortex-m4")
    assert ours["pruned"] == theirs["pruned"], "what a killed run left behind changed the result"
    assert not list((victim.folder / "build" / "store" / ".partial").iterdir())
