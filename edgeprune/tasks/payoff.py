"""The truth table of pruning."""

from __future__ import annotations

from invoke.context import Context

from edgeprune.tasks.command import command, console, open_pipeline

__all__ = ["TASKS"]


@command(
    structures="what is taken out, of channel,unstructured,block,1x4,2:4; one of each if left out",
    criteria="what it is chosen by, for example l1,magnitude; the recipe's choice if left out",
    sparsity="shares that are taken out: 0.3,0.5,0.7,0.8,0.9 if left out",
    backend="whose costs: c for our C and its image, tflm for TensorFlow Lite Micro",
    json_="write the records as JSON to this file",
    csv="write the records as CSV to this file",
    markdown="write the tables as Markdown to this file",
    plot="draw accuracy over the costs into STEM.png and STEM.svg",
)
def payoff(
    c: Context,
    recipe: str = "default",
    target: str = "cortex-m4",
    structures: str | None = None,
    criteria: str | None = None,
    sparsity: str | None = None,
    backend: str = "c",
    json_: str | None = None,
    csv: str | None = None,
    markdown: str | None = None,
    plot: str | None = None,
    optimize: str | None = None,
    set_: list[str] | None = None,
    explain: bool = False,
) -> None:
    """Show what each kind of pruning buys.

    Trains every structure, criterion and sparsity, and what they must beat, for as long: the
    fine-tuned dense network, narrower dense ones, and 4-bit weights. Says which pays, and why.
    What the store has is not trained again, so a run that was stopped goes on where it was.
    """
    from edgeprune import payoff as rooms
    from edgeprune.publish import publish_files

    whose = rooms.known_backend(backend)
    grid = rooms.Grid.parse(structures, criteria, sparsity)
    if plot:
        rooms.require_matplotlib()
    pipeline = open_pipeline(recipe, target, set_ or (), explain, optimize)
    result = rooms.run_payoff(pipeline, grid, whose)
    files = rooms.payoff_files(result, json=json_, csv=csv, markdown=markdown, plot=plot)
    publish_files(files)
    for part in rooms.payoff_tables(result):
        console().print("", part)
    console().print()
    for note in rooms.notes(result):
        console().print(f"note: {note}", markup=False)


TASKS = (payoff,)
