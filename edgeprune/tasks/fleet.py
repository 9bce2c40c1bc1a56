"""What the tasks over SSH do for a target that is a fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from edgeprune.tasks.command import console, say

if TYPE_CHECKING:
    from edgeprune.fleet import FleetHosts
    from edgeprune.model_pipeline import ModelPipeline
    from edgeprune.pipeline import Pipeline
    from edgeprune.ssh_target import Ssh
    from edgeprune.target import Target

__all__ = [
    "check_no_host",
    "deploy_to_fleet",
    "fleet_settings",
    "on_host",
    "reached",
    "roll_fleet_back",
    "show_fleet",
]

#: More of them nobody reads; ``fleet.json`` has all.
_MOST_HINTS = 5
#: Exit code of a program that SIGINT ended, as shells have it.
_INTERRUPTED = 130


def fleet_settings(
    parallel: str | None, canary: str | None, max_failures: str | None, roll_back: bool
) -> list[str]:
    """The flags of ``deploy`` as ``--set`` would say them, so that their limits are said once."""
    flags = {"parallel": parallel, "canary": canary, "max_failures": max_failures}
    given = [f"target.fleet.{key}={value}" for key, value in flags.items() if value is not None]
    return given + (["target.fleet.on_failure=roll back"] if roll_back else [])


def deploy_to_fleet(pipeline: Pipeline, names: str | None) -> None:
    """Deploy to a fleet, and show what came of it.

    Raises:
        Exit: with 1 when a host does not run its release, with 130 after Ctrl-C.
    """
    from edgeprune import fleet

    hosts = fleet.chosen(fleet.members(pipeline.target), names)
    pipeline.reach = fleet.fleet_reach()
    done = fleet.deliver_to_fleet(pipeline, hosts)
    console().print(fleet.fleet_table(done))
    pipeline.say(done.summary())
    for hint in done.hints()[:_MOST_HINTS]:
        pipeline.say(f"try, on {hint}")
    pipeline.say(f"record: {pipeline.folder}/fleet.json, fleet.xml")
    if done.interrupted:
        raise Exit(code=_INTERRUPTED)
    if not done.passed:
        raise Exit(code=1)


def show_fleet(target: Target, names: str | None) -> tuple[str, bool]:
    """Show what runs on the hosts of a fleet.

    Returns:
        The record as JSON, and whether all is well.
    """
    from edgeprune import fleet, progress

    hosts, parallel = _hosts(target, names)
    found = fleet.ask_fleet(hosts, parallel=parallel, progress=progress.for_stream())
    console().print(fleet.status_table(found))
    return found.to_json(), all(each.said and each.said.service.healthy for each in found.hosts)


def roll_fleet_back(target: Target, names: str | None, release: str | None) -> tuple[str, bool]:
    """Let the hosts of a fleet run an earlier release again, and show what came of it.

    Returns:
        The record as JSON, and whether all is well.
    """
    from edgeprune import fleet, progress

    hosts, parallel = _hosts(target, names)
    shown = progress.for_stream()
    found = fleet.roll_fleet_back(hosts, release, parallel=parallel, progress=shown)
    console().print(fleet.rollback_table(found))
    return found.to_json(), all(each.said is not None for each in found.hosts)


def reached(target: Target, name: str | None) -> Ssh:
    """How the one host is reached that a task works with.

    Raises:
        DeclarationError: the target is a fleet, and no host, or several, are named; or it is
            none, and one is.
    """
    if target.fleet is None:
        check_no_host(target, name)
        return target.ssh_table()
    from edgeprune.fleet import only_member

    return only_member(target, name).ssh


def check_no_host(target: Target, name: str | None) -> None:
    """Make sure that no host is named where the target is no fleet.

    Raises:
        DeclarationError: one is.
    """
    if name is not None and target.fleet is None:
        from edgeprune.fleet import fleet_declaration

        fleet_declaration(target)


def on_host(pipeline: Pipeline | ModelPipeline, name: str | None) -> Pipeline | ModelPipeline:
    """The pipeline for the one host that a task works with.

    Raises:
        DeclarationError: as :func:`reached`.
    """
    from edgeprune.pipeline import Pipeline

    if pipeline.target.fleet is None or not isinstance(pipeline, Pipeline):
        check_no_host(pipeline.target, name)
        return pipeline
    from edgeprune.fleet import on_member, only_member

    return on_member(pipeline, only_member(pipeline.target, name))


def _hosts(target: Target, names: str | None) -> tuple[FleetHosts, int]:
    """Hosts of a fleet, and how many of them are asked at a time."""
    from edgeprune import fleet

    declared = fleet.fleet_declaration(target)
    hosts = fleet.FleetHosts(
        target=target.name,
        fleet={each.name: each for each in fleet.chosen(fleet.members(target), names)},
        host_timeout_s=declared.host_timeout_s,
        reach=fleet.fleet_reach(),
        interrupts=fleet.Interrupts(say),
    )
    return hosts, declared.parallel
