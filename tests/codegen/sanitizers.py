"""Programs under UBSan and ASan.

zig brings UBSan and no ASan; the machine's own compiler brings both, where there is one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import Program
from edgeprune.errors import ToolchainError
from edgeprune.process import run
from edgeprune.toolchain import C_STANDARD, WARNINGS, find_toolchain

__all__ = ["MAIN", "SANITIZERS", "execute"]

MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

int main(int argc, char **argv)
{
    edgeprune_model *model = malloc(sizeof *model);
    FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;
    FILE *out = argc == 3 ? fopen(argv[2], "wb") : NULL;
    if (model == NULL || in == NULL || out == NULL) {
        return 1;
    }
    while (fread(edgeprune_model_input(model), 1, EDGEPRUNE_MODEL_INPUT_SIZE, in)
           == EDGEPRUNE_MODEL_INPUT_SIZE) {
        edgeprune_model_invoke(model);
        fwrite(edgeprune_model_output(model), 1, EDGEPRUNE_MODEL_OUTPUT_SIZE, out);
    }
    free(model);
    return fclose(in) + fclose(out);
}
"""

#: Options of each compiler.
SANITIZERS = {
    "zig": ["-target", "native", "-fsanitize=undefined", "-fsanitize-trap=undefined"],
    "host": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}


def execute(
    name: str, program: Program, inputs: np.ndarray, folder: Path, main: str = MAIN
) -> np.ndarray:
    """Compile with a compiler's sanitizers, run, and return what it computed."""
    try:
        compiler = find_toolchain(name).program
    except ToolchainError as error:
        pytest.skip(str(error))
    for file, text in {**program.files, "main.c": main}.items():
        (folder / file).write_text(text, encoding="utf-8")
    sources = sorted(path.name for path in folder.glob("*.c"))
    options = [C_STANDARD, *WARNINGS, "-O1", "-g", *SANITIZERS[name]]
    driver = [*compiler, "cc"] if name == "zig" else [*compiler]
    run([*driver, *options, *sources, "-o", "program"], cwd=folder)
    (folder / "in.bin").write_bytes(np.ascontiguousarray(inputs).tobytes())
    run([folder / "program", "in.bin", "out.bin"], cwd=folder)
    written = (folder / "out.bin").read_bytes()
    return np.frombuffer(written, dtype=np.int8).reshape(len(inputs), -1)
