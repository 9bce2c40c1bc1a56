"""Releases on devices over SSH: deployed, proved, switched, rolled back, watched."""

from __future__ import annotations

from edgeprune.deployment.deploy import deploy
from edgeprune.deployment.facts import ask_facts
from edgeprune.deployment.observing import follow, logs, status
from edgeprune.deployment.records import Deployment, Release, Rollback, Service, Status
from edgeprune.deployment.switching import rollback, settled

__all__ = [
    "Deployment",
    "Release",
    "Rollback",
    "Service",
    "Status",
    "ask_facts",
    "deploy",
    "follow",
    "logs",
    "rollback",
    "settled",
    "status",
]
