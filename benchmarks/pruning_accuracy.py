"""The accuracy that each kind of pruning costs MLPerf Tiny's keyword network, beside its bar.

From a folder that holds ``data/`` and ``models/`` as the recipe names them::

    python -m benchmarks.pruning_accuracy --seeds 1,2,3 --json pruning_accuracy.json

Every network is trained, pruned, converted to int8 and measured as ``invoke ship`` does it, from
PCM on the emulated core, by the recipe ``mlperf-kws`` with the changes that stand in ``BARS``. What
is in the store is taken from there, so a run that was stopped goes on where it was. Accuracies are
means over the seeds. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean

import numpy as np
from rich.table import Table

from edgeprune.codegen import HostProgram, generate
from edgeprune.cores import CORES
from edgeprune.evaluation.measurement import Accuracy, Measurement
from edgeprune.graph import read_graph
from edgeprune.payoff.points import variant
from edgeprune.pipeline import Pipeline
from edgeprune.recipe import MlperfKws
from edgeprune.tasks.command import console, open_pipeline

RECIPE = "mlperf-kws"
TARGET = "cortex-m4"

#: TFLM and CMSIS-NN's dense network on the same core, without a front-end: docs/benchmarks.md.
TFLM_INSTRUCTIONS = 7_697_761
TFLM_FLASH = 107_564

Changes = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Bar:
    """What one kind of pruning may cost.

    Attributes:
        title: what it is.
        loss: the largest loss to the dense figure, in points of accuracy.
        aim: the loss that is aimed for.
        changes: tables of the recipe that differ.
        recipe: that they are changes of.
        instructions: the most that an inference may take, as a share of TFLM's; None for any.
        flash: the most bytes of the image, as a share of TFLM's; None for any.
    """

    title: str
    loss: float
    aim: float
    changes: Changes = field(hash=False)
    recipe: str = RECIPE
    instructions: float | None = None
    flash: float | None = None


_CHANNELS = {
    "structure": "channel",
    "criterion": "taylor",
    "only": (),
    "ramp_percent": 30.0,
    "learning_rate": 3e-3,
    "mixup": None,
}
_TWO_OF_FOUR = {"structure": "n:m", "pattern": "2:4", "sparsity": 0.5}
_FOUR_BITS = {"weights": "int4", "epochs": 15, "distillation": 0.5}

BARS = (
    Bar("50 % of pointwise weights", 0.5, 0.0, {"pruning": {"sparsity": 0.5}}),
    Bar("2:4 of pointwise weights", 0.5, 0.0, {"pruning": _TWO_OF_FOUR}),
    Bar("70 % of pointwise weights", 1.0, 0.3, {"pruning": {"sparsity": 0.7}}),
    Bar("80 % of pointwise weights", 2.0, 0.8, {"pruning": {"sparsity": 0.8}}),
    Bar("90 % of pointwise weights", 5.0, 2.5, {"pruning": {"sparsity": 0.9}}),
    Bar("half of the channels", 2.8, 1.2, {"pruning": {**_CHANNELS, "sparsity": 0.5}}),
    Bar(
        "dense, 4-bit pointwise weights",
        0.5,
        0.0,
        {"pruning": {"structure": "none"}, "quantization": _FOUR_BITS},
    ),
    Bar("mlperf-kws-4bit", 1.0, 1.0, {}, "mlperf-kws-4bit", instructions=1 / 3, flash=1 / 4),
)


@dataclass(frozen=True)
class Figures:
    """One network, over the seeds.

    Attributes:
        accuracy: int8, all test clips, of each seed.
        validation: float, validation clips, of each seed; they chose the options above.
        instructions: the most that an inference took.
        flash: bytes of the largest image, front-end and all.
        device_clips: test clips that went through the emulated core, from PCM, of all seeds.
        identical: whether each of them gave the host's bits.
    """

    accuracy: tuple[float, ...]
    validation: tuple[float, ...] = ()
    instructions: int | None = None
    flash: int | None = None
    device_clips: int = 0
    identical: bool | None = None

    @property
    def mean(self) -> float:
        """Mean accuracy, in percent."""
        return 100 * mean(self.accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="1,2,3", help="comma-separated")
    parser.add_argument("--only", default="", help="bars whose title contains this")
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    bases = {
        name: open_pipeline(name, TARGET, (), explain=False)
        for name in {RECIPE} | {bar.recipe for bar in BARS}
    }
    base = bases[RECIPE]
    published = Figures(tuple(_published(_seeded(base, seed, {})) for seed in seeds))
    tuned = _figures(base, seeds, {"pruning": {"structure": "none"}})
    control = _figures(base, seeds, {"pruning": {"sparsity": 0.0}})
    bars = [bar for bar in BARS if options.only in bar.title]
    rows = [(bar, _figures(bases[bar.recipe], seeds, bar.changes)) for bar in bars]
    dense = max(published.mean, tuned.mean)
    console().print(_table(published, tuned, control, dense, rows))
    if options.json:
        networks = {"published": published, "fine-tuned": tuned, "control": control}
        networks |= {bar.title: figures for bar, figures in rows}
        table = {
            "seeds": seeds,
            "dense_percent": dense,
            "networks": {title: asdict(figures) for title, figures in networks.items()},
            "met": {bar.title: _met(bar, figures, dense) for bar, figures in rows},
        }
        options.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if all(_met(bar, figures, dense) for bar, figures in rows) else 1)


def _seeded(base: Pipeline, seed: int, changes: Changes) -> Pipeline:
    recipe = variant(base.recipe, **changes).model_copy(update={"seed": seed})
    return replace(base, recipe=recipe)


def _figures(base: Pipeline, seeds: Sequence[int], changes: Changes) -> Figures:
    found, validation = [], []
    for seed in seeds:
        pipeline = _seeded(base, seed, changes)
        table = pipeline.measurement("pruned").json("measurement.json")
        found.append(Measurement.model_validate(table))
        summary = pipeline.network("pruned").json("training.json")
        validation.append(float(summary["validation"]["accuracy"]))
    agreements = [each.agreement for each in found if each.agreement]
    return Figures(
        accuracy=tuple(each.accuracy.fraction for each in found if each.accuracy),
        validation=tuple(validation),
        instructions=max(each.latency.inference_instructions for each in found if each.latency),
        flash=max(each.footprint.flash_bytes or 0 for each in found),
        device_clips=sum(each.clips for each in agreements),
        identical=all(each.identical for each in agreements),
    )


def _published(pipeline: Pipeline) -> float:
    """Accuracy of the published weights as int8, hearing MLPerf's features on this machine."""
    from edgeprune.models import mlperf_kws, mlperf_mfcc
    from edgeprune.quantization.converter import calibration_rows, quantize

    recipe, dataset = pipeline.recipe, pipeline.dataset()
    sizes = (mlperf_mfcc.FRAMES, mlperf_mfcc.COEFFICIENTS, len(dataset.labels))
    network = mlperf_kws.build(MlperfKws(kind="mlperf-kws"), *sizes, seed=0)
    mlperf_kws.load_weights(network, Path(str(recipe.training.teacher)), dataset.labels)
    clips = recipe.quantization.calibration_clips
    rows = calibration_rows(len(dataset.train), clips, seed=recipe.seed)
    content = quantize(network, mlperf_mfcc.mfcc(dataset.train.pcm[rows]))
    program = generate(
        read_graph(content, name="the published network"),
        labels=dataset.labels,
        frontend_identity="mlperf",
        core=CORES["host"],
    )
    host = HostProgram.build(program, pipeline.host_toolchain(), pipeline.cache / "libraries")
    heard = host.manifest.input
    steps = np.rint(mlperf_mfcc.mfcc(dataset.test.pcm) / heard.scale) + heard.zero_point
    scores = host.invoke(np.clip(steps, -128, 127).astype(np.int8))
    return Accuracy.from_scores(scores, dataset.test.labels).fraction


