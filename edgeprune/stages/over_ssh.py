"""From a release that is deployed to a measurement. What a real device says is never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeprune.datasets.dataset import Dataset
from edgeprune.devices.agent_answers import Arithmetic
from edgeprune.evaluation.measurement import Accuracy, Footprint, Measurement, confusion_matrix
from edgeprune.progress import Progress
from edgeprune.recipe import Recipe
from edgeprune.stages.building import MODEL, model_graph
from edgeprune.stages.measuring import complexity, float_accuracy, host_build
from edgeprune.store import Artifact, Stage
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain

if TYPE_CHECKING:
    from edgeprune.devices.ssh import SshDevice

__all__ = ["foretold", "measure_over_ssh"]

_SCORES = "scores.npy"


def foretold(
    recipe: Recipe,
    arithmetic: Arithmetic,
    *,
    artifacts: Mapping[str, Artifact],
    toolchain: Toolchain,
    cache: Path,
    progress: Progress,
) -> Stage:
    """The scores of every test clip on this machine, by the arithmetic of a device.

    Args:
        recipe: its front-end and labels are read.
        arithmetic: ``native``, ``reference`` or ``xnnpack``.
        artifacts: ``clips``, ``features`` and ``quantized``.
        toolchain: what compiles for this machine.
        cache: where compiled libraries are kept.
        progress: where long work reports to.
    """
    from edgeprune.bundle.golden import interpreted, litert_version

    def run(folder: Path) -> None:
        quantized = artifacts["quantized"]
        clips = Dataset.load(artifacts["clips"].path).test.pcm
        host = host_build(recipe, quantized, artifacts["features"], toolchain, cache).program
        with progress.task(f"run the test clips here, {arithmetic}"):
            inputs = host.quantize_pcm(clips)
            if arithmetic == "native":
                scores = host.invoke(inputs)
            else:
                scores = interpreted((quantized.path / MODEL).read_bytes(), inputs, arithmetic)
        np.save(folder / _SCORES, scores)

    return Stage(
        name="foretold",
        reads={
            "frontend": recipe.frontend.model_dump(mode="json"),
            "labels": list(recipe.data.labels),
            "arithmetic": arithmetic,
            "ai-edge-litert": "" if arithmetic == "native" else litert_version(),
            "toolchain": toolchain.identity,
        },
        upstream=artifacts,
        code=(
            "bundle/golden.py",
            "codegen",
            "frontend",
            "graph",
            "shared_library.py",
            "stages/over_ssh.py",
        ),
        run=run,
        slot=f"{recipe.name} {arithmetic}",
    )


def measure_over_ssh(
    recipe: Recipe,
    target: Target,
    device: SshDevice,
    *,
    artifacts: Mapping[str, Artifact],
    foretell: Callable[[Arithmetic], Artifact],
    progress: Progress,
) -> Measurement:
    """What the pruned model costs on a real device, and how well it hears there.

    It is measured anew in every call: time and heat are no function of what a stage reads.

    Args:
        recipe: its labels are read.
        target: its name is read.
        device: with the release on it.
        artifacts: ``clips``, ``network`` and ``quantized``.
        foretell: this machine's scores by an arithmetic; the stage :func:`foretold`.
        progress: where long work reports to.

    Raises:
        DeviceError: nothing, or another release, is deployed; or the agent fails.
        RemoteError: the host can't be reached, or the connection broke.
        MissingExtraError: LiteRT is not installed here, and the device runs it.
    """
    from edgeprune.bundle.golden import litert_version
    from edgeprune.evaluation.linux import agreement, compare, foretelling, run_there

    test = Dataset.load(artifacts["clips"].path).test
    there = run_there(device, test, progress)
    told = foretelling(there.evaluated, litert_version())
    here = np.load(foretell(told.arithmetic).path / _SCORES)
    comparison = compare(there.scores, here, test.names, told)
    rows = confusion_matrix(there.scores, test.labels, len(recipe.data.labels))
    return Measurement(
        variant="pruned",
        target=target.name,
        device=target.device,
        accuracy=Accuracy.from_scores(here, test.labels),
        device_accuracy=Accuracy.from_scores(there.scores, test.labels),
        float_accuracy=float_accuracy(artifacts["network"].json("training.json")),
        latency=None,
        wall_ms=None,
        footprint=Footprint(model_bytes=(artifacts["quantized"].path / MODEL).stat().st_size),
        agreement=agreement(comparison),
        complexity=complexity(model_graph(artifacts["quantized"])),
        labels=recipe.data.labels,
        confusion=tuple(tuple(row) for row in rows),
        linux=there.record(comparison),
    )
