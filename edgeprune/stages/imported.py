"""A network that comes as a .tflite file: its C, and what it costs on a target."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgeprune.codegen import Options, generate
from edgeprune.cores import CORES
from edgeprune.devices.base import Work
from edgeprune.errors import MalformedModelError
from edgeprune.evaluation.measurement import Footprint, Latency, Measurement
from edgeprune.firmware import Image
from edgeprune.graph import read_graph
from edgeprune.stages.building import MODEL, model_graph, write_files
from edgeprune.stages.measuring import complexity, image_device
from edgeprune.store import Artifact, Stage
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain

__all__ = ["imported", "imported_measurement", "imported_program"]

#: What these stages do themselves is part of their artifacts' keys.
_HERE = "stages/imported.py"


def imported(path: Path) -> Stage:
    """The file, checked and kept.

    Raises:
        MalformedModelError: it can't be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MalformedModelError(
            f"can't be read: {error.strerror}", where=str(path), hint="check the path"
        ) from error

    def run(folder: Path) -> None:
        read_graph(content, name=str(path))
        (folder / MODEL).write_bytes(content)

    return Stage(
        name="imported",
        reads={"sha256": hashlib.sha256(content).hexdigest()},
        upstream={},
        code=("graph", _HERE),
        run=run,
        slot=path.name,
    )


def imported_program(
    model: Artifact, target: Target, name: str, labels: tuple[str, ...] = ()
) -> Stage:
    """Self-contained C of the network alone: kernels, weights, ``program.json``."""

    def run(folder: Path) -> None:
        program = generate(
            model_graph(model),
            labels=labels,
            core=CORES[target.core],
            options=Options(objective=target.optimize),
        )
        write_files(folder, program.files | {"program.json": program.manifest.to_json()})

    return Stage(
        name="program",
        reads={"core": target.core, "objective": target.optimize, "labels": list(labels)},
        upstream={"model": model},
        code=("graph", "codegen", _HERE),
        run=run,
        slot=f"{name} {target.core}",
    )


def imported_measurement(
    target: Target,
    *,
    name: str,
    model: Artifact,
    image: Artifact | None,
    toolchain: Toolchain,
    cache: Path,
) -> Stage:
    """What the network costs on the target, and whether its bits are those of this machine.

    Args:
        target: its device and clock are read; budgets are not.
        name: of the model.
        model: the file.
        image: the linked image; None where the target is this machine.
        toolchain: what compiles the program for this machine.
        cache: where compiled libraries are kept.
    """

    def run(folder: Path) -> None:
        from edgeprune.codegen import HostProgram
        from edgeprune.evaluation.network import compare_network

        graph = model_graph(model)
        model_bytes = (model.path / MODEL).stat().st_size
        host = HostProgram.build(generate(graph, labels=()), toolchain, cache / "libraries")
        on_device = None
        footprint = Footprint(model_bytes=model_bytes)
        if image is not None:
            linked = Image.load(image.path)
            on_device = compare_network(image_device(target, linked), host)
            footprint = Footprint(
                model_bytes=model_bytes,
                flash_bytes=linked.sizes.flash,
                ram_bytes=linked.sizes.ram,
                stack_bytes=on_device.stack_bytes,
            )
        record = Measurement(
            variant="model",
            target=target.name,
            device=target.device,
            accuracy=None,
            device_accuracy=None,
            float_accuracy=None,
            latency=_latency(on_device.work, target) if on_device else None,
            wall_ms=None,
            footprint=footprint,
            agreement=on_device.agreement if on_device else None,
            complexity=complexity(graph),
            labels=(),
            confusion=(),
        )
        text = record.model_dump_json(indent=2)
        (folder / "measurement.json").write_text(f"{text}\n", encoding="utf-8")

    upstream = {"model": model} | ({"image": image} if image else {})
    return Stage(
        name="measurement",
        reads={
            "target": {
                "name": target.name,
                "core": target.core,
                "device": target.device,
                "clock_mhz": target.clock_mhz,
            },
            "toolchain": toolchain.identity,
        },
        upstream=upstream,
        code=("codegen", "shared_library.py", "devices", "evaluation", _HERE),
        run=run,
        slot=f"{name} {target.name}",
    )


def _latency(work: Work, target: Target) -> Latency:
    clock_mhz = target.clock_mhz or 0.0
    return Latency(
        frame_instructions=0,
        inference_instructions=work.instructions,
        cycles_estimate=work.cycles_estimate,
        ms_estimate=work.cycles_estimate / (1000 * clock_mhz),
        clock_mhz=clock_mhz,
    )
