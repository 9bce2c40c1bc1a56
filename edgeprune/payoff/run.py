"""Trains, builds and measures every network of a truth table, and judges the sparse ones."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from dataclasses import replace

from edgeprune.errors import EdgepruneError, ImageError, TrainingError, UnsupportedError
from edgeprune.evaluation.measurement import Measurement
from edgeprune.payoff.axes import cost_axes
from edgeprune.payoff.grid import Grid
from edgeprune.payoff.narrower import WidthCosts, width_costs
from edgeprune.payoff.overall import StepProgress, Work, outstanding, quietly
from edgeprune.payoff.points import Plan, Point, make_plan
from edgeprune.payoff.records import Backend, Payoff, PayoffRecord
from edgeprune.payoff.verdicts import judge
from edgeprune.pipeline import Pipeline, Variant
from edgeprune.recipe import KerasNetwork
from edgeprune.stages.building import MODEL, model_graph
from edgeprune.store import Artifact

__all__ = ["judged", "plan", "run_payoff"]

#: A recipe that prunes nothing has the dense network here.
_VARIANT: Variant = "pruned"


def plan(base: Pipeline, grid: Grid) -> Plan:
    """The points of a recipe; counts the cost of narrower networks first, once.

    Raises:
        DeclarationError: nothing of the grid fits the recipe.
    """
    model = base.recipe.model
    if isinstance(model, KerasNetwork):
        return make_plan(base.recipe, grid, None)
    artifact = base.once("widths", lambda: width_costs(base.recipe, model))
    return make_plan(base.recipe, grid, WidthCosts.load(artifact))


def run_payoff(base: Pipeline, grid: Grid, backend: Backend = "c") -> Payoff:
    """Make the truth table of a recipe on a target.

    Everything is taken from the store where it is there, so that a run that was stopped goes on
    where it was.

    Args:
        base: the recipe, the target, the store, and where to report.
        grid: the sparse networks.
        backend: whose costs: our C's, or TensorFlow Lite Micro's.

    Raises:
        DeclarationError: nothing of the grid fits the recipe.
        EdgepruneError: a stage failed; what can't be trained, converted or linked is left out.
    """
    base.features()
    laid_out = plan(base, grid)
    points = list(laid_out.points)
    works = outstanding(base, points)
    records: list[PayoffRecord] = []
    missing = list(laid_out.left_out)
    total = sum(work.steps for work in works)
    with base.progress.task(
        f"train and measure {len(points)} networks", total=total, unit="steps"
    ) as overall:
        for index, (point, work) in enumerate(zip(points, works, strict=True), start=1):
            progress = StepProgress(overall, work)
            place = f"{index:>2} of {len(points)}  {point.title:<24}"
            try:
                record = _measured(base, point, work, progress, backend, place)
            except (ImageError, TrainingError, UnsupportedError) as error:
                missing.append(f"{point.title}: {_one_line(error)}")
                base.say(f"{place} left out: {_one_line(error)}")
            else:
                records.append(record)
            progress.finish()
    if not records:
        raise TrainingError("none of the networks could be made", hint="; ".join(missing))
    return Payoff(
        records=judged(records, base.target.budgets.accuracy),
        missing=tuple(missing),
        budgets=base.target.budgets,
        remarks=laid_out.remarks,
    )


def judged(
    records: Sequence[PayoffRecord], accuracy_budget: float | None
) -> tuple[PayoffRecord, ...]:
    """The records with a verdict on each sparse one."""
    rivals = [record for record in records if record.role != "sparse"]
    return tuple(
        record.model_copy(
            update={
                "verdict": judge(
                    record,
                    rivals,
                    cost_axes(record.backend, record.device),
                    accuracy_budget=accuracy_budget,
                )
            }
        )
        if record.role == "sparse"
        else record
        for record in records
    )


def _measured(
    base: Pipeline,
    point: Point,
    work: Work,
    progress: StepProgress,
    backend: Backend,
    place: str,
) -> PayoffRecord:
    say = base.say if base.explain else quietly
    started = time.monotonic()
    pipeline = replace(base, recipe=point.recipe, progress=progress, say=say)
    record = _record(pipeline, point, backend)
    took = f"made in {time.monotonic() - started:.0f} s" if work.steps else "up to date"
    base.say(f"{place} {100 * record.accuracy.fraction:.1f} %, {took}")
    return record


def _record(pipeline: Pipeline, point: Point, backend: Backend) -> PayoffRecord:
    artifact = pipeline.measurement(_VARIANT)
    measured = Measurement.model_validate(artifact.json("measurement.json"))
    if measured.accuracy is None:
        raise TrainingError("has no accuracy", where=str(artifact.path))
    training = pipeline.network(_VARIANT).json("training.json")
    cost = training["cost"]
    recipe, quantized = point.recipe, pipeline.quantized(_VARIANT)
    content = (quantized.path / MODEL).read_bytes()
    latency, footprint = measured.latency, measured.footprint
    own = backend == "c"
    array, arena = (None, None) if own else _tflm_bytes(pipeline.tflm(), quantized)
    return PayoffRecord(
        id=point.id,
        title=point.title,
        role=point.role,
        recipe=recipe.name,
        target=measured.target,
        device=measured.device,
        backend=backend,
        seed=recipe.seed,
        structure=point.structure,
        criterion=recipe.pruning.criterion if point.role == "sparse" else None,
        sparsity=recipe.pruning.sparsity if point.role == "sparse" else 0.0,
        width=getattr(recipe.model, "width", None),
        weights=recipe.quantization.weights,
        epochs=point.epochs,
        parameters=cost["parameters"],
        nonzero_parameters=cost["parameters"] - cost["weights"] + cost["nonzero"],
        macs=measured.complexity.macs,
        tflite_bytes=len(content),
        gzip_bytes=len(gzip.compress(content, compresslevel=9, mtime=0)),
        c_array_bytes=array,
        arena_bytes=arena,
        flash_bytes=footprint.flash_bytes if own else None,
        ram_bytes=footprint.ram_bytes if own else None,
        instructions=latency.instructions if own and latency else None,
        latency_ms=latency.ms_estimate if own and latency else None,
        accuracy=measured.accuracy,
        validation_accuracy=training["validation"]["accuracy"],
        measurement=artifact.key,
    )


def _tflm_bytes(tflm: Artifact, quantized: Artifact) -> tuple[int, int]:
    """Bytes of the generated C array, and those that no arena can do without."""
    from edgeprune.codegen.tflm.generate import activation_bytes

    array = (tflm.path / "model_data.cc").read_text(encoding="utf-8")
    return array.count("0x"), activation_bytes(model_graph(quantized))


def _one_line(error: EdgepruneError) -> str:
    place = f"{error.where}: " if error.where else ""
    return f"{place}{error.message}"
