"""From an int8 model to what a device with SSH and Python is given."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeprune.datasets.dataset import Dataset, Split
from edgeprune.errors import BundleError
from edgeprune.progress import Progress
from edgeprune.recipe import Recipe
from edgeprune.recipe.data import SILENCE, UNKNOWN
from edgeprune.stages.building import (
    MODEL,
    input_quantization,
    model_graphs,
    model_program,
    template_digests,
)
from edgeprune.stages.measuring import host_build
from edgeprune.store import Artifact, Stage
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain

if TYPE_CHECKING:
    from edgeprune.bundle import DeviceFacts
    from edgeprune.bundle.assemble import Content, ResolvedRuntime
    from edgeprune.bundle.runtime import Plan, RuntimeName
    from edgeprune.bundle.signature import SigningKey

__all__ = ["BUNDLE", "bundle", "runtime"]

#: The bundle's folder in its artifact.
BUNDLE = "bundle"

_HERE = "stages/bundling.py"
_SITE = "site"
_TEMPLATE = "edgeprune-service"


def runtime(target: Target, facts: DeviceFacts, progress: Progress) -> Stage:
    """What runs the network on a device, with its wheels unpacked, or a plan for the device.

    Args:
        target: its table ``[ssh]`` is read.
        facts: the device.
        progress: where long work reports to.

    Raises:
        DeclarationError: the target has no table ``[ssh]``.
        BundleError: the device is not what the target says.
    """
    from edgeprune.bundle.golden import litert_version
    from edgeprune.bundle.runtime import Plan, extra_requirements

    facts.check(target.core, where=f"target {target.name}")
    ssh = target.ssh_table()
    plan = Plan.of(
        ssh.runtime, facts, litert_here=litert_version(), extras=extra_requirements(ssh.listen)
    )
    what = "plan" if ssh.online else "resolve"

    def run(folder: Path) -> None:
        with progress.task(f"{what} wheels for Python {facts.python_version} {facts.machine}"):
            summary = _planned(plan) if ssh.online else _downloaded(plan, facts, folder)
        text = json.dumps(summary, indent=1, sort_keys=True)
        (folder / "runtime.json").write_text(f"{text}\n", encoding="utf-8")

    return Stage(
        name="runtime",
        reads={"device": facts.json(), "plan": plan.json(), "online": ssh.online},
        upstream={},
        code=(
            "bundle/facts.py",
            "bundle/runtime.py",
            "bundle/unpacking.py",
            "bundle/wheels.py",
            _HERE,
        ),
        run=run,
        slot=f"{facts.machine} {ssh.runtime}",
    )


def _planned(plan: Plan) -> dict[str, Any]:
    """``runtime.json`` where the device is to install by itself."""
    return {
        "name": plan.candidates[0].name,
        "version": "",
        "reason": f"{plan.device} chooses when it installs its packages",
        "packages": {},
        "left_out": [],
        "plan": plan.json(),
    }


def _downloaded(plan: Plan, facts: DeviceFacts, folder: Path) -> dict[str, Any]:
    """``runtime.json`` of the wheels that are unpacked into a folder's ``site``."""
    from edgeprune.bundle.runtime import choose
    from edgeprune.bundle.unpacking import unpack
    from edgeprune.bundle.wheels import Attempt, Wheel, download

    with tempfile.TemporaryDirectory(dir=folder, prefix="wheels-") as wheels:

        def fetch(
            requirements: tuple[str, ...], runtime: RuntimeName | None, dependencies: bool
        ) -> Attempt[Wheel]:
            if not requirements:
                return Attempt()
            own = Path(tempfile.mkdtemp(dir=wheels))
            return download(requirements, facts, own, dependencies=dependencies)

        choice = choose(plan, fetch)
        for wheel in choice.wheels:
            unpack(wheel.path, folder / _SITE)
    return {
        "name": choice.name,
        "version": choice.version,
        "reason": choice.reason,
        "packages": choice.packages,
        "left_out": list(choice.left_out),
        "plan": None,
    }


