"""A deployer in a process of its own, to be killed."""

from __future__ import annotations

from pathlib import Path

from edgeprune.bundle import Bundle
from edgeprune.deployment import deploy
from edgeprune.remote import connect
from edgeprune.ssh_target import Ssh
from tests.deployment.stub_bundle import ROOT


def deploy_from(folder: Path, table: Ssh) -> None:
    """Deploy the bundle of a folder."""
    with connect(table, target="pi") as remote:
        deploy(remote, Bundle.load(folder), root=ROOT, health_timeout_s=20.0)
