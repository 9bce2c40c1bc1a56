"""A recipe's artifacts so small that a release is made in seconds, and where to put it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgeprune import stages
from edgeprune.bundle import Bundle, DeviceFacts
from edgeprune.cores import CoreName
from edgeprune.datasets.dataset import Dataset
from edgeprune.frontend import fraction_bits
from edgeprune.models.normalization import Normalization
from edgeprune.pipeline import Pipeline
from edgeprune.progress import SilentProgress
from edgeprune.recipe import Pruning
from edgeprune.ssh_target import Ssh
from edgeprune.store import Artifact, Store
from edgeprune.target import Budgets, Target
from edgeprune.toolchain import find_toolchain
from tests.graph.networks import Network
from tests.models import tiny

RECIPE = tiny.recipe(pruning=Pruning(structure="none"))
CLIPS = 24
SCALE, ZERO_POINT = 0.04, -3


def model(seed: int = 4) -> bytes:
    """Random layers whose bits depend on the arithmetic, and a score a label."""
    spec = tiny.FRONTEND
    shape = (1, spec.frames, 1, spec.features)
    network = Network(np.random.default_rng(seed), shape, scale=SCALE, zero_point=ZERO_POINT)
    layer = network.conv_2d(0, 16, kernel=(3, 1), activation="relu")
    for _ in range(3):
        layer = network.conv_2d(layer, 16, activation="relu", gain=0.5)
    layer = network.average_pool_2d(layer, kernel=network.shape(layer)[1:3], padding="valid")
    scores = network.reshape(network.conv_2d(layer, len(tiny.LABELS)), (1, len(tiny.LABELS)))
    network.softmax(scores, beta=0.02 / network.scale(scores))
    return network.content()


@dataclass(frozen=True)
class Workbench:
    """What a pipeline of the tiny recipe has made before anything is deployed.

    Attributes:
        root: its store, its cache and its artifacts.
        artifacts: by the names of :class:`edgeprune.pipeline.Pipeline`.
    """

    root: Path
    artifacts: dict[str, Artifact]

    @classmethod
    def make(cls, root: Path, content: bytes) -> Workbench:
        for name in ("features", "network", "quantized"):
            (root / name).mkdir(parents=True)
        tiny.dataset(train=8, held_out=CLIPS).save(root / "clips")
        count = tiny.FRONTEND.features
        bits = fraction_bits(tiny.FRONTEND)
        normalization = Normalization(np.full(count, 12.0), np.full(count, 4.0), bits)
        normalization.save(root / "features" / "normalization.json")
        (root / "quantized" / "model.tflite").write_bytes(content)
        summary = {"test": {"accuracy": 0.5, "clips": CLIPS}}
        (root / "network" / "training.json").write_text(json.dumps(summary))
        names = {
            "clips": "clips",
            "features": "features",
            "trained": "network",
            "quantized pruned": "quantized",
        }
        artifacts = {
            name: Artifact(folder, f"key of {root.name} {folder}", root / folder)
            for name, folder in names.items()
        }
        return cls(root, artifacts)

    def pipeline(self, target: Target) -> Pipeline:
        """One that trains nothing."""
        pipeline = Pipeline(
            recipe=RECIPE,
            target=target,
            build=self.root / "build",
            store=Store(self.root / "store"),
            progress=SilentProgress(),
            say=lambda line: None,
        )
        pipeline._made.update(self.artifacts)
        return pipeline

    def bundle(self, target: Target, runtime: Artifact, facts: DeviceFacts | None = None) -> Bundle:
        """A release, with a runtime that is there already."""
        facts = facts or DeviceFacts.expected(target.core)
        artifacts = {
            "clips": self.artifacts["clips"],
            "features": self.artifacts["features"],
            "quantized": self.artifacts["quantized pruned"],
            "runtime": runtime,
        }
        zig = find_toolchain("zig")
        stage = stages.bundle(
            RECIPE,
            target,
            facts,
            artifacts=artifacts,
            toolchain=zig,
            host_toolchain=zig,
            cache=self.root / "build" / "cache",
            progress=SilentProgress(),
        )
        artifact = Store(self.root / "store").ensure(stage).artifact
        return Bundle.load(artifact.path / "bundle")

    @property
    def dataset(self) -> Dataset:
        return Dataset.load(self.artifacts["clips"].path)


def runtime_here(folder: Path, name: str) -> Artifact:
    """A runtime that the device's own Python has, so that the bundle needs no wheels."""
    folder.mkdir(parents=True)
    version = "" if name == "native" else metadata.version(name)
    summary = {
        "name": name,
        "version": version,
        "reason": f"{name} is there",
        "packages": {},
        "left_out": [],
    }
    (folder / "runtime.json").write_text(json.dumps(summary))
    return Artifact("runtime", f"key of {name}", folder)


def ssh_target(
    core: CoreName = "x86_64", budgets: dict[str, float] | None = None, **ssh: Any
) -> Target:
    """A target over SSH; ``listen`` needs no package for audio."""
    table = Ssh(**{"listen": ("--input", "-"), "runtime": "native", "host": "kitchen", **ssh})
    limits = Budgets.model_validate(budgets or {})
    return Target(name="pi", core=core, device="ssh", ssh=table, budgets=limits)


def place(bundle: Bundle, home: Path, *, root: str = "edgeprune") -> Path:
    """Deploy a release into a home folder; returns its folder."""
    release = home / root / "releases" / bundle.release
    if not release.exists():
        shutil.copytree(bundle.folder, release)
    link = home / root / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("releases") / bundle.release)
    return release
