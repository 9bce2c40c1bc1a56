"""Builds every variant for every core, runs it, and notes what it costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgeprune import __version__, resources
from edgeprune.bench.peers import Peers
from edgeprune.bench.records import BenchRecord
from edgeprune.bench.reference_model import is_reference
from edgeprune.bench.variants import VARIANTS, BenchVariant
from edgeprune.codegen import generate
from edgeprune.cores import CORES
from edgeprune.errors import DeviceError, DeviceFault, DeviceTimeout, IdentityError, ToolchainError
from edgeprune.graph import read_graph
from edgeprune.progress import Progress
from edgeprune.target import Target
from edgeprune.toolchain import find_toolchain

__all__ = ["Bench", "run_bench"]


@dataclass(frozen=True)
class Bench:
    """The comparison.

    Attributes:
        model: the .tflite file's name.
        macs: multiply-accumulates of the network.
        records: ours first, then the peers', both by core.
        peers: what others published; None for a model that they did not measure.
        missing: what could not be run, and why.
    """

    model: str
    macs: int
    records: tuple[BenchRecord, ...]
    peers: Peers | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    content: bytes
    name: str
    core: str
    variant: int
    target: Target


def run_bench(
    model: Path, progress: Progress, *, cores: Iterable[str] = (), variants: Iterable[str] = ()
) -> Bench:
    """Build and run a network on every core.

    Args:
        model: the .tflite file.
        progress: where to report.
        cores: which cores; empty for every core that a target is shipped for.
        variants: which variants; empty for all.

    Raises:
        MalformedModelError: the file can't be read.
        UnsupportedError: it holds what edgeprune does not compile.
        DeclarationError: there is no such core or variant.
    """
    graph = read_graph(model)
    content = model.read_bytes()
    targets = _targets(tuple(cores))
    wanted = _variants(tuple(variants))
    jobs = [
        _Job(content, model.name, target.core, VARIANTS.index(variant), target)
        for target in targets
        for variant in wanted
        if not variant.cores or target.core in variant.cores
    ]
    records, missing = _measured(jobs, progress)
    peers = Peers.read() if is_reference(content) else None
    if peers is not None:
        shown = {target.core for target in targets}
        records += [peer.record(model.name) for peer in peers.peer if peer.core in shown]
    return Bench(
        model=model.name,
        macs=graph.macs,
        records=tuple(records),
        peers=peers,
        missing=tuple(dict.fromkeys(missing)),
    )


def _measured(jobs: Sequence[_Job], progress: Progress) -> tuple[list[BenchRecord], list[str]]:
    records: list[BenchRecord] = []
    missing: list[str] = []
    with (
        ProcessPoolExecutor(max_workers=2) as pool,
        progress.task("build and run", total=len(jobs)) as task,
    ):
        for outcome in pool.map(_measure, jobs):
            if isinstance(outcome, BenchRecord):
                records.append(outcome)
            else:
                missing.append(outcome)
            task.advance()
    return records, missing


def _measure(job: _Job) -> BenchRecord | str:
    """One line of the comparison, or why there is none."""
    variant = VARIANTS[job.variant]
    try:
        return _build_and_run(job, variant)
    except (DeviceFault, DeviceTimeout, IdentityError):
        raise
    except (DeviceError, ToolchainError) as error:
        hint = f"; {error.hint}" if error.hint else ""
        return f"{job.core}: {error.message}{hint}"


def _build_and_run(job: _Job, variant: BenchVariant) -> BenchRecord:
    from edgeprune.firmware import build_image
    from edgeprune.stages.building import write_files
    from edgeprune.stages.measuring import image_device

    target, toolchain = job.target, find_toolchain(job.target.toolchain)
    graph = variant.graph(read_graph(job.content, name=job.name))
    program = generate(graph, labels=(), core=CORES[target.core], options=variant.options)
    if variant.options.objective == "size":
        target = target.model_copy(update={"optimize": "size"})
    with tempfile.TemporaryDirectory(prefix="edgeprune-bench-") as scratch:
        folder = Path(scratch) / "program"
        folder.mkdir()
        write_files(folder, program.files | {"program.json": program.manifest.to_json()})
        image = build_image(folder, target, toolchain, Path(scratch) / "image")
        with image_device(target, image).open_network() as session:
            profile = session.profile()
    return BenchRecord(
        model=job.name,
        core=target.core,
        variant=variant.name,
        stack=f"edgeprune {__version__}, {toolchain.identity}",
        device=target.device,
        flash_bytes=image.sizes.flash,
        ram_bytes=image.sizes.ram,
        stack_bytes=profile.stack_bytes,
        instructions=profile.inference.work.instructions,
        source="measured: invoke bench",
    )


def _targets(cores: Sequence[str]) -> list[Target]:
    """The shipped target of each core, without budgets that could stop a build."""
    found: dict[str, Target] = {}
    for path in resources.available("targets").values():
        target = Target.read(path)
        if CORES[target.core].bare_metal and target.name == target.core:
            found[target.core] = target
    _known("core", cores, found)
    return [target for core, target in found.items() if not cores or core in cores]


def _variants(names: Sequence[str]) -> list[BenchVariant]:
    _known("variant", names, {variant.name: variant for variant in VARIANTS})
    return [variant for variant in VARIANTS if not names or variant.name in names]


def _known(what: str, names: Sequence[str], known: Iterable[str]) -> None:
    from edgeprune.errors import DeclarationError

    known = list(known)
    for name in names:
        if name not in known:
            raise DeclarationError(
                f"there is no {what} {name!r}", where=f"--{what}", hint=", ".join(known)
            )
