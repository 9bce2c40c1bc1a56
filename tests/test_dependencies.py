"""Dependencies point one way, and heavy packages stay out of everything that runs without them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgeprune

PACKAGE = Path(edgeprune.__file__).parent
TRAINING_ONLY = {"tensorflow", "keras", "librosa", "soundfile", "soxr", "espeakng_loader", "scipy"}
LIGHT_ROOMS = ("graph", "codegen", "frontend", "firmware", "devices", "remote")


def _imports_after(statement: str) -> set[str]:
    code = (
        f"{statement}; import sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_tasks_and_the_pipeline_load_nothing_that_trains_or_emulates() -> None:
    loaded = _imports_after("import edgeprune.tasks, edgeprune.pipeline, edgeprune.deliver")
    assert not loaded & (TRAINING_ONLY | {"unicorn", "capstone", "ai_edge_litert"})


def test_listing_the_tasks_loads_no_numpy() -> None:
    assert not _imports_after("import edgeprune.tasks") & {"numpy", "pydantic", "rich"}


@pytest.mark.parametrize("room", LIGHT_ROOMS)
def test_a_light_room_never_names_tensorflow_or_a_training_room(room: str) -> None:
    forbidden = {"tensorflow", "keras", "edgeprune.models", "edgeprune.pruning"}
    forbidden |= {"edgeprune.quantization", "edgeprune.datasets", "edgeprune.stages"}
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                parts = name.split(".")
                assert not {parts[0], ".".join(parts[:2])} & forbidden, f"{path}: {name}"


def test_declarations_know_no_room() -> None:
    known = {"edgeprune.declaration", "edgeprune.cores", "edgeprune.errors"}
    known |= {"edgeprune.ssh_target", "edgeprune.fleet_target"}
    names = ("target.py", "ssh_target.py", "fleet_target.py", "cores.py", "declaration.py")
    files = [PACKAGE / name for name in names]
    recipe = list((PACKAGE / "recipe").glob("*.py"))
    assert recipe
    for path in (*files, *recipe):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if module.startswith("edgeprune") and not module.startswith("edgeprune.recipe."):
                assert module in known, f"{path}: {module}"


def test_programs_are_run_in_one_place_and_never_through_a_shell() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "shell=True" not in text, path
        assert "os.system" not in text, path
        on_device = {"agent", "device"} & set(path.relative_to(PACKAGE).parts)
        if "subprocess" in text and not on_device:
            assert path.name in ("process.py", "qemu_process.py", "espeak.py"), path


def test_paramiko_is_named_in_one_room() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent != PACKAGE / "remote":
            assert "import paramiko" not in path.read_text(encoding="utf-8"), path


def test_the_seam_of_the_remote_room_loads_no_paramiko() -> None:
    assert not _imports_after("import edgeprune.remote, edgeprune.remote.fake") & {"paramiko"}
