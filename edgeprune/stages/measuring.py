"""From a program and its image to a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeprune.datasets.dataset import Dataset
from edgeprune.devices import ImageDevice, make_device
from edgeprune.errors import DeviceError
from edgeprune.evaluation.measurement import Accuracy, Complexity, Measurement, Variant
from edgeprune.firmware import Image
from edgeprune.graph import Conv2D, DepthwiseConv2D, FullyConnected, Graph
from edgeprune.progress import Progress
from edgeprune.recipe import Recipe
from edgeprune.stages.building import (
    MODEL,
    input_files,
    model_graph,
    model_graphs,
    model_program,
)
from edgeprune.stages.learning import frontend_library
from edgeprune.store import Artifact, Stage
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain

if TYPE_CHECKING:
    from edgeprune.evaluation.measure import Host

__all__ = ["complexity", "float_accuracy", "host_build", "image_device", "measurement"]


def measurement(
    recipe: Recipe,
    target: Target,
    *,
    variant: Variant,
    artifacts: Mapping[str, Artifact],
    toolchain: Toolchain,
    cache: Path,
    progress: Progress,
) -> Stage:
    """What a model costs on a target, and how well it hears there.

    Args:
        recipe: its evaluation is read.
        target: its device and clock are read; budgets are not.
        variant: which model.
        artifacts: ``clips``, ``features``, ``network``, ``quantized``, ``program`` and, where the
            target has one, ``image``.
        toolchain: what compiles the program for this machine.
        cache: where compiled libraries are kept.
        progress: where long work reports to.
    """

    def run(folder: Path) -> None:
        from edgeprune.evaluation.measure import (
            OnDevice,
            measure_device,
            measure_host,
            measure_levels,
        )

        test = Dataset.load(artifacts["clips"].path).test
        host = host_build(recipe, artifacts["quantized"], artifacts["features"], toolchain, cache)
        on_host = measure_host(host, test, progress)
        image = Image.load(artifacts["image"].path) if "image" in artifacts else None

        def at_level(image: Image, level: int) -> OnDevice:
            return measure_device(
                replace(image_device(target, image), level=level),
                image.sizes,
                host,
                test,
                evaluation=recipe.evaluation,
                clock_mhz=target.clock_mhz or 0.0,
                seed=recipe.seed,
                progress=progress,
            )

        on_device = None if image is None else at_level(image, 0)
        levels = measure_levels(
            host, test, on_host, on_device, partial(at_level, image) if image else None
        )
        model_bytes = (artifacts["quantized"].path / MODEL).stat().st_size
        record = Measurement(
            variant=variant,
            target=target.name,
            device=target.device,
            accuracy=on_host.accuracy,
            device_accuracy=on_device.accuracy if on_device else None,
            float_accuracy=float_accuracy(artifacts["network"].json("training.json")),
            latency=on_device.latency if on_device else None,
            wall_ms=None if on_device else on_host.wall_ms,
            footprint=(on_device or on_host).footprint(model_bytes),
            agreement=on_device.agreement if on_device else None,
            complexity=complexity(model_graph(artifacts["quantized"])),
            labels=recipe.data.labels,
            confusion=on_host.confusion,
            levels=levels,
        )
        (folder / "measurement.json").write_text(
            record.model_dump_json(indent=2) + "\n", encoding="utf-8"
        )

    return Stage(
        name="measurement",
        reads={
            "evaluation": recipe.evaluation.model_dump(mode="json"),
            "target": {
                "name": target.name,
                "core": target.core,
                "device": target.device,
                "clock_mhz": target.clock_mhz,
            },
            "variant": variant,
            "toolchain": toolchain.identity,
        },
        upstream=artifacts,
        code=(
            "codegen/host.py",
            "shared_library.py",
            "devices",
            "evaluation",
            "stages/measuring.py",
        ),
        run=run,
        slot=f"{recipe.name} {target.name} {variant}",
    )


def image_device(target: Target, image: Image) -> ImageDevice:
    """The target's device with an image on it.

    Raises:
        DeviceError: the target has no memories.
    """
    device = make_device(target, image=image)
    if not isinstance(device, ImageDevice):
        raise DeviceError("does not run images", where=f"target {target.name}")
    return device


def host_build(
    recipe: Recipe, quantized: Artifact, features: Artifact, toolchain: Toolchain, cache: Path
) -> Host:
    """A quantized model's program, compiled for this machine."""
    from edgeprune.codegen import HostProgram
    from edgeprune.devices import HostDevice
    from edgeprune.evaluation.measure import Host

    graphs = model_graphs(quantized)
    program = HostProgram.build(
        model_program(recipe, graphs, "host"),
        toolchain,
        cache / "libraries",
        frontend_sources=input_files(recipe, graphs[0], features),
    )
    return Host(HostDevice("host", program, frontend_library(recipe, cache)), program)


def float_accuracy(summary: Mapping[str, Any]) -> Accuracy:
    """That of a Keras network before quantization, from its ``training.json``."""
    test = summary["test"]
    return Accuracy.of(round(test["accuracy"] * test["clips"]), test["clips"])


def complexity(graph: Graph) -> Complexity:
    """MACs and weights of a graph."""
    weights = [
        operator.weights.data
        for operator in graph.operators
        if isinstance(operator, Conv2D | DepthwiseConv2D | FullyConnected)
        and operator.weights.data is not None
    ]
    return Complexity(
        macs=graph.macs,
        weights=sum(each.size for each in weights),
        nonzero=sum(int(np.count_nonzero(each)) for each in weights),
    )
