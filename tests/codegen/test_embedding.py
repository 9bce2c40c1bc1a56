"""The example of docs/embedding.md, compiled as a reader would compile it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, Program, generate, generate_levels
from edgeprune.cores import CORES
from edgeprune.graph import read_graph
from edgeprune.toolchain import Toolchain
from tests.codegen.nested import nested_files, separable
from tests.graph.networks import Network

PAGE = Path(__file__).parents[2] / "docs" / "embedding.md"

MAIN = """\
#include <stdio.h>
#include "model.h"
void keyword_start(void);
uint32_t keyword_of(const int8_t *features);
int main(void)
{
    static const int8_t features[EDGEPRUNE_MODEL_INPUT_SIZE] = {FEATURES};
    keyword_start();
    printf("%u\\n", (unsigned)keyword_of(features));
    return 0;
}
"""


LEVELS_MAIN = """
static edgeprune_model model;
int main(void)
{
    edgeprune_model_reset(&model);
    if (model.level != 0) {
        return 1;
    }
    keyword_effort(&model, 1);
    if (model.level != 1 || edgeprune_set_level(&model, 2) != 1) {
        return 2;
    }
    keyword_effort(&model, 0);
    return (int)model.level;
}
"""


@pytest.fixture(scope="module")
def content() -> bytes:
    network = Network(np.random.default_rng(5), (1, 9, 7, 4), scale=0.1, zero_point=3)
    layer = network.conv_2d(0, 8, kernel=(3, 3), activation="relu")
    layer = network.depthwise_conv_2d(layer, 1, kernel=(3, 3), activation="relu")
    layer = network.conv_2d(layer, 8, activation="relu")
    layer = network.reshape(layer, (1, 9 * 7 * 8))
    network.softmax(network.fully_connected(layer, 5))
    return network.content()


@pytest.fixture(scope="module")
def program(content: bytes) -> Program:
    return generate(read_graph(content), labels=(), core=CORES["cortex-m4"])


def _examples() -> list[str]:
    """The keyword's, and that of the levels."""
    found: list[str] = re.findall(r"```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found


@pytest.mark.parametrize("language", ["c99", "c++17"])
def test_the_example_of_the_page_compiles_and_finds_the_keyword(
    language: str,
    program: Program,
    zig: Toolchain,
    host_cc: Toolchain,
    build_cache: Path,
    tmp_path: Path,
) -> None:
    example, _ = _examples()
    features = np.random.default_rng(1).integers(-128, 128, program.manifest.input.elements)
    files = program.files | {
        "keyword.c": example,
        "main.c": MAIN.replace("FEATURES", ", ".join(map(str, features))),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-pedantic"]
    (cc,) = host_cc.program
    objects = []
    for name in sorted(name for name in files if name.endswith(".c")):
        # The generated files are C; what the user writes may be C++.
        own = language == "c++17" and name in ("keyword.c", "main.c")
        command = ["-x", "c++" if own else "c", f"-std={language if own else 'c99'}"]
        objects.append(f"{name}.o")
        subprocess.run(
            [cc, *command, *warnings, "-O2", "-c", name, "-o", objects[-1]],
            cwd=tmp_path,
            check=True,
        )
    subprocess.run([cc, *objects, "-o", "keyword", "-lstdc++"], cwd=tmp_path, check=True)
    done = subprocess.run(
        [str(tmp_path / "keyword")], stdout=subprocess.PIPE, text=True, check=True
    )
    scores = HostProgram.build(program, zig, build_cache).invoke(
        features.astype(np.int8)[np.newaxis]
    )
    assert int(done.stdout) == int(np.argmax(scores[0]))


@pytest.mark.parametrize("language", ["c99", "c++17"])
def test_the_example_of_levels_compiles_and_sets_them(
    language: str, host_cc: Toolchain, tmp_path: Path
) -> None:
    _, example = _examples()
    graphs = [read_graph(each) for each in nested_files(1, (1, 9, 5, 1), [8, 4], separable)]
    program = generate_levels(graphs, labels=())
    for name, text in program.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    suffix = "cpp" if language == "c++17" else "c"
    (tmp_path / f"effort.{suffix}").write_text(example + LEVELS_MAIN, encoding="utf-8")
    compiler = [*host_cc.program]
    objects = []
    for source in sorted(tmp_path.glob("*.c*")):
        objects.append(str(source.with_suffix(".o")))
        standard = "c99" if source.suffix == ".c" else language
        options = [f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-c", str(source)]
        subprocess.run([*compiler, *options, "-o", objects[-1]], check=True, cwd=tmp_path)
    subprocess.run([*compiler, *objects, "-o", str(tmp_path / "effort")], check=True)
    subprocess.run([str(tmp_path / "effort")], check=True)