def bundle(
    recipe: Recipe,
    target: Target,
    facts: DeviceFacts,
    *,
    artifacts: Mapping[str, Artifact],
    toolchain: Toolchain,
    host_toolchain: Toolchain,
    cache: Path,
    progress: Progress,
) -> Stage:
    """A release, complete; it lies in the artifact's folder ``bundle``.

    Args:
        recipe: what it hears.
        target: its core and its table ``[ssh]`` are read.
        facts: the device.
        artifacts: ``clips``, ``features``, ``quantized`` and ``runtime``.
        toolchain: what compiles for the device.
        host_toolchain: what compiles for this machine.
        cache: where compiled libraries are kept.
        progress: where long work reports to.

    Raises:
        DeclarationError: the target has no table ``[ssh]``.
        BundleError: the device is not what the target says, or the signing key can't be read.
    """
    from edgeprune.bundle.golden import litert_version

    facts.check(target.core, where=f"target {target.name}")
    ssh = target.ssh_table()
    key = _signing_key(ssh.signing_key)

    def run(folder: Path) -> None:
        from edgeprune.bundle.assemble import Service, assemble

        with progress.task(f"make the bundle for {target.core} with {toolchain.identity}"):
            assemble(
                folder / BUNDLE,
                _content(recipe, target, artifacts, host_toolchain, cache),
                core=target.core,
                facts=facts,
                runtime=_resolved(artifacts["runtime"]),
                service=Service(ssh.root, ssh.runtime, ssh.listen),
                toolchain=toolchain,
                made=_now(),
                key=key,
            )

    return Stage(
        name="bundle",
        reads={
            "recipe": recipe.name,
            "frontend": recipe.frontend.model_dump(mode="json"),
            "labels": list(recipe.data.labels),
            "core": target.core,
            "objective": target.optimize,
            "device": facts.json(),
            "root": ssh.root,
            "runtime": ssh.runtime,
            "listen": list(ssh.listen),
            "signed by": key.fingerprint if key else "",
            "ai-edge-litert": litert_version(),
            "toolchain": toolchain.identity,
            "template": template_digests(_TEMPLATE),
        },
        upstream=artifacts,
        code=(
            "agent",
            "bundle",
            "codegen",
            "cores.py",
            "frontend",
            "graph",
            "shared_library.py",
            "toolchain.py",
            _HERE,
        ),
        run=run,
        slot=f"{recipe.name} {target.name}",
    )


def _content(
    recipe: Recipe,
    target: Target,
    artifacts: Mapping[str, Artifact],
    toolchain: Toolchain,
    cache: Path,
) -> Content:
    from edgeprune.bundle.assemble import Content

    quantized, features = artifacts["quantized"], artifacts["features"]
    graphs = model_graphs(quantized)
    clip = golden_clip(Dataset.load(artifacts["clips"].path).test, recipe.data.labels)
    host = host_build(recipe, quantized, features, toolchain, cache).program
    inputs = host.quantize_pcm(clip[np.newaxis])
    return Content(
        recipe=recipe.name,
        model=(quantized.path / MODEL).read_bytes(),
        graph=graphs[0],
        program=model_program(recipe, graphs, target.core, target.optimize),
        frontend=recipe.frontend,
        quantization=input_quantization(graphs[0], features),
        labels=recipe.data.labels,
        clip=clip,
        inputs=inputs[0],
        native_scores=host.invoke(inputs)[0],
    )


def golden_clip(split: Split, labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The first clip of a keyword, int16 [samples]; the first of all where none is.

    Raises:
        BundleError: there are no clips.
    """
    if not len(split):
        raise BundleError("there is no test clip to prove a device with", where="clips")
    keywords = [i for i, label in enumerate(labels) if label not in (SILENCE, UNKNOWN)]
    found = np.flatnonzero(np.isin(split.labels, keywords))
    return np.array(split.pcm[found[0] if len(found) else 0], dtype=np.int16)


def _resolved(artifact: Artifact) -> ResolvedRuntime:
    from edgeprune.bundle.assemble import ResolvedRuntime
    from edgeprune.bundle.runtime import Plan

    told = artifact.json("runtime.json")
    plan = told.pop("plan", None)
    return ResolvedRuntime(
        **told, site=artifact.path / _SITE, plan=None if plan is None else Plan.parse(plan)
    )


def _signing_key(path: str | None) -> SigningKey | None:
    if path is None:
        return None
    from edgeprune.bundle.signature import SigningKey

    return SigningKey.load(Path(path).expanduser())


def _now() -> datetime:
    """The time in a release's name; SOURCE_DATE_EPOCH fixes it (reproducible-builds.org)."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(fixed), UTC) if fixed.isdigit() else datetime.now(UTC)
