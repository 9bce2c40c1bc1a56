"""Real aarch64 wheels and a cross-compiled library in the machine."""

from __future__ import annotations

import importlib.metadata
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeprune.graph import read_graph
from edgeprune.toolchain import find_toolchain
from tests.devices.aarch64 import infer
from tests.devices.aarch64.machine import Aarch64Machine, Unavailable, skip_or_fail
from tests.devices.aarch64.wheels import install, site_folder
from tests.graph.networks import Network

ROWS = 8
#: A sum that a wrong calling convention or width would spoil.
SOURCE = """
#include <stdint.h>
int64_t weighted(const int16_t *values, int32_t count)
{
    int64_t sum = 0;
    for (int32_t index = 0; index < count; index++) {
        sum += (int64_t)(index + 1) * values[index];
    }
    return sum;
}
"""
CALL = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.weighted.restype = ctypes.c_int64
print(library.weighted((ctypes.c_int16 * 4)(1, -2, 32767, -32768), 4))
"""


@pytest.fixture(scope="module")
def litert(
    aarch64_machine: Aarch64Machine, tmp_path_factory: pytest.TempPathFactory
) -> Aarch64Machine:
    """The machine with the host's version of LiteRT in the folder ``site``."""
    version = importlib.metadata.version("ai-edge-litert")
    wanted = (f"ai-edge-litert=={version}", "numpy")
    folder = tmp_path_factory.mktemp("site")
    try:
        site = site_folder(folder, aarch64_machine.facts.python, *wanted)
    except Unavailable as reason:
        skip_or_fail(reason)
    install(aarch64_machine, site, "site")
    return aarch64_machine


def draw_inputs(model: bytes) -> np.ndarray:
    tensor = read_graph(model).input
    limits = np.iinfo(tensor.dtype)
    shape = (ROWS, *tensor.shape[1:])
    rng = np.random.default_rng(3)
    return rng.integers(limits.min, limits.max, shape, tensor.dtype, endpoint=True)


def compare(machine: Aarch64Machine, folder: Path, model: bytes) -> dict[str, np.ndarray]:
    """The host's outputs with each resolver, checked to be the machine's, bit for bit."""
    folder.mkdir()
    (folder / "model.tflite").write_bytes(model)
    np.save(folder / "inputs.npy", draw_inputs(model))
    script = shutil.copy(infer.__file__, folder)
    install(machine, folder, folder.name)

    here = subprocess.run([sys.executable, script, folder], capture_output=True, check=True)
    command = ["python3", f"{folder.name}/infer.py", folder.name]
    there = machine.run(["env", "PYTHONPATH=site", *command])
    assert there.returncode == 0, there.stderr.decode()
    for log in (here.stderr, there.stderr):
        assert b"XNNPACK delegate" in log

    expected = dict(np.load(folder / "outputs.npz"))
    outputs = machine.run(["cat", f"{folder.name}/outputs.npz"]).stdout
    found = dict(np.load(io.BytesIO(outputs)))
    assert found.keys() == expected.keys() == infer.RESOLVERS.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    # Were the resolvers one and the same, this would prove half as much.
    assert np.any(expected["reference"] != expected["default"])
    return expected


def spotter() -> bytes:
    """A network of the shape of a keyword spotter (DS-CNN), with weights drawn at random."""
    network = Network(np.random.default_rng(8), (1, 25, 10, 1), scale=0.1)
    tensor = network.conv_2d(0, 8, kernel=(10, 4), stride=(2, 2), activation="relu", gain=0.3)
    for _ in range(2):
        tensor = network.depthwise_conv_2d(tensor, activation="relu", gain=0.3)
        tensor = network.conv_2d(tensor, 8, activation="relu", gain=0.3)
    tensor = network.mean(tensor, [1, 2], keep=False)
    network.fully_connected(tensor, 12, gain=0.3)
    return network.content()


def test_litert_computes_the_hosts_bits_with_either_resolver(litert, tmp_path) -> None:
    results = compare(litert, tmp_path / "spotter", spotter())
    assert len(np.unique(results["reference"])) > 20


def test_a_trained_model_computes_the_hosts_bits(litert, tmp_path, shared_models) -> None:
    content = (shared_models / "mlperf_tiny_kws_ref.tflite").read_bytes()
    compare(litert, tmp_path / "kws", content)


def test_a_cross_compiled_library_loads(aarch64_machine, tmp_path) -> None:
    source, library = tmp_path / "weighted.c", tmp_path / "lib" / "libweighted.so"
    source.write_text(SOURCE)
    library.parent.mkdir()
    compiler = (*find_toolchain("zig").program, "cc", "-target", "aarch64-linux-gnu.2.28")
    subprocess.run([*compiler, "-shared", "-fPIC", "-O2", source, "-o", library], check=True)
    install(aarch64_machine, library.parent, "lib")
    called = aarch64_machine.run(["python3", "-I", "-c", CALL, "lib/libweighted.so"])
    assert called.stdout.decode().strip() == str(1 - 2 * 2 + 3 * 32767 - 4 * 32768)
