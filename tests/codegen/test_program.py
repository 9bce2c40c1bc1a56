"""The generated text: complete, documented, clean on every compiler, the same every time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from edgeprune import resources
from edgeprune.codegen import Program, generate
from edgeprune.cores import CORES, Core, CoreName
from edgeprune.errors import ModelError, ToolchainError, UnsupportedError
from edgeprune.graph import read_graph
from edgeprune.toolchain import Job, Toolchain
from tests.graph.networks import Network

_HOSTILE_NAME = 'end */ of "comment" \\ ??/ /* ü\n#error \x00'
_LABELS = ("_silence_", 'quote"\\', "grüße", "what??/")


def _network() -> Network:
    """Every kernel, a constant operand, and names that try to break out of their comments."""
    network = Network(np.random.default_rng(4), (1, 9, 6, 4), scale=0.1, zero_point=3)
    tensor = network.conv_2d(0, 6, kernel=(3, 3), stride=(2, 2), activation="relu")
    tensor = network.conv_2d(tensor, 6)
    constant = network.constant(
        np.full(network.shape(tensor), -128, dtype=np.int8), scales=[0.2], zero_points=[-3]
    )
    tensor = network.add(tensor, constant)
    tensor = network.depthwise_conv_2d(network.depthwise_conv_2d(tensor), 2)
    tensor = network.average_pool_2d(tensor)
    tensor = network.mean(tensor, [1, 2], keep=False)
    network.softmax(network.fully_connected(tensor, 4))
    for tensor_spec in network.tensors:
        tensor_spec.name = _HOSTILE_NAME + "x" * 100
    return network


@pytest.fixture(scope="module")
def program() -> Program:
    return generate(read_graph(_network().content()), labels=_LABELS, frontend_identity="ab" * 8)


def _write(program: Program, folder: Path) -> list[Path]:
    for name, text in program.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [Path(name) for name in sorted(program.files) if name.endswith(".c")]


def test_the_manifest(program: Program) -> None:
    manifest = json.loads(program.manifest.to_json())
    assert manifest["schema_version"] == 1
    assert manifest["labels"] == list(_LABELS)
    assert manifest["frontend_identity"] == "ab" * 8
    assert re.fullmatch("[0-9a-f]{16}", manifest["identity"])
    assert manifest["input"]["shape"] == [1, 9, 6, 4]
    assert manifest["input"]["size"] == 216
    assert (manifest["input"]["scale"], manifest["input"]["zero_point"]) == (
        float(np.float32(0.1)),
        3,
    )
    layers = manifest["layers"]
    assert [layer["index"] for layer in layers] == list(range(9))
    assert [layer["op"] for layer in layers][:3] == ["CONV_2D", "CONV_2D", "ADD"]
    assert layers[0]["symbol"] == "edgeprune_layer_00_conv_2d"
    assert layers[0]["kernel"] == "edgeprune_kernel_conv_2d"
    assert layers[1]["kernel"] == "edgeprune_kernel_pointwise_conv_2d"
    assert layers[0]["macs"] == 5 * 3 * 6 * 36
    assert layers[0]["weight_bytes"] == 6 * 36 + 6 * 4
    assert layers[0]["constant_bytes"] == 6 * 36 + 6 * 9
    assert layers[0]["scratch_bytes"] == 72
    assert manifest["macs"] == sum(layer["macs"] for layer in layers)
    for layer in layers:
        assert layer["output"]["offset"] + layer["output"]["size"] <= manifest["arena_bytes"]


def test_the_header_says_what_the_manifest_says(program: Program) -> None:
    header, manifest = program.files["model.h"], program.manifest
    for line in (
        "#define EDGEPRUNE_MODEL_INPUT_SIZE 216",
        "#define EDGEPRUNE_MODEL_INPUT_ZERO_POINT (3)",
        "#define EDGEPRUNE_MODEL_OUTPUT_SIZE 4",
        "#define EDGEPRUNE_MODEL_OUTPUT_SCALE 0.00390625f",
        f"#define EDGEPRUNE_MODEL_ARENA_SIZE {manifest.arena_bytes}",
        "#define EDGEPRUNE_MODEL_LAYERS 9",
        f'#define EDGEPRUNE_MODEL_IDENTITY "{manifest.identity}"',
        f"{{0x{manifest.identity[:8]}u, 0x{manifest.identity[8:]}u}}",
    ):
        assert line in header
    scale = re.search(r"INPUT_SCALE (\S+)f\n", header)
    assert scale is not None
    assert np.float32(scale[1]) == np.float32(0.1)


def test_each_layer_is_a_function_with_its_cost(program: Program) -> None:
    source = program.files["model.c"]
    for layer in program.manifest.layers:
        assert f"EDGEPRUNE_FUNCTION void {layer.symbol}(edgeprune_model *model)" in source
        macs = f"{layer.macs} MACs, " if layer.macs else ""
        assert f"{macs}{layer.constant_bytes} bytes of constants ({layer.encoding})" in source
        assert f"EDGEPRUNE_MODEL_TRACE({layer.index}," in source
    assert "CONV_2D: 1x9x6x4 -> 1x5x3x6" in source


def test_text_is_plain(program: Program) -> None:
    for name, text in program.files.items():
        assert text.isascii(), name
        assert text.endswith("\n"), name
        assert "\x00" not in text
        assert not any(line != line.rstrip() for line in text.splitlines()), name


def test_only_the_kernels_in_use_are_there() -> None:
    network = Network(np.random.default_rng(0), (1, 10), scale=0.1)
    network.softmax(0)
    files = generate(read_graph(network.content()), labels=()).files
    assert set(files) == {
        "model.h",
        "model.c",
        "model_weights.h",
        "model_weights.c",
        "kernel_softmax.c",
        "kernel_softmax.h",
        "kernel_inline.h",
        "kernel_requantize.h",
    }
    assert "edgeprune_model_labels" not in files["model.h"] + files["model.c"]


def test_the_same_twice(program: Program) -> None:
    again = generate(read_graph(_network().content()), labels=_LABELS, frontend_identity="ab" * 8)
    assert again.files == program.files
    assert again.manifest == program.manifest


def test_the_identity_follows_the_model(program: Program) -> None:
    network = _network()
    network.tensors[1].data = bytes(len(network.tensors[1].data or b""))
    other = generate(read_graph(network.content()), labels=_LABELS)
    assert other.manifest.identity != program.manifest.identity


def test_labels_are_as_many_as_scores() -> None:
    with pytest.raises(ModelError, match="2 labels for 4 scores"):
        generate(read_graph(_network().content()), labels=("yes", "no"))


def test_a_network_that_only_reshapes() -> None:
    network = Network(np.random.default_rng(0), (1, 4, 2, 1), scale=0.1)
    network.reshape(0, (1, 8))
    program = generate(read_graph(network.content()), labels=())
    assert program.manifest.layers == ()
    assert program.manifest.input.offset == program.manifest.output.offset
    assert program.manifest.arena_bytes == 8


def test_an_accumulator_that_overflows_is_refused() -> None:
    network = Network(np.random.default_rng(0), (1, 2, 2, 4), scale=0.1)
    network.conv_2d(0, 3)
    bias = network.tensors[network.operators[0].inputs[2]]
    bias.data = np.array([0, 2**31 - 1, 0], dtype="<i4").tobytes()
    with pytest.raises(UnsupportedError, match=r"output channel 1 .* overflows 32 bits") as caught:
        generate(read_graph(network.content()), labels=())
    assert "CONV_2D" in str(caught.value)


def test_a_sum_far_beyond_its_output_is_refused() -> None:
    network = Network(np.random.default_rng(0), (1, 2, 2, 4), scale=1000.0)
    network.add(0, 0, gain=1e-9)
    with pytest.raises(UnsupportedError, match="too small"):
        generate(read_graph(network.content()), labels=())


def test_a_softmax_too_long_is_refused() -> None:
    network = Network(np.random.default_rng(0), (1, 600), scale=0.1)
    network.softmax(0)
    with pytest.raises(UnsupportedError, match="511"):
        generate(read_graph(network.content()), labels=())


TEMPLATE = resources.root() / "firmware_templates" / "cortex-m"
_PEDANTIC = ("-Wpedantic", "-Wcast-qual", "-Wstrict-prototypes", "-Wmissing-prototypes")


@pytest.mark.parametrize("core", [name for name, core in CORES.items() if core.bare_metal])
def test_every_core_compiles_it_without_a_warning(
    core: CoreName, program: Program, cross_compiler: Toolchain, tmp_path: Path
) -> None:
    for source in _write(program, tmp_path):
        _compile(cross_compiler, CORES[core], source, tmp_path)


def test_the_host_compiles_it_without_a_warning(
    program: Program, host_cc: Toolchain, tmp_path: Path
) -> None:
    for source in _write(program, tmp_path):
        _compile(host_cc, CORES["host"], source, tmp_path)


def _compile(toolchain: Toolchain, core: Core, source: Path, folder: Path) -> None:
    output = folder / f"{source.stem}.o"
    try:
        toolchain.build(
            Job(
                sources=[source],
                output=output,
                core=core,
                kind="object",
                cwd=folder,
                # zig has no C library for these cores; the firmware template brings <string.h>.
                include=[] if core.name == "host" else [TEMPLATE],
                extra=_PEDANTIC,
            )
        )
    except ToolchainError as error:
        pytest.skip(str(error))
    assert output.stat().st_size > 0


def test_headers_are_good_in_cpp(program: Program, zig: Toolchain, tmp_path: Path) -> None:
    _write(program, tmp_path)
    headers = sorted(name for name in program.files if name.endswith(".h"))
    (tmp_path / "user.cc").write_text(
        "".join(f'#include "{name}"\n' for name in headers)
        + "static edgeprune_model model;\n"
        + "static const std::uint32_t words[2] = EDGEPRUNE_MODEL_IDENTITY_WORDS;\n".replace(
            "std::", ""
        )
        + "extern int classify();\n"
        + "int classify() {\n"
        + "  edgeprune_model_input(&model)[0] = 1;\n"
        + "  edgeprune_model_invoke(&model);\n"
        + "  return edgeprune_model_output(&model)[0] + int(words[0] & 1u)\n"
        + "    + edgeprune_model_labels[EDGEPRUNE_MODEL_LABELS - 1][0];\n"
        + "}\n"
    )
    zig.build(
        Job(
            sources=[Path("user.cc")],
            output=tmp_path / "user.o",
            core=CORES["cortex-m4"],
            kind="object",
            cwd=tmp_path,
        )
    )
    assert (tmp_path / "user.o").stat().st_size > 0


def test_only_string_h_is_needed(program: Program) -> None:
    text = "".join(program.files.values())
    assert set(re.findall(r"#include <([^>]*)>", text)) <= {"stdint.h", "string.h"}
    assert not re.search(r"\b(malloc|free|printf|assert)\b", text)
