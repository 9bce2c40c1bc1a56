"""Releases on many hosts: in waves, canaries first, and one true table at the end."""

from __future__ import annotations

from edgeprune.fleet.actions import FleetHosts, HostActions
from edgeprune.fleet.asking import Answer, Answers, ask_fleet, roll_fleet_back
from edgeprune.fleet.crew import Interrupts
from edgeprune.fleet.delivery import deliver_to_fleet, fleet_reach, on_member
from edgeprune.fleet.members import Member, chosen, fleet_declaration, members, only_member
from edgeprune.fleet.records import FleetDeployment, HostRecord, Outcome
from edgeprune.fleet.rollout import Actions, Plan, roll_out
from edgeprune.fleet.show import fleet_junit, fleet_table, rollback_table, status_table

__all__ = [
    "Actions",
    "Answer",
    "Answers",
    "FleetDeployment",
    "FleetHosts",
    "HostActions",
    "HostRecord",
    "Interrupts",
    "Member",
    "Outcome",
    "Plan",
    "ask_fleet",
    "chosen",
    "deliver_to_fleet",
    "fleet_declaration",
    "fleet_junit",
    "fleet_reach",
    "fleet_table",
    "members",
    "on_member",
    "only_member",
    "roll_fleet_back",
    "roll_out",
    "rollback_table",
    "status_table",
]
