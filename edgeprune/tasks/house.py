"""Around the way: what there is, whether the machine is fit, the generated docs, cleaning up."""

from __future__ import annotations

import shutil
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.tasks.command import BUILD, command, console

__all__ = ["TASKS"]


@command()
def targets(c: Context) -> None:
    """List the targets and their budgets."""
    from edgeprune.overview import target_table

    console().print(target_table())


@command()
def recipes(c: Context) -> None:
    """List the recipes."""
    from edgeprune.overview import recipe_table

    console().print(recipe_table())


@command()
def doctor(c: Context) -> None:
    """Check what is installed; say how to get the rest.

    Exit code 1 when something that the default way needs is missing.
    """
    from edgeprune.overview import doctor_table, examine

    findings = examine()
    console().print(doctor_table(findings))
    if any(finding.needed and not finding.found for finding in findings):
        raise Exit(code=1)


@command(check="fail when the files differ from what would be written, and write nothing")
def docs(c: Context, check: bool = False) -> None:
    """Write the docs that are generated from the code."""
    from edgeprune.payoff import payoff_schema
    from edgeprune.reference import reference, report_schema

    pages = {
        Path("docs/reference.md"): reference(),
        Path("docs/report.schema.json"): report_schema(),
        Path("docs/payoff.schema.json"): payoff_schema(),
    }
    stale = [
        path
        for path, text in pages.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path} is out of date: invoke docs")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(pages[path], encoding="utf-8")
            print(f"wrote {path}")
    if check and stale:
        raise Exit(code=1)


@command(
    model="the .tflite file; MLPerf Tiny's keyword spotting reference if left out",
    core="a core to build for; repeatable, all of them if left out",
    variant="a variant to build; repeatable, all of them if left out",
    json_="write the records as JSON to this file",
    markdown="write the page as Markdown to this file",
)
def bench(
    c: Context,
    model: str | None = None,
    core: list[str] | None = None,
    variant: list[str] | None = None,
    json_: str | None = None,
    markdown: str | None = None,
) -> None:
    """Compare builds of a network, and the peers', on every core."""
    from edgeprune import bench as rooms
    from edgeprune import progress
    from edgeprune.publish import publish_files

    reporter = progress.for_stream()
    path = Path(model) if model else rooms.reference_model(reporter)
    result = rooms.run_bench(path, reporter, cores=core or (), variants=variant or ())
    files = {}
    if json_:
        files[Path(json_)] = rooms.records_json(result.records).encode()
    if markdown:
        files[Path(markdown)] = rooms.bench_markdown(result).encode()
    publish_files(files)
    console().print(*rooms.bench_tables(result), sep="\n\n")
    for reason in result.missing:
        console().print(f"not measured: {reason}", markup=False)


@command(all_="remove the store as well, so that everything is made again")
def clean(c: Context, all_: bool = False) -> None:
    """Remove what was built, with --all the store too.

    The store holds clips, networks, programs, images and measurements.
    """
    for path in sorted(BUILD.iterdir()) if BUILD.is_dir() else []:
        if path.name == "store" and not all_:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        print(f"removed {path}")


TASKS = (targets, recipes, bench, doctor, docs, clean)
