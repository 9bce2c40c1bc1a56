"""The way through: the stages, one task each, and ``ship``, which is all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.tasks.command import command, console, open_model_pipeline, open_pipeline
from edgeprune.tasks.fleet import check_no_host, deploy_to_fleet, fleet_settings, on_host

if TYPE_CHECKING:
    from edgeprune.model_pipeline import ModelPipeline
    from edgeprune.pipeline import Pipeline

__all__ = ["TASKS"]

_RECIPE = "default"
_TARGET = "cortex-m4"


@command(default=True)
def ship(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    model: str | None = None,
    labels: str | None = None,
    optimize: str | None = None,
    set_: list[str] | None = None,
    explain: bool = False,
) -> None:
    """Go the whole way, from recipe to verdict.

    Clips, features, training, pruning, int8, C, image, measurement, budgets; with --model the way
    begins at a .tflite file. For a target over SSH the network is also deployed before it is
    measured there; of a fleet, the canaries are measured.

    Exit code 0 when every budget is met, 1 when one is not, 2 on an error in what was given.
    """
    from edgeprune.pipeline import Pipeline

    pipeline = _open(recipe, model, labels, target, set_, explain, optimize)
    if isinstance(pipeline, Pipeline) and pipeline.target.device == "ssh":
        _deploy(pipeline)
        if pipeline.target.fleet is not None:
            return
    _judge(pipeline, profile=False)


@command()
def data(
    c: Context, recipe: str = _RECIPE, set_: list[str] | None = None, explain: bool = False
) -> None:
    """Make or fetch the clips; compute their features."""
    from edgeprune.tables import clip_table

    pipeline = open_pipeline(recipe, _TARGET, set_ or (), explain)
    pipeline.features()
    console().print(clip_table(pipeline))


@command()
def train(
    c: Context, recipe: str = _RECIPE, set_: list[str] | None = None, explain: bool = False
) -> None:
    """Train the dense network."""
    from edgeprune.tables import network_table

    pipeline = open_pipeline(recipe, _TARGET, set_ or (), explain)
    console().print(network_table(pipeline, "dense"))


@command(
    sensitivity="prune each layer alone instead, and divide the sparsity for the target",
    by="with --sensitivity, what to save: instructions or flash",
    json_="with --sensitivity, write what was found as JSON to this file",
    write="with --sensitivity, write the recipe with a sparsity for each layer to this file",
)
def prune(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    set_: list[str] | None = None,
    explain: bool = False,
    sensitivity: bool = False,
    by: str = "instructions",
    json_: str | None = None,
    write: str | None = None,
) -> None:
    """Prune the trained network and let it recover.

    With --sensitivity, show what pruning each layer costs in loss and saves on the target, and
    which sparsities save as much as the recipe's at less loss. Only this looks at the target.
    """
    from edgeprune.tables import network_table

    if sensitivity:
        _examine(recipe, target, set_ or [], explain, by, json_, write)
        return
    pipeline = open_pipeline(recipe, target, set_ or (), explain)
    console().print(network_table(pipeline, "dense", "pruned"))


@command()
def quantize(
    c: Context, recipe: str = _RECIPE, set_: list[str] | None = None, explain: bool = False
) -> None:
    """Quantize the network to an int8 .tflite file."""
    from edgeprune import deliver

    pipeline = open_pipeline(recipe, _TARGET, set_ or (), explain)
    pipeline.say(str(deliver.publish_model(pipeline)))


@command(
    backend="c for self-contained C and an image, tflm for TensorFlow Lite Micro's C arrays",
    profile="show MACs, instructions and flash of every layer, sections and large symbols",
)
def build(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    model: str | None = None,
    labels: str | None = None,
    optimize: str | None = None,
    set_: list[str] | None = None,
    explain: bool = False,
    backend: str = "c",
    profile: bool = False,
) -> None:
    """Generate C and link the target's image.

    From a recipe, or with --model from any .tflite file.
    """
    from edgeprune import deliver, tables

    pipeline = _open(recipe, model, labels, target, set_, explain, optimize)
    folder = deliver.publish_build(pipeline, backend)
    if backend == "c":
        weighed = tables.encoding_table(deliver.manifest(pipeline))
        if weighed is not None:
            console().print(weighed)
    if profile:
        image = deliver.linked_image(pipeline)
        (_, inference), *_ = deliver.count(pipeline)
        shown = [tables.layer_table(image, inference), *tables.size_tables(image)]
        console().print(*shown, sep="\n\n")
    pipeline.say(str(folder))


@command(online="over SSH: let the device install its Python packages by itself (ssh.online)")
def deploy(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    set_: list[str] | None = None,
    explain: bool = False,
    online: bool = False,
    parallel: str | None = None,
    canary: str | None = None,
    max_failures: str | None = None,
    roll_back: bool = False,
    host: str | None = None,
) -> None:
    """Put the network onto the device and start it.

    Over SSH a release must answer a golden clip there, and its service must become healthy; else
    the release that ran before runs on.

    To a fleet it goes in waves: the canaries first, whose budgets are checked, then the rest. Exit
    code 0 when every host runs its release, 1 when one does not, 2 on an error in what was given,
    130 after Ctrl-C.
    """
    chosen = [*(set_ or ()), *(["target.ssh.online=true"] if online else [])]
    chosen += fleet_settings(parallel, canary, max_failures, roll_back)
    _deploy(open_pipeline(recipe, target, chosen, explain), host)


@command(profile="show the instructions of every layer and function")
def check(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    model: str | None = None,
    labels: str | None = None,
    optimize: str | None = None,
    set_: list[str] | None = None,
    explain: bool = False,
    profile: bool = False,
    host: str | None = None,
) -> None:
    """Measure on the device; judge by the budgets.

    Exit code 0 when every budget is met, 1 when one is not, 2 on an error in what was given.
    """
    pipeline = _open(recipe, model, labels, target, set_, explain, optimize)
    _judge(on_host(pipeline, host), profile=profile)


def _open(
    recipe: str,
    model: str | None,
    labels: str | None,
    target: str,
    set_: list[str] | None,
    explain: bool,
    optimize: str | None,
) -> Pipeline | ModelPipeline:
    """The pipeline of a recipe, or of a model file where one is given."""
    from edgeprune.errors import DeclarationError

    if model is not None:
        return open_model_pipeline(model, target, set_ or (), explain, optimize, labels)
    if labels is not None:
        raise DeclarationError(
            "a recipe's labels are its keywords",
            where="--labels",
            hint="leave it out, or name a file with --model",
        )
    return open_pipeline(recipe, target, set_ or (), explain, optimize)


def _examine(
    recipe: str,
    target: str,
    set_: list[str],
    explain: bool,
    by: str,
    json_: str | None,
    write: str | None,
) -> None:
    from edgeprune import resources
    from edgeprune import sensitivity as room
    from edgeprune.publish import publish_files

    resource = room.known_resource(by)
    room.check_written(write, set_)
    pipeline = open_pipeline(recipe, target, set_, explain)
    found = room.examine(pipeline, resource)
    for table in room.examination_tables(found):
        console().print("", table)
    console().print()
    for line in room.advice(found, pipeline.recipe, pipeline.target):
        console().print(line, markup=False)
    source = resources.find("recipes", recipe)
    publish_files(room.examination_files(found, source, pipeline.recipe, json=json_, write=write))


def _deploy(pipeline: Pipeline, host: str | None = None) -> None:
    if pipeline.target.fleet is not None:
        deploy_to_fleet(pipeline, host)
        return
    check_no_host(pipeline.target, host)
    if pipeline.target.device == "ssh":
        from edgeprune.deployment.delivery import deliver as deliver_over_ssh

        console().print(deliver_over_ssh(pipeline).table())
        return
    from edgeprune import deliver

    pipeline.say(deliver.deploy(pipeline))


def _judge(pipeline: Pipeline | ModelPipeline, *, profile: bool) -> None:
    from edgeprune import deliver, tables
    from edgeprune.reports import show

    # A target without an image is told before anything is measured.
    image = deliver.linked_image(pipeline) if profile else None
    report = pipeline.report()
    if image is not None:
        parts = deliver.count(pipeline)
        layers = tables.layer_table(image, parts[0][1])
        console().print(layers, tables.function_table(parts), sep="\n\n")
    show(report, console())
    folder = deliver.publish_report(pipeline, report)
    pipeline.say(f"report: {folder}/report.json, report.md, junit.xml")
    if not report.passed:
        raise Exit(code=1)


TASKS = (ship, data, train, prune, quantize, build, deploy, check)
