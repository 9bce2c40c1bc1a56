"""The stages in order, for one recipe and one target, and the report at their end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgeprune import __version__, stages
from edgeprune.budgets import judge
from edgeprune.devices import Device
from edgeprune.evaluation.measurement import Measurement
from edgeprune.firmware import Image
from edgeprune.progress import Progress
from edgeprune.recipe import Recipe
from edgeprune.reports import Identities, Report, TargetSummary
from edgeprune.store import Artifact, Outcome, Stage, Store
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain, find_toolchain

if TYPE_CHECKING:
    from edgeprune.datasets.dataset import Dataset

__all__ = ["Pipeline", "Variant"]

Variant = Literal["dense", "pruned"]


@dataclass
class Pipeline:
    """From a recipe to a verdict on a target.

    Each method returns an artifact and makes whatever it needs that the store does not hold.

    Attributes:
        recipe: what to build.
        target: where it runs.
        build: the folder that everything is published to.
        store: where artifacts are kept.
        progress: where long work reports to.
        say: prints a line.
        explain: say which input changed when a stage runs.
    """

    recipe: Recipe
    target: Target
    build: Path
    store: Store
    progress: Progress
    say: Callable[[str], None]
    explain: bool = False
    _made: dict[str, Artifact] = field(default_factory=dict, init=False)

    # The stages -----------------------------------------------------------------------------

    def clips(self) -> Artifact:
        """Clips of every split."""
        return self._once("clips", lambda: stages.clips(self.recipe, self._cache, self.progress))

    def features(self) -> Artifact:
        """Features of every clip, and their normalization."""
        return self._once(
            "features",
            lambda: stages.features(self.recipe, self.clips(), self._cache, self.progress),
        )

    def trained(self) -> Artifact:
        """The dense network."""
        return self._once(
            "trained",
            lambda: stages.trained(
                self.recipe, self.clips(), self.features(), self._cache, self.progress
            ),
        )

    def pruned(self) -> Artifact:
        """The pruned network; the dense one where the recipe prunes nothing."""
        if not self.prunes:
            return self.trained()
        return self._once(
            "pruned",
            lambda: stages.pruned(
                self.recipe,
                self.clips(),
                self.features(),
                self.trained(),
                self._cache,
                self.progress,
            ),
        )

    def network(self, variant: Variant) -> Artifact:
        """The Keras network of a variant."""
        return self.trained() if variant == "dense" else self.pruned()

    def quantized(self, variant: Variant) -> Artifact:
        """The int8 .tflite file of a variant."""
        return self._once(
            f"quantized {variant}",
            lambda: stages.quantized(
                self.recipe, self.network(variant), self.features(), variant, self.progress
            ),
        )

    def program(self, variant: Variant) -> Artifact:
        """The C of a variant."""
        return self._once(
            f"program {variant}",
            lambda: stages.program(
                self.recipe,
                self.target.core,
                self.quantized(variant),
                self.features(),
                variant,
            ),
        )

    def tflm(self) -> Artifact:
        """C arrays of the pruned model for TensorFlow Lite Micro."""
        return self._once(
            "tflm", lambda: stages.tflm(self.recipe, self.quantized("pruned"), self.features())
        )

    def image(self, variant: Variant) -> Artifact | None:
        """The linked image of a variant; None on a target that runs the program itself."""
        if self.target.device == "host":
            return None
        return self._once(
            f"image {variant}",
            lambda: stages.image(
                self.target, self.program(variant), self.toolchain(), variant, self.progress
            ),
        )

    def measurement(self, variant: Variant) -> Artifact:
        """What a variant costs and how well it hears."""
        return self._once(
            f"measurement {variant}",
            lambda: stages.measurement(
                self.recipe,
                self.target,
                variant=variant,
                artifacts=self._measured_artifacts(variant),
                toolchain=self._host_toolchain(),
                cache=self._cache,
                progress=self.progress,
            ),
        )

    def device(self, variant: Variant) -> Device:
        """The target's device, with a variant on it."""
        image = self.image(variant)
        if image is not None:
            return stages.emulator(self.target, Image.load(image.path))
        quantized, features = self.quantized(variant), self.features()
        toolchain = self._host_toolchain()
        return stages.host_build(self.recipe, quantized, features, toolchain, self._cache).device

    # The verdict ----------------------------------------------------------------------------

    @property
    def prunes(self) -> bool:
        """Whether the recipe takes anything out of the network."""
        return self.recipe.pruning.structure != "none" and self.recipe.pruning.sparsity > 0

    @property
    def folder(self) -> Path:
        """Where this target's results are published."""
        return self.build / self.target.name

    def dataset(self) -> Dataset:
        """The clips, mapped into memory."""
        from edgeprune.datasets.dataset import Dataset

        return Dataset.load(self.clips().path)

    def report(self) -> Report:
        """Measure both variants and judge the pruned one by the target's budgets."""
        measured = Measurement.model_validate_json(self._measured("pruned"))
        dense = Measurement.model_validate_json(self._measured("dense")) if self.prunes else None
        verdict = judge(measured, self.target.budgets)
        image = self.image("pruned")
        program = self.program("pruned").json("program.json")
        return Report(
            edgeprune_version=__version__,
            recipe=self.recipe.name,
            target=TargetSummary(
                name=self.target.name,
                description=self.target.description,
                core=self.target.core,
                device=self.target.device,
                toolchain=(self.toolchain() if image else self._host_toolchain()).identity,
                clock_mhz=self.target.clock_mhz,
                optimize=self.target.optimize,
            ),
            passed=verdict.passed,
            verdict=verdict,
            pruned=measured,
            dense=dense,
            identities=Identities(
                frontend=program["frontend_identity"],
                model=program["identity"],
                image_sha256=_sha256(image.path / "firmware.elf") if image else None,
                stages={name: artifact.key for name, artifact in sorted(self._made.items())},
            ),
            notes=tuple(self._notes()),
        )

    def _measured_artifacts(self, variant: Variant) -> dict[str, Artifact]:
        artifacts = {
            "clips": self.clips(),
            "features": self.features(),
            "network": self.network(variant),
            "quantized": self.quantized(variant),
            "program": self.program(variant),
        }
        image = self.image(variant)
        return artifacts | ({"image": image} if image else {})

    def _measured(self, variant: Variant) -> str:
        path = self.measurement(variant).path / "measurement.json"
        return path.read_text(encoding="utf-8")

    def _notes(self) -> list[str]:
        dataset = self.dataset()
        notes = list(dataset.provenance)
        if dataset.skipped:
            first = ", ".join(f"{name} ({reason})" for name, reason in dataset.skipped[:3])
            notes.append(f"{len(dataset.skipped)} damaged clips were skipped: {first}")
        if self.target.device == "emulator":
            notes.append(
                "instructions are counted and repeat exactly; cycles and milliseconds are estimated"
                f" from them for a {self.target.core}, without caches and flash wait states"
            )
        return notes

    # How a stage is run ---------------------------------------------------------------------

    @property
    def _cache(self) -> Path:
        return self.build / "cache"

    def toolchain(self) -> Toolchain:
        """What compiles the target's image."""
        return find_toolchain(self.target.toolchain)

    def _host_toolchain(self) -> Toolchain:
        """What compiles for this machine: the target's choice where the target is this machine."""
        return find_toolchain(self.target.toolchain if self.target.core == "host" else "zig")

    def _once(self, name: str, describe: Callable[[], Stage]) -> Artifact:
        if name not in self._made:
            stage = describe()
            outcome = self.store.ensure(stage, before_run=lambda told: self._announce(name, told))
            if outcome.ran:
                self.say(f"{name:<20} made in {outcome.seconds:.1f} s")
            else:
                self.say(f"{name:<20} up to date")
            self._made[name] = outcome.artifact
        return self._made[name]

    def _announce(self, name: str, outcome: Outcome) -> None:
        if self.explain:
            for reason in outcome.why:
                self.say(f"{name:<20} because {reason}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
