"""Everything that goes onto a device, in one folder."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune import __version__, agent
from edgeprune.bundle.facts import DeviceFacts
from edgeprune.bundle.golden import litert_scores, litert_version, write_golden
from edgeprune.bundle.libraries import FRONTEND, MODEL, build_frontend, build_model
from edgeprune.bundle.manifest import Bundle, seal
from edgeprune.bundle.runtime import Plan, RuntimeName, Wanted
from edgeprune.bundle.signature import SigningKey
from edgeprune.bundle.unit import UNIT, service_unit
from edgeprune.codegen import Program
from edgeprune.cores import CORES, CoreName
from edgeprune.errors import BundleError
from edgeprune.frontend import InputQuantization, fraction_bits, identity
from edgeprune.graph import Graph
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Toolchain

__all__ = ["Content", "ResolvedRuntime", "Service", "assemble"]

_MODEL_FILE = "model.tflite"


@dataclass(frozen=True)
class Content:
    """What a bundle is made of.

    Attributes:
        recipe: its name.
        model: the .tflite file.
        graph: the same, parsed.
        program: the model's C, generated for the device's core.
        frontend: PCM to features.
        quantization: features to the model's input.
        labels: what the scores mean, in their order.
        clip: int16 [samples], the golden clip.
        inputs: int8, what front-end and quantization make of it.
        native_scores: int8 [labels], what the compiled model makes of it.
    """

    recipe: str
    model: bytes
    graph: Graph
    program: Program
    frontend: Frontend
    quantization: InputQuantization
    labels: tuple[str, ...]
    clip: NDArray[np.int16]
    inputs: NDArray[np.int8]
    native_scores: NDArray[np.int8]


@dataclass(frozen=True)
class ResolvedRuntime:
    """A runtime whose wheels are unpacked, or that the device installs by itself.

    Attributes:
        name: what runs the network; of a plan, what it tries first.
        version: of its package; empty for the compiled model and for a plan.
        reason: why it is this one.
        packages: distribution to version of everything in ``site``.
        left_out: further packages that have no such wheel, and why.
        site: the unpacked wheels.
        plan: what the device installs by itself; None where the wheels are here.
    """

    name: RuntimeName
    version: str
    reason: str
    packages: Mapping[str, str]
    left_out: Sequence[str]
    site: Path
    plan: Plan | None = None


@dataclass(frozen=True)
class Service:
    """How the bundle is run.

    Attributes:
        root: folder on the device that everything lies in; relative to the home folder.
        wanted: the runtime that the target asks for.
        listen: further arguments of the agent's ``listen``.
    """

    root: str
    wanted: Wanted
    listen: tuple[str, ...]


def assemble(
    folder: Path,
    content: Content,
    *,
    core: CoreName,
    facts: DeviceFacts,
    runtime: ResolvedRuntime,
    service: Service,
    toolchain: Toolchain,
    made: datetime,
    key: SigningKey | None = None,
) -> Bundle:
    """Write a bundle.

    Args:
        folder: where to; empty or absent.
        content: what it is made of.
        core: of the device.
        facts: of the device.
        runtime: what runs the network there.
        service: how it is run.
        toolchain: what compiles its libraries.
        made: the time in its release's name.
        key: what signs it; none for no signature.

    Raises:
        BundleError: a part that can't be made.
        CompileError: the compiler refused.
        MissingExtraError: LiteRT is not installed here, and the device is to run it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    compiled = service.wanted == "auto" or runtime.name == "native"
    _write_libraries(folder, content, CORES[core].name, toolchain, compiled=compiled)
    (folder / _MODEL_FILE).write_bytes(content.model)
    _write_json(folder / "labels.json", list(content.labels))
    _write_json(folder / "frontend.json", _frontend(content))
    write_golden(folder, content.clip, _golden(content, runtime, core, compiled=compiled))
    if runtime.site.is_dir():
        shutil.copytree(runtime.site, folder / "site", copy_function=_link)
    for name, source in agent.sources().items():
        _write(folder / name, source)
    unit = service_unit(service.root, description=content.recipe, listen=service.listen)
    _write(folder / UNIT, unit.encode())
    return seal(
        folder, _facts(content, core, facts, runtime, service, toolchain), made=made, key=key
    )


def _write_libraries(
    folder: Path, content: Content, core: CoreName, toolchain: Toolchain, *, compiled: bool
) -> None:
    build_frontend(content.frontend, CORES[core], toolchain, folder / FRONTEND)
    if compiled:
        from edgeprune.frontend import sources

        texts = sources(content.frontend) | content.quantization.sources()
        build_model(content.program, texts, CORES[core], toolchain, folder / MODEL)


def _golden(
    content: Content, runtime: ResolvedRuntime, core: CoreName, *, compiled: bool
) -> dict[str, NDArray[np.int8]]:
    scores = {"native": content.native_scores} if compiled else {}
    if runtime.name != "native":
        scores |= litert_scores(content.model, content.inputs)
        # XNNPACK's kernels change from version to version, and round now and then otherwise on
        # another architecture; the reference kernels do not.
        here = ("ai-edge-litert", litert_version(), platform.machine())
        if (runtime.name, runtime.version, CORES[core].linux) != here:
            del scores["xnnpack"]
    return scores


def _frontend(content: Content) -> dict[str, Any]:
    """``frontend.json``: what the agent needs to know; lengths in samples."""
    spec, source, result = content.frontend, content.graph.input, content.graph.output
    return {
        "schema_version": 1,
        "identity": identity(spec),
        "sample_rate_hz": spec.sample_rate_hz,
        "clip_samples": spec.clip_samples,
        "window": spec.window,
        "hop": spec.hop,
        "frames": spec.frames,
        "features": spec.features,
        "fraction_bits": fraction_bits(spec),
        "input": {
            **asdict(content.quantization),
            "scale": source.scale,
            "zero_point": source.zero_point,
        },
        "output": {"scale": result.scale, "zero_point": result.zero_point},
    }


def _link(source: str, destination: str) -> None:
    """Share a file that nobody writes to; a copy where it lies on another file system."""
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def _facts(
    content: Content,
    core: CoreName,
    facts: DeviceFacts,
    runtime: ResolvedRuntime,
    service: Service,
    toolchain: Toolchain,
) -> dict[str, Any]:
    fallback = service.wanted == "auto" and runtime.name != "native"
    plan = runtime.plan
    installed = {} if plan is None else {"packages": {"digest": plan.digest, **plan.json()}}
    return {
        **installed,
        "recipe": content.recipe,
        "frontend_identity": identity(content.frontend),
        "model_identity": content.program.manifest.identity,
        "architecture": core,
        "python": facts.python_version,
        # With 'auto' the agent falls back on the compiled model when the package fails it.
        "runtime": "auto" if fallback else runtime.name,
        "runtime_choice": {
            "name": runtime.name,
            "version": runtime.version,
            "reason": runtime.reason,
            "left_out": list(runtime.left_out),
        },
        "device": facts.json(),
        "versions": {
            "edgeprune": __version__,
            "toolchain": toolchain.identity,
            "packages": dict(runtime.packages),
        },
    }


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True)
    _write(path, f"{text}\n".encode("ascii"))


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise BundleError(f"can't be written: {error.strerror}", where=str(path)) from error