def _met(bar: Bar, figures: Figures, dense: float) -> bool:
    """Whether a network meets its bar; ``dense`` in percent."""
    shares = (
        (figures.instructions, TFLM_INSTRUCTIONS, bar.instructions),
        (figures.flash, TFLM_FLASH, bar.flash),
    )
    cheap = all(found is not None and found <= of * most for found, of, most in shares if most)
    # A hundredth of a point is less than a clip; it keeps rounding from deciding.
    return cheap and dense - figures.mean <= bar.loss + 0.005


def _table(
    published: Figures,
    tuned: Figures,
    control: Figures,
    dense: float,
    rows: Sequence[tuple[Bar, Figures]],
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("network", no_wrap=True)
    names = ("int8", "of each seed", "loss", "must", "aim", "instructions", "of TFLM's", "flash")
    for name in (*names, "of TFLM's", ""):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("published, MLPerf's features", *_accuracy(published))
    table.add_row("fine-tuned, this front-end", *_accuracy(tuned), "", "", "", *_cost(tuned))
    table.add_row(
        "dense control, tuned as long",
        *_accuracy(control),
        f"{dense - control.mean:+.2f}",
        "",
        "",
        *_cost(control),
    )
    for bar, figures in rows:
        table.add_row(
            bar.title,
            *_accuracy(figures),
            f"{dense - figures.mean:+.2f}",
            f"{bar.loss:.1f}",
            f"{bar.aim:.1f}",
            *_cost(figures),
            "met" if _met(bar, figures, dense) else "MISSED",
        )
    every = (tuned, control, *(figures for _, figures in rows))
    clips = sum(figures.device_clips for figures in every)
    bits = "the same bits" if all(figures.identical for figures in every) else "OTHER bits"
    table.caption = f"dense figure {dense:.2f} %; {clips:,} clips through the emulated core: {bits}"
    return table


def _accuracy(figures: Figures) -> tuple[str, str]:
    return f"{figures.mean:.2f} %", " ".join(f"{100 * each:.1f}" for each in figures.accuracy)


def _cost(figures: Figures) -> tuple[str, str, str, str]:
    instructions, flash = figures.instructions or 0, figures.flash or 0
    return (
        f"{instructions:,}",
        f"1/{TFLM_INSTRUCTIONS / instructions:.2f}",
        f"{flash:,}",
        f"1/{TFLM_FLASH / flash:.2f}",
    )


if __name__ == "__main__":
    main()
