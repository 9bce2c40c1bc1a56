"""The stages in order, for one recipe and one target, and the report at their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgeprune import __version__, stages
from edgeprune.budgets import judge
from edgeprune.devices import Device, SshDevice
from edgeprune.devices.ssh import Expected, Reach
from edgeprune.errors import DeclarationError
from edgeprune.evaluation.measurement import Measurement
from edgeprune.firmware import Image
from edgeprune.recipe import Recipe
from edgeprune.remote import connect
from edgeprune.remote.secrets import Secrets
from edgeprune.reports import Identities, Report, TargetSummary
from edgeprune.reports.linux_notes import linux_notes
from edgeprune.store import Artifact, sha256
from edgeprune.workshop import Workshop

if TYPE_CHECKING:
    from edgeprune.bundle.facts import DeviceFacts
    from edgeprune.datasets.dataset import Dataset
    from edgeprune.devices.agent_answers import Arithmetic

__all__ = ["Pipeline", "Variant"]

Variant = Literal["dense", "pruned"]


@dataclass(kw_only=True)
class Pipeline(Workshop):
    """From a recipe to a verdict on a target.

    Each method returns an artifact and makes whatever it needs that the store does not hold.

    Attributes:
        recipe: what to build.
        reach: connects to the target's host, where it is reached over SSH.
    """

    recipe: Recipe
    # One object with the secrets: a passphrase is asked for once, however often it connects.
    reach: Reach = field(default_factory=lambda: partial(connect, secrets=Secrets()))

    # The stages -----------------------------------------------------------------------------

    def clips(self) -> Artifact:
        """Clips of every split."""
        return self.once("clips", lambda: stages.clips(self.recipe, self.cache, self.progress))

    def features(self) -> Artifact:
        """Features of every clip, and their normalization."""
        return self.once(
            "features",
            lambda: stages.features(self.recipe, self.clips(), self.cache, self.progress),
        )

    def trained(self) -> Artifact:
        """The dense network."""
        return self.once(
            "trained",
            lambda: stages.trained(
                self.recipe, self.clips(), self.features(), self.cache, self.progress
            ),
        )

    def pruned(self) -> Artifact:
        """The pruned network; the dense one where the recipe prunes nothing."""
        if not self.prunes:
            return self.trained()
        return self.once(
            "pruned",
            lambda: stages.pruned(
                self.recipe,
                self.clips(),
                self.features(),
                self.trained(),
                self.cache,
                self.progress,
            ),
        )

    def sensitivity(self) -> Artifact:
        """What pruning each layer alone, in one shot, does to the dense network."""
        return self.once(
            "sensitivity",
            lambda: stages.sensitivity(
                self.recipe,
                self.clips(),
                self.features(),
                self.trained(),
                self.cache,
                self.progress,
            ),
        )

    def pruned_once(self, name: str, shares: Mapping[str, float]) -> Artifact:
        """The int8 model of the dense network after one-shot pruning by layer.

        Args:
            name: what the shares are called.
            shares: layer, or the first of joined layers → its share.
        """
        return self.once(
            f"pruned {name}",
            lambda: stages.pruned_once(
                self.recipe,
                self.clips(),
                self.features(),
                self.trained(),
                shares,
                name,
                self.cache,
                self.progress,
            ),
        )

    def network(self, variant: Variant) -> Artifact:
        """The Keras network of a variant."""
        return self.trained() if variant == "dense" else self.pruned()

    def tuned(self, variant: Variant) -> Artifact:
        """The network of a variant in fake int8; the float one where the recipe only calibrates."""
        if not self.recipe.quantization.aware:
            return self.network(variant)
        return self.once(
            f"tuned {variant}",
            lambda: stages.tuned(
                self.recipe,
                self.clips(),
                self.features(),
                self.network(variant),
                self.trained(),
                variant,
                self.cache,
                self.progress,
            ),
        )

    def quantized(self, variant: Variant) -> Artifact:
        """The int8 .tflite file of a variant."""
        return self.once(
            f"quantized {variant}",
            lambda: stages.quantized(
                self.recipe, self.tuned(variant), self.features(), variant, self.progress
            ),
        )

    def program(self, variant: Variant) -> Artifact:
        """The C of a variant."""
        return self.once(
            f"program {variant}",
            lambda: stages.program(
                self.recipe,
                self.target,
                self.quantized(variant),
                self.features(),
                variant,
            ),
        )

    def tflm(self) -> Artifact:
        """C arrays of the pruned model for TensorFlow Lite Micro."""
        return self.once(
            "tflm", lambda: stages.tflm(self.recipe, self.quantized("pruned"), self.features())
        )

    def image(self, variant: Variant) -> Artifact | None:
        """The linked image of a variant; None on a target that runs the program itself."""
        if self.target.device in ("host", "ssh"):
            return None
        return self.once(
            f"image {variant}",
            lambda: stages.image(
                self.target, self.program(variant), self.toolchain(), variant, self.progress
            ),
        )

    def bundle(self, facts: DeviceFacts | None = None) -> Artifact:
        """What a device with SSH and Python is given, in the artifact's folder ``bundle``.

        Args:
            facts: the device, once it was asked; what the target lets expect if left out.

        Raises:
            DeclarationError: the target has no table ``[ssh]``.
            BundleError: the device is not what the target says, or there is no runtime for it.
        """
        from edgeprune.bundle.facts import DeviceFacts

        device = facts or DeviceFacts.expected(self.target.core)
        name = " ".join(device.json().values()).strip()
        artifacts = {
            "runtime": self.once(
                f"runtime {name}", lambda: stages.runtime(self.target, device, self.progress)
            ),
            "clips": self.clips(),
            "features": self.features(),
            "quantized": self.quantized("pruned"),
        }
        return self.once(
            f"bundle {name}",
            lambda: stages.bundle(
                self.recipe,
                self.target,
                device,
                artifacts=artifacts,
                toolchain=self.toolchain(),
                host_toolchain=self.host_toolchain(),
                cache=self.cache,
                progress=self.progress,
            ),
        )

    def foretold(self, arithmetic: Arithmetic) -> Artifact:
        """This machine's scores of the pruned model, by a device's arithmetic."""
        return self.once(
            f"foretold {arithmetic}",
            lambda: stages.foretold(
                self.recipe,
                arithmetic,
                artifacts={
                    "clips": self.clips(),
                    "features": self.features(),
                    "quantized": self.quantized("pruned"),
                },
                toolchain=self.host_toolchain(),
                cache=self.cache,
                progress=self.progress,
            ),
        )

    def measurement(self, variant: Variant) -> Artifact:
        """What a variant costs and how well it hears.

        Raises:
            DeclarationError: on device = 'ssh', whose measurements are never stored; see
                :meth:`report`.
        """
        if self.target.device == "ssh":
            raise DeclarationError(
                "what a real device measures is never stored, and it runs what is deployed alone",
                where=f"target {self.target.name}: device = 'ssh'",
                hint="--target cortex-m4; invoke check measures the deployed network",
            )
        return self.once(
            f"measurement {variant}",
            lambda: stages.measurement(
                self.recipe,
                self.target,
                variant=variant,
                artifacts=self._measured_artifacts(variant),
                toolchain=self.host_toolchain(),
                cache=self.cache,
                progress=self.progress,
            ),
        )

    def device(self, variant: Variant) -> Device:
        """The target's device, with a variant on it; over SSH, with what is deployed."""
        if self.target.device == "ssh":
            return self.ssh_device()
        image = self.image(variant)
        if image is not None:
            return stages.image_device(self.target, Image.load(image.path))
        quantized, features = self.quantized(variant), self.features()
        toolchain = self.host_toolchain()
        return stages.host_build(self.recipe, quantized, features, toolchain, self.cache).device

    def ssh_device(self) -> SshDevice:
        """The target's host, that the pruned model must be deployed to.

        Raises:
            DeclarationError: the target is not reached over SSH.
        """
        program = self.program("pruned").json("program.json")
        return SshDevice(
            self.target.name,
            self.target.core,
            self.target.ssh_table(),
            Expected(
                frontend_identity=program["frontend_identity"],
                model_identity=program["identity"],
                labels=self.recipe.data.labels,
                deploy=f"invoke deploy --recipe {self.recipe.name}",
            ),
            self.reach,
        )

    # The verdict ----------------------------------------------------------------------------

    @property
    def prunes(self) -> bool:
        """Whether the trained network goes through pruning; at sparsity 0 it only trains on."""
        return self.recipe.pruning.structure != "none"

    @property
    def folder(self) -> Path:
        """Where this target's results are published."""
        return self.build / self.target.name

    def dataset(self) -> Dataset:
        """The clips, mapped into memory."""
        from edgeprune.datasets.dataset import Dataset

        return Dataset.load(self.clips().path)

    def report(self) -> Report:
        """Measure both variants and judge the pruned one by the target's budgets.

        Over SSH the pruned one alone, anew in every call.
        """
        over_ssh = self.target.device == "ssh"
        measured = self._measured_over_ssh() if over_ssh else self._measured("pruned")
        dense = self._measured("dense") if self.prunes and not over_ssh else None
        verdict = judge(measured, self.target.budgets)
        image = self.image("pruned")
        program = self.program("pruned").json("program.json")
        return Report(
            edgeprune_version=__version__,
            recipe=self.recipe.name,
            target=TargetSummary.of(
                self.target, self.toolchain() if image or over_ssh else self.host_toolchain()
            ),
            passed=verdict.passed,
            verdict=verdict,
            pruned=measured,
            dense=dense,
            identities=Identities(
                frontend=program["frontend_identity"],
                model=program["identity"],
                image_sha256=sha256(image.path / "firmware.elf") if image else None,
                stages=self.keys(),
            ),
            notes=tuple(self._notes() + self._linux_notes(measured)),
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

    def _measured(self, variant: Variant) -> Measurement:
        path = self.measurement(variant).path / "measurement.json"
        return Measurement.model_validate_json(path.read_text(encoding="utf-8"))

    def _measured_over_ssh(self) -> Measurement:
        return stages.measure_over_ssh(
            self.recipe,
            self.target,
            self.ssh_device(),
            artifacts={
                "clips": self.clips(),
                "network": self.network("pruned"),
                "quantized": self.quantized("pruned"),
            },
            foretell=self.foretold,
            progress=self.progress,
        )

    def _linux_notes(self, measured: Measurement) -> list[str]:
        levels = bool(self.recipe.pruning.levels)
        return linux_notes(measured, prunes=self.prunes, levels=levels)

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
