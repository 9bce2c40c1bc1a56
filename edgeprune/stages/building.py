"""From an int8 model to what runs on a target: C, and the linked image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from edgeprune import resources
from edgeprune.codegen import Objective, Options, Program, generate_levels
from edgeprune.cores import CORES, CoreName
from edgeprune.frontend import InputQuantization, identity, sources
from edgeprune.graph import Graph, read_graph
from edgeprune.models.normalization import Normalization
from edgeprune.progress import Progress
from edgeprune.recipe import Recipe
from edgeprune.store import Artifact, Stage
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain

__all__ = [
    "image",
    "input_files",
    "input_quantization",
    "level_file",
    "model_graph",
    "model_graphs",
    "model_program",
    "program",
    "template_digests",
    "tflm",
    "write_files",
]

MODEL = "model.tflite"

#: What these stages do themselves is part of their artifacts' keys.
_HERE = "stages/building.py"


def program(
    recipe: Recipe, target: Target, quantized: Artifact, features: Artifact, variant: str
) -> Stage:
    """Self-contained C: model, kernels, front-end, input quantization, ``program.json``."""

    def run(folder: Path) -> None:
        graphs = model_graphs(quantized)
        made = model_program(recipe, graphs, target.core, target.optimize)
        files = made.files | input_files(recipe, graphs[0], features)
        files["program.json"] = made.manifest.to_json()
        write_files(folder, files)

    return Stage(
        name="program",
        reads={
            "frontend": recipe.frontend.model_dump(mode="json"),
            "labels": list(recipe.data.labels),
            "core": target.core,
            "objective": target.optimize,
        },
        upstream={"quantized": quantized, "features": features},
        code=("graph", "codegen", "frontend", _HERE),
        run=run,
        slot=f"{recipe.name} {target.core} {variant}",
    )


def tflm(recipe: Recipe, quantized: Artifact, features: Artifact) -> Stage:
    """C arrays, operator resolver and front-end for TensorFlow Lite Micro."""

    def run(folder: Path) -> None:
        from edgeprune.codegen.tflm import generate_tflm

        graph = model_graph(quantized)
        files = generate_tflm(
            (quantized.path / MODEL).read_bytes(),
            graph,
            labels=recipe.data.labels,
            frontend=recipe.frontend,
            input_quantization=input_quantization(graph, features),
            name=recipe.name,
        )
        write_files(folder, files)

    return Stage(
        name="tflm",
        reads={
            "frontend": recipe.frontend.model_dump(mode="json"),
            "labels": list(recipe.data.labels),
            "name": recipe.name,
        },
        upstream={"quantized": quantized, "features": features},
        code=("graph", "codegen", "frontend", _HERE),
        run=run,
        slot=recipe.name,
    )


def image(
    target: Target, program: Artifact, toolchain: Toolchain, variant: str, progress: Progress
) -> Stage:
    """The linked image, with its sizes by section, symbol and layer."""

    def run(folder: Path) -> None:
        from edgeprune.firmware import build_image

        with progress.task(f"compile the {variant} image with {toolchain.identity}"):
            build_image(program.path, target, toolchain, folder)

    declared = target.model_dump(mode="json", exclude={"budgets", "device", "description"})
    return Stage(
        name="image",
        reads={
            "target": declared,
            "toolchain": toolchain.identity,
            "template": template_digests(target.template),
        },
        upstream={"program": program},
        code=("firmware", "cores.py", "toolchain.py", _HERE),
        run=run,
        slot=f"{target.name} {variant}",
    )


def model_graph(quantized: Artifact) -> Graph:
    """The typed graph of a quantized artifact's model; the full network where it has levels."""
    return read_graph(quantized.path / MODEL)


def level_file(level: int) -> str:
    """The name of a level's .tflite file; level 0 is the model itself."""
    return f"level_{level}.tflite" if level else MODEL


def model_graphs(quantized: Artifact) -> list[Graph]:
    """The typed graphs of all levels of a quantized artifact, the full network first."""
    graphs = [model_graph(quantized)]
    while (path := quantized.path / level_file(len(graphs))).exists():
        graphs.append(read_graph(path))
    return graphs


def model_program(
    recipe: Recipe, graphs: Sequence[Graph], core: CoreName, objective: Objective = "balanced"
) -> Program:
    """The C of a network for one core, or of its levels, the full network first."""
    return generate_levels(
        graphs,
        labels=recipe.data.labels,
        frontend_identity=identity(recipe.frontend),
        core=CORES[core],
        options=Options(objective=objective),
    )


def input_files(recipe: Recipe, graph: Graph, features: Artifact) -> dict[str, str]:
    """The C between PCM and the model's input: front-end and input quantization."""
    return sources(recipe.frontend) | input_quantization(graph, features).sources()


def input_quantization(graph: Graph, features: Artifact) -> InputQuantization:
    """Features to the model's int8 input."""
    normalization = Normalization.load(features.path / "normalization.json")
    return InputQuantization.derive(
        normalization.mean,
        normalization.std,
        normalization.fraction_bits,
        graph.input.scale,
        graph.input.zero_point,
    )


def template_digests(template: str) -> dict[str, str]:
    """File name to digest of a firmware template's files, for the keys of what they go into."""
    folder = resources.root() / "firmware_templates" / template
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(folder.rglob("*.*"))
    }


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write a program's files."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
