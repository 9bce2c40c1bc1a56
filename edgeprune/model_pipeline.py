"""A network that comes as a .tflite file, from the file to a verdict on a target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeprune import __version__, stages
from edgeprune.budgets import judge
from edgeprune.codegen.manifest import Manifest
from edgeprune.errors import DeclarationError
from edgeprune.evaluation.measurement import Measurement
from edgeprune.reports import Identities, Report, TargetSummary
from edgeprune.store import Artifact, sha256
from edgeprune.workshop import Workshop

__all__ = ["ModelPipeline"]


@dataclass(kw_only=True)
class ModelPipeline(Workshop):
    """From a model file to a verdict on a target; TensorFlow is not needed.

    Attributes:
        model: the .tflite file.
        labels: what its scores mean, in their order; empty where nobody said.
    """

    model: Path
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The model's, in folders and reports."""
        return self.model.stem

    @property
    def folder(self) -> Path:
        """Where this model's results on this target are published."""
        return self.build / self.target.name / self.name

    def imported(self) -> Artifact:
        """The file, checked and kept."""
        return self.once("model", lambda: stages.imported(self.model))

    def program(self) -> Artifact:
        """The network's C.

        Raises:
            DeclarationError: for device = 'ssh', which runs bundles of recipes.
        """
        if self.target.device == "ssh":
            raise DeclarationError(
                "a model file comes without the front-end that a bundle needs",
                where=f"target {self.target.name}: device = 'ssh'",
                hint="leave --model out and give a recipe, or --target host",
            )
        return self.once(
            "program",
            lambda: stages.imported_program(self.imported(), self.target, self.name, self.labels),
        )

    def image(self) -> Artifact | None:
        """The linked image; None on a target that runs the program itself."""
        if self.target.device == "host":
            return None
        return self.once(
            "image",
            lambda: stages.image(
                self.target, self.program(), self.toolchain(), self.name, self.progress
            ),
        )

    def report(self) -> Report:
        """Measure the network and judge it by the target's budgets."""
        image = self.image()
        measurement = self.once(
            "measurement",
            lambda: stages.imported_measurement(
                self.target,
                name=self.name,
                model=self.imported(),
                image=image,
                toolchain=self.host_toolchain(),
                cache=self.cache,
            ),
        )
        text = (measurement.path / "measurement.json").read_text(encoding="utf-8")
        measured = Measurement.model_validate_json(text)
        verdict = judge(measured, self.target.budgets)
        return Report(
            edgeprune_version=__version__,
            recipe=self.model.name,
            target=TargetSummary.of(
                self.target, self.toolchain() if image else self.host_toolchain()
            ),
            passed=verdict.passed,
            verdict=verdict,
            pruned=measured,
            dense=None,
            identities=Identities(
                frontend=None,
                model=Manifest.read(self.program().path).identity,
                image_sha256=sha256(image.path / "firmware.elf") if image else None,
                stages=self.keys(),
            ),
            notes=(
                "the network alone was measured, from its input to its output, on the image's "
                "fixed input; a front-end comes on top",
            ),
        )
