"""The way through: the stages, one task each, and ``ship``, which is all of them."""

from __future__ import annotations

from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.tasks.command import command, console, open_pipeline

__all__ = ["TASKS"]

_RECIPE = "default"
_TARGET = "cortex-m4"


@command(default=True)
def ship(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    set_: list[str] | None = None,
    explain: bool = False,
) -> None:
    """Go the whole way, from recipe to verdict.

    Clips, features, training, pruning, int8, C, image, measurement, budgets.

    Exit code 0 when every budget is met, 1 when one is not, 2 on an error in what was given.
    """
    _judge(recipe, target, set_, explain, profile=False)


@command()
def data(
    c: Context, recipe: str = _RECIPE, set_: list[str] | None = None, explain: bool = False
) -> None:
    """Make or fetch the clips; compute their features."""
    from edgeprune import deliver

    pipeline = open_pipeline(recipe, _TARGET, set_ or (), explain)
    pipeline.features()
    console().print(deliver.clip_table(pipeline))


@command()
def train(
    c: Context, recipe: str = _RECIPE, set_: list[str] | None = None, explain: bool = False
) -> None:
    """Train the dense network."""
    from edgeprune import deliver

    pipeline = open_pipeline(recipe, _TARGET, set_ or (), explain)
    console().print(deliver.network_table(pipeline, "dense"))


@command()
def prune(
    c: Context, recipe: str = _RECIPE, set_: list[str] | None = None, explain: bool = False
) -> None:
    """Prune the trained network and let it recover."""
    from edgeprune import deliver

    pipeline = open_pipeline(recipe, _TARGET, set_ or (), explain)
    console().print(deliver.network_table(pipeline, "dense", "pruned"))


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
    profile="show the flash of every layer, section and large symbol",
)
def build(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    set_: list[str] | None = None,
    explain: bool = False,
    backend: str = "c",
    profile: bool = False,
) -> None:
    """Generate C and link the target's image."""
    from edgeprune import deliver

    pipeline = open_pipeline(recipe, target, set_ or (), explain)
    folder = deliver.publish_build(pipeline, backend)
    if profile:
        console().print(*deliver.size_tables(pipeline), sep="\n\n")
    pipeline.say(str(folder))


@command()
def deploy(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    set_: list[str] | None = None,
    explain: bool = False,
) -> None:
    """Put the image onto the device and start it."""
    from edgeprune import deliver

    pipeline = open_pipeline(recipe, target, set_ or (), explain)
    pipeline.say(deliver.deploy(pipeline))


@command(profile="show the instructions of every layer and function")
def check(
    c: Context,
    recipe: str = _RECIPE,
    target: str = _TARGET,
    set_: list[str] | None = None,
    explain: bool = False,
    profile: bool = False,
) -> None:
    """Measure on the device; judge by the budgets.

    Exit code 0 when every budget is met, 1 when one is not, 2 on an error in what was given.
    """
    _judge(recipe, target, set_, explain, profile=profile)


def _judge(
    recipe: str, target: str, set_: list[str] | None, explain: bool, *, profile: bool
) -> None:
    from edgeprune import deliver
    from edgeprune.reports import show

    pipeline = open_pipeline(recipe, target, set_ or (), explain)
    report = pipeline.report()
    if profile:
        console().print(*deliver.profile_tables(pipeline), sep="\n\n")
    show(report, console())
    folder = deliver.publish_report(pipeline, report)
    pipeline.say(f"report: {folder}/report.json, report.md, junit.xml")
    if not report.passed:
        raise Exit(code=1)


TASKS = (ship, data, train, prune, quantize, build, deploy, check)
