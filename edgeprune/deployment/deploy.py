"""Bringing a release onto a device, so that a whole one runs there whatever happens.

====  =============================  ============================  ==============================
step  what happens on the device     ``current`` points to         what ends it, and what then is
====  =============================  ============================  ==============================
1     the lock is taken              the old release               anything: the old one runs on
2     its facts are checked          the old release               likewise
3     ``releases/<id>.partial`` is   the old release               likewise; the next deployment
      filled, from earlier releases                                goes on where this one ended, or
      and by upload                                                sweeps what it left; a full
                                                                   disk is freed of it at once
4     every hash is checked; all is  the old release               likewise; a release has its name
      on the disk; the folder is                                   only once it is whole
      renamed to ``releases/<id>``
5     with ``ssh.online``, its pip   the old release               likewise; packages have their
      fills                                                        name only once they are whole
      ``packages/<digest>.partial``                                and a runtime was constructed
6     smoke test: the release        the old release               likewise; a release that fails
      infers the golden clip                                       it is removed
7     the switch, by a process of    the old release; a boot       a dead deployer or network: the
      the device's own: the old      starts it                     device ends the switch alone. A
      service ends, the new release                                killed switch: its parent on the
      is on trial until its health                                 device settles it, or the next
      is told afresh; without that                                 deployment or rollback. A power
      the old one is started again                                 cut: the old one
8     one rename of the link         from then on the new one,     likewise; it was proved: it runs
                                     also at a boot                on, or is started again
9     old releases are removed, and  the new release               the next deployment removes them
      packages that none names
10    the lock is given back         the new release               its lease ends by itself
====  =============================  ============================  ==============================
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from edgeprune.bundle import Bundle, DeviceFacts
from edgeprune.cores import CORES
from edgeprune.deployment.device_link import DeviceLink
from edgeprune.deployment.facts import ask_facts
from edgeprune.deployment.lock import LEASE_S, Lock
from edgeprune.deployment.packages import ensure_packages
from edgeprune.deployment.records import Deployment, Service
from edgeprune.deployment.release_agent import ask_agent
from edgeprune.deployment.switching import settle, switch
from edgeprune.deployment.upload import Listing, Uploaded, listing, upload
from edgeprune.errors import DeploymentError, EdgepruneError, RemoteFileError
from edgeprune.progress import Progress, SilentProgress
from edgeprune.remote import Remote

__all__ = ["deploy"]

_REMOVING_S = 60.0


def deploy(
    remote: Remote,
    bundle: Bundle,
    *,
    root: str,
    keep: int = 3,
    health_timeout_s: float = 60.0,
    install_timeout_s: float = 1800.0,
    progress: Progress | None = None,
    lease_s: float = LEASE_S,
    facts: DeviceFacts | None = None,
) -> Deployment:
    """Let a bundle be the release that runs on a device.

    Args:
        remote: the device.
        bundle: what to deploy.
        root: folder on the device that everything lies in.
        keep: how many releases stay there.
        health_timeout_s: how long the service may take to become healthy.
        install_timeout_s: how long the device's pip may take, where it installs packages.
        progress: where the upload reports to.
        lease_s: seconds without a sign of life after which the lock is others' to take.
        facts: of the device, where it was asked lately; it is asked if left out.

    Raises:
        LockedError: another deployment is at work there.
        DeploymentError: the release can't be uploaded, fails its smoke test, or did not become
            healthy; the message says what runs now.
        BundleError: the bundle is made for another device.
        RemoteError: the connection broke, or the device can't keep a file.
    """
    progress = progress or SilentProgress()
    seconds: dict[str, float] = {}
    files = listing(bundle)
    with _timed(seconds, "look"):
        _check_facts(remote, bundle, facts or ask_facts(remote))
    with Lock(DeviceLink(remote, root), lease_s) as lock:
        settle(lock, health_timeout_s)
        with _timed(seconds, "upload"):
            sent = _uploaded(remote, lock, bundle, files, root, progress)
        installed = ""
        if "packages" in bundle.manifest:
            with _timed(seconds, "packages"):
                found = ensure_packages(
                    remote, lock, bundle, root=root, limit_s=install_timeout_s, progress=progress
                )
            installed = str(found)
        with _timed(seconds, "smoke test"), progress.task(f"smoke test on {remote.name}"):
            proof = _smoke_test(remote, lock, bundle, root)
        unchanged = sent.running == bundle.release and sent.runs_well
        if not unchanged:
            try:
                with _timed(seconds, "switch"), progress.task(f"switch {remote.name}"):
                    switch(lock, bundle.release, "deploy", health_timeout_s)
            except DeploymentError:
                with suppress(EdgepruneError):
                    lock.ask("prune", timeout_s=_REMOVING_S, keep=keep)
                raise
        done = lock.ask_last("prune", timeout_s=_REMOVING_S, keep=keep)
    return Deployment(
        host=remote.name,
        release=bundle.release,
        previous=sent.running,
        unchanged=unchanged,
        uploaded_files=sent.files,
        uploaded_bytes=sent.bytes,
        shared_files=sent.shared_files,
        shared_bytes=sent.shared_bytes,
        runtime=str(proof.get("runtime", "")),
        smoke_test=str(proof.get("detail", "")),
        service=Service.of(done["service"]),
        removed=tuple(done["removed"]),
        seconds=seconds,
        packages=installed,
    )


def _uploaded(
    remote: Remote, lock: Lock, bundle: Bundle, files: Listing, root: str, progress: Progress
) -> Uploaded:
    """Upload; what the device can't keep is removed there, what a lost connection left is not."""
    try:
        return upload(remote, lock, bundle, files, root=root, progress=progress)
    except (DeploymentError, RemoteFileError):
        with suppress(EdgepruneError):
            lock.ask("give_up", timeout_s=_REMOVING_S, release=bundle.release)
        raise


def _check_facts(remote: Remote, bundle: Bundle, facts: DeviceFacts) -> None:
    core = bundle.manifest.get("architecture")
    if core in CORES:
        facts.check(core, where=remote.name)
    made_for = bundle.manifest.get("python")
    shipped = any(name.startswith("site/") for name in bundle.files)
    has_packages = shipped or "packages" in bundle.manifest
    if has_packages and made_for not in (None, facts.python_version):
        raise DeploymentError(
            f"the bundle's packages are for Python {made_for}, the host has {facts.python_version}",
            where=remote.name,
            hint="invoke deploy makes a bundle for the host that it finds",
        )


def _smoke_test(remote: Remote, lock: Lock, bundle: Bundle, root: str) -> Mapping[str, Any]:
    """Let the agent open the bundle, construct its runtime and infer the golden clip."""
    lock.renew_when_due()
    told = ask_agent(remote, root, bundle.release, "health")
    if told.ok and told.answer.get("healthy") is True:
        return told.answer
    lock.ask("remove_failed", release=bundle.release)
    raise DeploymentError(
        f"release {bundle.release} fails its smoke test: {told.why}; what ran before runs on",
        where=remote.name,
        hint=told.hint or None,
    )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[step] = round(time.monotonic() - started, 3)
