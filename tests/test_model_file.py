"""A network that comes as a .tflite file: build, check and bench, without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeprune.bench import VARIANTS
from tests.graph.networks import Network
from tests.user import User

#: What nobody needs who compiles a model by someone else.
UNNEEDED = ["tensorflow", "keras", "librosa", "soundfile", "ai_edge_litert"]

GENEROUS = ["--set=target.budgets.model_kib=64", "--set=target.budgets.latency_ms=1000"]


def _network() -> bytes:
    network = Network(np.random.default_rng(7), (1, 12, 6, 2), scale=0.05, zero_point=-4)
    layer = network.conv_2d(0, 16, kernel=(3, 3), activation="relu")
    layer = network.depthwise_conv_2d(layer, 1, kernel=(3, 3), activation="relu")
    layer = network.conv_2d(layer, 16, activation="relu")
    layer = network.average_pool_2d(layer, kernel=(12, 6), padding="valid", stride=(12, 6))
    layer = network.reshape(layer, (1, 16))
    network.softmax(network.fully_connected(layer, 4))
    return network.content()


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    user = User(tmp_path_factory.mktemp("user"))
    (user.folder / "net.tflite").write_bytes(_network())
    return user


def test_a_model_file_is_built_without_what_trains(user: User) -> None:
    done = user.run("build", "--model=net.tflite", "--target=cortex-m4", blocked=UNNEEDED)
    assert done.returncode == 0, done.stderr
    folder = user.folder / "build/cortex-m4/net"
    assert done.stdout.splitlines()[-1] == "build/cortex-m4/net"
    assert {"firmware.elf", "firmware.bin", "firmware.hex", "sizes.json", "program"} <= {
        path.name for path in folder.iterdir()
    }
    manifest = json.loads((folder / "program/program.json").read_text())
    assert manifest["frontend_identity"] is None
    assert [layer["op"] for layer in manifest["layers"]][:3] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
    ]


def test_labels_stand_in_the_header(user: User) -> None:
    done = user.run("build", "--model=net.tflite", "--labels=yes, no,on,off")
    assert done.returncode == 0, done.stderr
    program = user.folder / "build/cortex-m4/net/program"
    assert "#define EDGEPRUNE_MODEL_LABELS 4" in (program / "model.h").read_text()
    assert json.loads((program / "program.json").read_text())["labels"] == [
        "yes",
        "no",
        "on",
        "off",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model=net.tflite", "--labels=yes,no"], "2 labels for 4 scores"),
        (["--labels=yes,no"], "a recipe's labels are its keywords"),
    ],
)
def test_labels_that_do_not_fit(user: User, arguments: list[str], says: str) -> None:
    done = user.run("build", *arguments)
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_profile_names_every_layer_with_its_cost(user: User) -> None:
    done = user.run("build", "--model=net.tflite", "--target=cortex-m4", "--profile")
    assert done.returncode == 0, done.stderr
    header = next(line for line in done.stdout.splitlines() if " MACs " in line)
    for column in ("layer", "instructions", "per MAC", "constants", "code"):
        assert column in header
    macs = 12 * 6 * 16 * 2 * 9
    row = next(
        line for line in done.stdout.splitlines() if line.startswith("0 ") and "CONV_2D" in line
    )
    assert f"{macs:,}" in row


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4"])
def test_a_check_judges_what_a_model_file_can_be_judged_by(user: User, target: str) -> None:
    done = user.run(
        "check", "--model=net.tflite", f"--target={target}", *GENEROUS, blocked=UNNEEDED
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((user.folder / f"build/{target}/net/report.json").read_text())
    checks = {check["name"]: check["status"] for check in report["verdict"]["checks"]}
    assert checks.pop("accuracy") == "not judged"
    assert checks["agreement"] == "pass"
    assert set(checks.values()) == {"pass"}
    assert report["pruned"]["latency"]["inference_instructions"] > 10_000
    assert report["pruned"]["accuracy"] is None


def test_a_missed_budget_of_a_model_file_exits_with_1(user: User) -> None:
    done = user.run(
        "check", "--model=net.tflite", "--set=target.budgets.instructions=1000", *GENEROUS
    )
    assert done.returncode == 1
    assert "a budget is missed" in done.stdout


def test_optimize_is_the_targets_key(user: User) -> None:
    sizes = {}
    for objective in ("speed", "size"):
        done = user.run(
            "build", "--model=net.tflite", "--target=cortex-m4", f"--optimize={objective}"
        )
        assert done.returncode == 0, done.stderr
        table = json.loads((user.folder / "build/cortex-m4/net/sizes.json").read_text())
        sizes[objective] = table["flash"]
    assert sizes["size"] < sizes["speed"]
    done = user.run("build", "--model=net.tflite", "--optimize=fast")
    assert done.returncode == 2
    assert "optimize" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=absent.tflite"], "absent.tflite: can't be read"),
        (["--model=damaged.tflite"], "damaged.tflite"),
        (["--model=net.tflite", "--set=pruning.sparsity=0.5"], "no recipe whose keys"),
        (["--model=net.tflite", "--backend=tflm"], "--backend tflm"),
        (["--model=net.tflite", "--target=host", "--profile"], "has no image to profile"),
    ],
)
def test_a_mistake_gives_one_error_and_exit_code_2(
    user: User, arguments: list[str], message: str
) -> None:
    (user.folder / "damaged.tflite").write_bytes(_network()[:700])
    done = user.run("build", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_bench_writes_the_records_and_the_page(user: User) -> None:
    done = user.run(
        "bench",
        "--model=net.tflite",
        "--core=cortex-m4",
        "--variant=dense",
        "--variant=dense, plain kernels",
        "--json=bench.json",
        "--markdown=bench.md",
        blocked=UNNEEDED,
    )
    assert done.returncode == 0, done.stderr
    records = json.loads((user.folder / "bench.json").read_text())
    assert [record["variant"] for record in records] == ["dense", "dense, plain kernels"]
    assert set(records[0]) == {
        "model",
        "core",
        "variant",
        "stack",
        "device",
        "flash_bytes",
        "ram_bytes",
        "stack_bytes",
        "instructions",
        "source",
    }
    for record in records:
        assert record["core"] == "cortex-m4"
        assert record["instructions"] > 10_000
    assert records[0]["instructions"] < records[1]["instructions"]
    page = (user.folder / "bench.md").read_text()
    assert f"{records[0]['instructions']:,}" in page
    assert "CMSIS-NN" not in page, "the peers have measured another model"


def test_bench_of_an_unknown_core_or_variant_lists_what_there_is(user: User) -> None:
    done = user.run("bench", "--model=net.tflite", "--core=cortex-m9")
    assert done.returncode == 2
    assert "cortex-m4" in done.stderr
    done = user.run("bench", "--model=net.tflite", "--variant=tiny")
    assert done.returncode == 2
    assert "sparse80" in done.stderr


def test_bench_puts_the_peers_beside_the_model_that_they_measured(
    user: User, shared_models: Path
) -> None:
    model = shared_models / "mlperf_tiny_kws_ref.tflite"
    done = user.run(
        "bench", f"--model={model}", "--core=cortex-m4", "--variant=dense", "--json=peers.json"
    )
    assert done.returncode == 0, done.stderr
    records = json.loads((user.folder / "peers.json").read_text())
    assert records[0]["stack"].startswith("edgeprune")
    assert {"TFLM + CMSIS-NN, -O2, int8 registrations"} <= {each["stack"] for each in records}
    assert "TFLM + CMSIS-NN" in done.stdout


def test_variants_have_names_of_their_own() -> None:
    names = [variant.name for variant in VARIANTS]
    assert len(set(names)) == len(names)
    assert names[0] == "dense"
