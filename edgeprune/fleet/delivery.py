"""From a recipe to a fleet: one bundle for every kind of device, canaries judged by the budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from edgeprune.budgets import Status as Judged
from edgeprune.bundle import Bundle
from edgeprune.devices.ssh import Reach
from edgeprune.fleet.actions import HostActions
from edgeprune.fleet.crew import Interrupts
from edgeprune.fleet.members import Member, fleet_declaration
from edgeprune.fleet.records import FleetDeployment
from edgeprune.fleet.rollout import Plan, roll_out
from edgeprune.fleet.secrets import FleetSecrets
from edgeprune.fleet.show import fleet_junit
from edgeprune.pipeline import Pipeline
from edgeprune.publish import publish_files
from edgeprune.remote import connect
from edgeprune.reports import Report, junit, markdown
from edgeprune.stages.bundling import BUNDLE

__all__ = ["deliver_to_fleet", "fleet_reach", "on_member"]


def fleet_reach() -> Reach:
    """Connects to the hosts of a fleet; each secret is asked for once."""
    return partial(connect, secrets=FleetSecrets())


def on_member(pipeline: Pipeline, member: Member) -> Pipeline:
    """The same pipeline, for one host of the target's fleet."""
    one = replace(pipeline, target=member.target(pipeline.target))
    one._made.update(pipeline._made)
    return one


def deliver_to_fleet(
    pipeline: Pipeline, hosts: Sequence[Member], interrupts: Interrupts | None = None
) -> FleetDeployment:
    """Deploy to hosts of the target's fleet, as its table ``[fleet]`` says.

    Published in the pipeline's folder: ``fleet.json``, ``fleet.xml`` (JUnit), and the canaries'
    reports below ``canaries``.

    Args:
        pipeline: what is deployed.
        hosts: all of the fleet's, or some.
        interrupts: counts Ctrl-C.

    Returns:
        What came of it on every host; failures of hosts are not raised.

    Raises:
        EdgepruneError: the network can't be made.
    """
    fleet, target = fleet_declaration(pipeline.target), pipeline.target
    interrupts = interrupts or Interrupts(pipeline.say)
    actions = HostActions(
        target=target.name,
        fleet={member.name: member for member in hosts},
        host_timeout_s=fleet.host_timeout_s,
        reach=pipeline.reach,
        interrupts=interrupts,
        bundle=lambda facts: Bundle.load(pipeline.bundle(facts).path / BUNDLE),
        judge=partial(_judge, pipeline),
    )
    plan = Plan(
        target=target.name,
        parallel=fleet.parallel,
        canary=fleet.canary,
        max_failures=fleet.max_failures,
        on_failure=fleet.on_failure,
        host_limit_s=actions.given_up_s,
    )
    done = roll_out(
        [member.name for member in hosts],
        actions,
        plan,
        progress=pipeline.progress,
        interrupts=interrupts,
    )
    publish_files(
        {
            pipeline.folder / "fleet.json": done.to_json().encode(),
            pipeline.folder / "fleet.xml": fleet_junit(done).encode(),
        }
    )
    return done


def _judge(pipeline: Pipeline, member: Member) -> str | None:
    """Measure a canary there, and say which budgets it misses."""
    report = on_member(pipeline, member).report()
    folder = pipeline.folder / "canaries" / member.name
    publish_files(
        {
            folder / "report.json": report.to_json().encode(),
            folder / "report.md": markdown(report).encode(),
            folder / "junit.xml": junit(report).encode(),
        }
    )
    return None if report.passed else _missed(report)


def _missed(report: Report) -> str:
    told = []
    for check in report.verdict.checks:
        if check.status is Judged.FAIL:
            told.append(f"{check.name} {check.measured:.4g}, {check.bound} {check.limit:.4g}")
        elif check.status is Judged.NOT_MEASURED:
            told.append(f"{check.name} not measured")
    return "misses its budgets: " + ", ".join(told)
