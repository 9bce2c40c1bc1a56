"""The sources for TensorFlow Lite Micro: what is in them, that they compile, and what they do."""

from __future__ import annotations

import ctypes
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen.tflm import OPERATORS, generate_tflm, registrations
from edgeprune.codegen.tflm.generate import activation_bytes
from edgeprune.cores import CORES
from edgeprune.errors import CompileError, FrontendError, ModelError, UnsupportedError
from edgeprune.frontend import FrontendLibrary, InputQuantization, identity, sources
from edgeprune.graph import SUPPORTED_OPERATORS, read_graph
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Toolchain
from tests.codegen.tflm_program import (
    ERROR,
    FRONTEND,
    INT8_ONLY,
    LABELS,
    NETWORKS,
    OK,
    SHAPE,
    Runner,
    bare,
    build_harness,
    compile_object,
    generated,
    int8_at,
    pooled,
    quantization_of,
    registered,
    residual,
    set_tflm,
    write,
)
from tests.graph.networks import Network


@pytest.fixture(scope="module")
def library(zig: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    files = generated(residual().content())
    return build_harness(zig, tmp_path_factory.mktemp("tflm") / "residual", files)


#: Numbers the runners of the module's library, so that each test has one of its own.
_UNUSED = itertools.count()


@pytest.fixture
def runner(library: ctypes.CDLL) -> Runner:
    """A runner that no other test has touched."""
    set_tflm(library)
    return Runner(library, next(_UNUSED))


# What is in the files.


def test_the_folder_has_every_file_that_it_promises() -> None:
    content = pooled().content()
    files = generated(content)
    pairs = {f"model_{part}" for part in ("data", "resolver", "settings", "runner")}
    own = {f"{name}{suffix}" for name in pairs for suffix in (".h", ".cc")} | {"README.md"}
    features = sources(FRONTEND)
    network_input = quantization_of(FRONTEND, read_graph(content)).sources()
    assert set(files) == own | set(features) | set(network_input)
    assert {name: files[name] for name in features} == features
    assert {name: files[name] for name in network_input} == network_input
    for name, text in files.items():
        assert text.isascii(), name
        assert text.endswith("\n"), name
        assert not text.endswith("\n\n"), name
    for name in own - {"README.md"}:
        assert max(map(len, files[name].splitlines())) <= 80, name


def test_the_array_is_the_file() -> None:
    content = residual().content()
    files = generated(content, name="my-recipe")
    body = re.search(r"kModelData\[kModelDataSize\] = \{(.*?)\};", files["model_data.cc"], re.S)
    assert body is not None
    assert bytes(int(value, 16) for value in re.findall(r"0x([0-9a-f]{2}),", body[1])) == content
    assert re.sub(r"0x[0-9a-f]{2},|\s", "", body[1]) == ""
    assert "alignas(16) const unsigned char kModelData[" in files["model_data.cc"]
    digest = read_graph(content).digest
    for name in ("model_data.h", "model_data.cc"):
        assert f"// Model: {len(content)} bytes, SHA-256\n// {digest}\n" in files[name]
        assert "// Recipe: my-recipe\n" in files[name]
    assert f"kModelDataSize = {len(content)};" in files["model_data.h"]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_resolver_has_a_place_for_each_operator(name: str) -> None:
    network, kinds, _ = NETWORKS[name]
    text = generated(network().content())["model_resolver.h"]
    assert f"tflite::MicroMutableOpResolver<{len(kinds)}>;" in text


def test_every_operator_that_is_read_can_be_registered() -> None:
    state = {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
    assert set(OPERATORS) == set(SUPPORTED_OPERATORS) - state - {"RELU_N1_TO_1"}


def test_what_tensorflow_lite_micro_lacks_is_named() -> None:
    network = Network(np.random.default_rng(0), (1, 4, 4, 2))
    network.relu(0, "relu_n1_to_1")
    with pytest.raises(UnsupportedError, match="RELU_N1_TO_1"):
        registrations(read_graph(network.content()))


def test_a_network_with_state_is_refused(shared_models: Path) -> None:
    with pytest.raises(UnsupportedError, match="state between inferences"):
        registrations(
            read_graph((shared_models / "microwakeword_hey_jarvis_v2.tflite").read_bytes())
        )


def test_settings_are_the_networks() -> None:
    content = residual().content()
    settings = generated(content)["model_settings.h"]
    graph = read_graph(content)
    for line in (
        "kLabelCount = 4;",
        "kInputSize = 240;",
        "kInputScale = 0.0625f;",
        "kInputZeroPoint = -5;",
        "kOutputScale = 0.00390625f;",
        "kOutputZeroPoint = -128;",
        f'kFrontendIdentity[] = "{identity(FRONTEND)}";',
        f"kActivationBytes = {activation_bytes(graph)};",
    ):
        assert line in settings


def test_activation_bytes_are_those_of_the_worst_step() -> None:
    # Stem to ADD: 12 x 16 values each, of which the stem's output stays for the ADD.
    assert activation_bytes(read_graph(residual().content())) == 3 * 192
    # 240 inputs and 24 x 8 = 192; then 192 and 96.
    assert activation_bytes(read_graph(pooled().content())) == 240 + 192
    # 4 scores take 16 bytes of an arena.
    assert activation_bytes(read_graph(bare().content())) == 240 + 16
    # The scores stay to the end, also when they are not computed last.
    network = bare()
    scores = network.outputs
    network.reshape(0, (1, 12, 20))
    network.outputs = scores
    assert activation_bytes(read_graph(network.content())) == 240 + 240 + 16


def test_the_readme_is_about_this_network() -> None:
    content = residual().content()
    readme = generated(content)["README.md"]
    for text in (
        "# test for TensorFlow Lite Micro",
        f"{len(content)} bytes, SHA-256 `{read_graph(content).digest}`",
        "int8 1x24x1x10, scale 0.0625, zero point -5",
        "ADD, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, MEAN, SOFTMAX |",
        "exist for ADD, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, SOFTMAX.",
        f"24 frames of 10 features, identity `{identity(FRONTEND)}`",
        "`kActivationBytes`, 576 here",
    ):
        assert text in readme
    network = Network(np.random.default_rng(4), SHAPE)
    network.reshape(0, (1, 240))
    labels = [str(index) for index in range(240)]
    assert "so it changes nothing here" in generated(network.content(), labels=labels)["README.md"]


def test_two_runs_give_the_same_bytes() -> None:
    content = residual().content()
    assert generated(content) == generated(bytes(bytearray(content)))


def test_the_operators_come_in_an_order_of_their_own() -> None:
    kinds = [each.kind for each in registrations(read_graph(residual().content()))]
    assert kinds == sorted(kinds)


# What does not fit together.


def test_labels_must_be_as_many_as_scores() -> None:
    with pytest.raises(ModelError, match="4 scores; there are 3 labels"):
        generated(bare().content(), labels=LABELS[:3])


def test_the_input_must_be_one_clip() -> None:
    other = FRONTEND.model_copy(update={"clip_ms": 208})
    with pytest.raises(ModelError, match=r"240 values; one clip .* 25 frames of 10 features"):
        generated(bare().content(), frontend=other)


def test_the_input_quantization_must_be_of_the_front_end() -> None:
    content = bare().content()
    graph = read_graph(content)
    wrong = InputQuantization(multipliers=(1,) * 9, offsets=(0,) * 9, shift=1)
    with pytest.raises(ModelError, match="for 9 features; the front-end has 10"):
        generate_tflm(
            content,
            graph,
            labels=LABELS,
            frontend=FRONTEND,
            input_quantization=wrong,
            name="test",
        )


def test_the_graph_must_be_of_the_model() -> None:
    content = bare().content()
    graph = read_graph(pooled().content())
    with pytest.raises(ValueError, match="another file"):
        generate_tflm(
            content,
            graph,
            labels=LABELS,
            frontend=FRONTEND,
            input_quantization=quantization_of(FRONTEND, graph),
            name="test",
        )


def test_a_front_end_that_can_not_be_built_is_refused() -> None:
    # Both fronts have one clip of 240 values; this one's filters are narrower than a bin.
    crowded = FRONTEND.model_copy(update={"low_hz": 3598.0})
    with pytest.raises(FrontendError):
        generated(bare().content(), frontend=crowded)


# That it compiles.

HOSTILE = 'a "name" */ /* \\\n#error ??/\n\U0001f600`x` \\'


@pytest.mark.parametrize("core", CORES)
def test_sources_compile_for_every_core(
    core: str, cross_compiler: Toolchain, tmp_path: Path
) -> None:
    if not CORES[core].bare_metal and cross_compiler.name != "zig":
        pytest.skip(f"{cross_compiler.name} does not build for {core}")
    files = generated(residual().content(), name=HOSTILE)
    folder = write(tmp_path / "program", files)
    (folder / "example.cc").write_text(_example(files["README.md"]))
    for name in ("model_data", "model_resolver", "model_settings", "model_runner", "example"):
        assert (folder / compile_object(cross_compiler, folder, f"{name}.cc", core=core)).is_file()
    compile_object(cross_compiler, folder, "model_resolver.cc", core=core, defines=INT8_ONLY)


def test_the_c_files_compile_beside_them(cross_compiler: Toolchain, tmp_path: Path) -> None:
    folder = write(tmp_path / "program", generated(pooled().content()))
    names = sorted(path.name for path in folder.glob("*.c"))
    assert "frontend.c" in names
    for name in names:
        assert (folder / compile_object(cross_compiler, folder, name, core="cortex-m4")).is_file()


def test_files_of_two_networks_do_not_compile(zig: Toolchain, tmp_path: Path) -> None:
    files = generated(residual().content())
    other = FRONTEND.model_copy(update={"high_hz": 3500.0})
    files["frontend_config.h"] = sources(other)["frontend_config.h"]
    folder = write(tmp_path / "program", files)
    with pytest.raises(CompileError, match="belongs to another network"):
        compile_object(zig, folder, "model_settings.cc")


def _example(readme: str) -> str:
    found = re.search(r"```c\+\+\n(.*?)```", readme, re.S)
    assert found is not None
    return found[1] + "\n"


def test_a_hostile_name_stays_on_its_line() -> None:
    plain, hostile = (generated(bare().content(), name=name) for name in ("test", HOSTILE))
    for name, text in plain.items():
        assert len(hostile[name].splitlines()) == len(text.splitlines()), name
    assert "`x`" not in hostile["README.md"]


# What it does.


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("int8_only", [False, True])
def test_exactly_the_operators_are_registered(
    name: str, int8_only: bool, zig: Toolchain, tmp_path: Path
) -> None:
    network, plain, int8 = NETWORKS[name]
    files = generated(network().content())
    library = build_harness(zig, tmp_path / "program", files, INT8_ONLY if int8_only else None)
    assert registered(library) == (int8 if int8_only else plain)


def test_a_resolver_that_is_too_small_is_noticed(zig: Toolchain, tmp_path: Path) -> None:
    files = generated(residual().content())
    files["model_resolver.h"] = files["model_resolver.h"].replace("Resolver<6>", "Resolver<5>")
    library = build_harness(zig, tmp_path / "program", files)
    set_tflm(library)
    assert registered(library) == []
    assert Runner(library, 0).init() == ERROR


def test_labels_reach_the_program_unharmed(zig: Toolchain, tmp_path: Path) -> None:
    labels = ('say "no"', "back\\slash??/", "größe\n\t7", "")
    files = generated(residual().content(), labels=labels)
    library = build_harness(zig, tmp_path / "program", files)
    assert library.harness_label_count() == len(labels)
    assert tuple(library.harness_label(i).decode() for i in range(len(labels))) == labels


def test_the_compiled_array_is_the_file(library: ctypes.CDLL) -> None:
    address = library.harness_model()
    assert address % 16 == 0
    assert ctypes.string_at(address, library.harness_model_size()) == residual().content()


def test_the_network_is_fed_what_it_was_trained_on(
    runner: Runner, zig: Toolchain, build_cache: Path
) -> None:
    """Samples in pieces of any size; the window slides over the newest frames."""
    rng = np.random.default_rng(5)
    clips = 3
    pcm = rng.normal(0, 1, clips * FRONTEND.clip_samples) * 6000
    pcm = (pcm * np.linspace(0.05, 2, len(pcm))).clip(-32768, 32767).astype(np.int16)
    frontend = FrontendLibrary.build(FRONTEND, zig, build_cache)
    quantization = quantization_of(FRONTEND, read_graph(residual().content()))
    assert runner.init() == OK
    taken, frames, inferences = 0, 0, 0
    while taken < len(pcm):
        piece = pcm[taken : taken + int(rng.integers(1, 150))]
        completed = runner.push(piece)
        taken += len(piece)
        before, frames = frames, max(0, 1 + (taken - FRONTEND.window) // FRONTEND.hop)
        assert completed == frames - before
        assert runner.ready() == (frames >= FRONTEND.frames)
        if not completed or frames < FRONTEND.frames:
            continue
        assert runner.infer() == OK
        first = (frames - FRONTEND.frames) * FRONTEND.hop
        clip = np.zeros(FRONTEND.clip_samples, np.int16)
        heard = pcm[first : min(first + FRONTEND.clip_samples, taken)]
        clip[: len(heard)] = heard
        expected = quantization.apply(frontend.features(clip[np.newaxis]))[0].reshape(-1)
        np.testing.assert_array_equal(int8_at(runner.library.harness_fed(), 240), expected)
        assert runner.scores() == expected[: len(LABELS)].tolist()
        assert runner.best() == int(np.argmax(expected[: len(LABELS)]))
        inferences += 1
    assert inferences > 30
    assert len(set(expected.tolist())) > 20


def test_nothing_is_inferred_before_a_whole_clip_or_before_init(runner: Runner) -> None:
    needed = FRONTEND.window + (FRONTEND.frames - 1) * FRONTEND.hop
    assert runner.init() == OK
    runner.push(np.zeros(needed - 1, np.int16))
    assert runner.infer() == ERROR
    assert (runner.scores(), runner.best()) == (None, len(LABELS))
    runner.push(np.zeros(1, np.int16))
    assert runner.infer() == OK
    assert runner.scores() is not None
    runner.reset()
    assert (runner.ready(), runner.infer(), runner.scores()) == (False, ERROR, None)


def test_without_init_nothing_is_inferred(runner: Runner) -> None:
    runner.push(np.zeros(FRONTEND.clip_samples, np.int16))
    assert (runner.ready(), runner.infer(), runner.arena()) == (True, ERROR, 0)


def test_a_failed_inference_leaves_no_scores(runner: Runner) -> None:
    assert runner.init() == OK
    runner.push(np.zeros(FRONTEND.clip_samples, np.int16))
    assert runner.infer() == OK
    set_tflm(runner.library, fails=True)
    assert runner.infer() == ERROR
    assert runner.scores() is None


def test_init_is_for_once(runner: Runner) -> None:
    assert runner.init() == OK
    assert runner.arena() == 4096
    assert runner.init() == ERROR


@pytest.mark.parametrize(("tail", "least"), [(200, 576), (900, 932)])
def test_an_arena_that_can_not_do_is_refused_aloud(runner: Runner, tail: int, least: int) -> None:
    """Before the interpreter's constructor, which would run over its end."""
    set_tflm(runner.library, used=0, tail=tail)
    before = runner.library.harness_logged()
    for count, size in enumerate((0, 1, least - 1), start=1):
        assert runner.init(size) == ERROR
        assert runner.library.harness_logged() == before + count
    assert runner.init(least) == OK


@pytest.mark.parametrize(
    ("version", "input_bytes", "used"), [(2, 240, 4096), (3, 239, 4096), (3, 240, 4097)]
)
def test_what_the_interpreter_refuses_fails_init(
    runner: Runner, version: int, input_bytes: int, used: int
) -> None:
    set_tflm(runner.library, version=version, input_bytes=input_bytes, used=used)
    assert runner.init(4096) == ERROR
    runner.push(np.zeros(FRONTEND.clip_samples, np.int16))
    assert runner.infer() == ERROR


# A model by others.


def test_the_published_network(kws_model: Path, zig: Toolchain, tmp_path: Path) -> None:
    content = kws_model.read_bytes()
    labels = [f"word {index}" for index in range(12)]
    files = generated(content, labels=labels, frontend=Frontend(kind="mfcc"), name="mlperf")
    library = build_harness(zig, tmp_path / "program", files)
    assert registered(library) == [
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "RESHAPE",
        "SOFTMAX",
    ]
    assert ctypes.string_at(library.harness_model(), library.harness_model_size()) == content
    assert "kActivationBytes = 16000;" in files["model_settings.h"]
