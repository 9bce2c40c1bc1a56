"""From a recipe to a host: the bundle is made for the very device that answers."""

from __future__ import annotations

from edgeprune.bundle import Bundle
from edgeprune.deployment.deploy import deploy
from edgeprune.deployment.facts import ask_facts
from edgeprune.deployment.records import Deployment
from edgeprune.pipeline import Pipeline
from edgeprune.publish import publish_files
from edgeprune.stages.bundling import BUNDLE

__all__ = ["deliver"]


def deliver(pipeline: Pipeline) -> Deployment:
    """Ask the target's host what it is, make its bundle, and let that be what runs there.

    The record is published as ``deployment.json`` in the pipeline's folder.

    Raises:
        RemoteError: the host can't be reached.
        BundleError: there is no bundle for it.
        DeploymentError: the release did not become healthy; says what runs now.
    """
    ssh, name = pipeline.target.ssh_table(), pipeline.target.name
    # Training may take hours: nobody keeps a connection that long.
    with pipeline.reach(ssh, target=name) as host:
        facts = ask_facts(host)
    bundle = Bundle.load(pipeline.bundle(facts).path / BUNDLE)
    with pipeline.reach(ssh, target=name) as host:
        done = deploy(
            host,
            bundle,
            root=ssh.root,
            keep=ssh.keep_releases,
            health_timeout_s=ssh.health_timeout_s,
            install_timeout_s=ssh.install_timeout_s,
            progress=pipeline.progress,
        )
    publish_files({pipeline.folder / "deployment.json": done.to_json().encode()})
    return done
