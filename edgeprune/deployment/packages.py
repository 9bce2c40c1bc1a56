"""Packages that a device installs by itself: which, judged here; how, by its own pip.

They are not in the manifest, which nobody could write before they are there. What was installed is
noted on the device and compared at every start of the agent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edgeprune.bundle import Bundle
from edgeprune.bundle.runtime import Plan, RuntimeName, choose
from edgeprune.bundle.wheels import Attempt, Package, PipFailure
from edgeprune.deployment.lock import Lock
from edgeprune.deployment.release_agent import ask_agent
from edgeprune.deployment.text import plain
from edgeprune.errors import BundleError, DeploymentError, EdgepruneError, LockedError
from edgeprune.progress import Progress
from edgeprune.remote import Remote

__all__ = ["Installed", "ensure_packages"]

#: Constructing a runtime on the device, and hashing what was installed, in seconds.
_SLACK_S = 180.0
_SHOWN_LINES = 8
_OFFLINE = "without --online (ssh.online) the packages are resolved here and shipped"

#: What to do about a failure that says nothing of the packages.
_HINTS = {
    "no network": f"does the host reach its package index? {_OFFLINE}",
    "no pip": f"sudo apt-get install python3-pip there; {_OFFLINE}",
    "full disk": "make room there, or keep fewer releases: ssh.keep_releases",
    "late": f"ssh.install_timeout_s gives it longer; {_OFFLINE}",
    "other": f"python3 -m pip on the host may say more; {_OFFLINE}",
}
_MESSAGES = {
    "no network": "the host's pip can't reach its index",
    "no pip": "the host has no pip, and is to install packages by itself",
    "full disk": "the host's disk became full while it installed packages",
    "late": "the host's pip did not end in time, and was killed",
    "other": "the host's pip fails",
}


@dataclass(frozen=True)
class Installed:
    """Packages on a device.

    Attributes:
        runtime: which one they are for.
        reason: why it is this one.
        packages: distribution to version.
        left_out: what the device can't have, and why.
        there_already: nothing had to be installed.
    """

    runtime: str
    reason: str
    packages: Mapping[str, str]
    left_out: tuple[str, ...]
    there_already: bool

    @classmethod
    def of(cls, told: Mapping[str, Any], *, there_already: bool) -> Installed:
        """Read a record on the device, which may say anything."""
        left_out = told.get("left_out")
        return cls(
            runtime=plain(str(told.get("runtime", "")), 100),
            reason=plain(str(told.get("reason", "")), 2000),
            packages={plain(str(k), 100): plain(str(v), 100) for k, v in _pairs(told)},
            left_out=tuple(
                plain(str(each), 500) for each in (left_out if isinstance(left_out, list) else ())
            ),
            there_already=there_already,
        )

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        left_out = "".join(f"; left out: {each}" for each in self.left_out)
        before = "there already" if self.there_already else "installed by the host"
        return f"{before}: {versions or 'none'}; {self.reason}{left_out}"


def ensure_packages(
    remote: Remote,
    lock: Lock,
    bundle: Bundle,
    *,
    root: str,
    limit_s: float,
    progress: Progress,
) -> Installed:
    """Let a device have the packages that a release on it runs with.

    Args:
        remote: the device.
        lock: of this deployment.
        bundle: whose release is whole on the device, and whose manifest has a plan.
        root: folder on the device that everything lies in.
        limit_s: how long pip may take in all.
        progress: where the work reports to.

    Raises:
        LockedError: the lock was lost meanwhile.
        DeploymentError: the agent refuses the release; pip is missing, reaches no index, finds no
            room or does not end; or there is no runtime that can be installed and constructed. The
            release is removed; what ran before runs on.
        RemoteError: the connection broke.
    """
    told = ask_agent(remote, root, bundle.release, "version")
    if not told.ok:
        raise _refused(lock, bundle, f"its agent refuses it: {told.why}", told.hint)
    found = told.answer.get("packages")
    if isinstance(found, dict) and found.get("wrong", "") is None:
        return Installed.of(found, there_already=True)
    try:
        with progress.task(f"packages for {remote.name}, by its own pip"):
            return _installed(lock, bundle, limit_s)
    except LockedError:
        # Whoever has the lock now does as they like.
        raise
    except (DeploymentError, BundleError) as error:
        with suppress(EdgepruneError):
            lock.ask("drop_packages", timeout_s=_SLACK_S)
        raise _refused(lock, bundle, error.message, error.hint or "") from error


def _installed(lock: Lock, bundle: Bundle, limit_s: float) -> Installed:
    plan = Plan.parse(bundle.manifest["packages"])
    digest = bundle.manifest["packages"]["digest"]
    choice = choose(plan, _Pip(lock, bundle.release, digest, time.monotonic() + limit_s))
    record = {
        "runtime": choice.name,
        "version": choice.version,
        "reason": choice.reason,
        "packages": choice.packages,
        "left_out": list(choice.left_out),
    }
    lock.ask("keep_packages", timeout_s=_SLACK_S, digest=digest, record=record)
    return Installed.of(record, there_already=False)


class _Pip:
    """The device's pip; fetches for :func:`edgeprune.bundle.runtime.choose`."""

    def __init__(self, lock: Lock, release: str, digest: str, deadline: float) -> None:
        self._lock, self._release, self._digest = lock, release, digest
        self._deadline = deadline

    def __call__(
        self, requirements: tuple[str, ...], runtime: RuntimeName | None, dependencies: bool
    ) -> Attempt[Package]:
        left_s = max(1.0, self._deadline - time.monotonic())
        told: dict[str, Any] = self._lock.ask(
            "install",
            timeout_s=left_s + _SLACK_S,
            digest=self._digest,
            release=self._release,
            requirements=requirements,
            dependencies=dependencies,
            runtime=runtime,
            limit_s=left_s,
        )
        if "packages" in told:
            wheels = (Package(str(name), str(version)) for name, version in _pairs(told))
            return Attempt(tuple(sorted(wheels, key=lambda each: each.name)))
        if "refusal" in told:
            return Attempt(refusal=plain(str(told["refusal"]), 500))
        output = str(told["pip"])
        failure = PipFailure.of(output)
        kind = "late" if told["late"] else failure.kind
        if kind == "no wheel":
            return Attempt(refusal=plain(failure.said, 500))
        lines = [line for line in output.splitlines() if line.strip()][-_SHOWN_LINES:]
        shown = "".join(f"\n  | {plain(line, 200)}" for line in lines)
        wanted = ", ".join(requirements)
        raise DeploymentError(
            f"{_MESSAGES[kind]} ({wanted}){shown}", where=self._lock.host, hint=_HINTS[kind]
        )


def _refused(lock: Lock, bundle: Bundle, why: str, hint: str) -> DeploymentError:
    """Remove a release that can't run there; says that nothing else changed."""
    with suppress(EdgepruneError):
        lock.ask("remove_failed", release=bundle.release)
    return DeploymentError(
        f"release {bundle.release} is not switched to, and what ran before runs on: {why}",
        where=lock.host,
        hint=hint or None,
    )


def _pairs(told: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    packages = told.get("packages")
    return list(packages.items()) if isinstance(packages, dict) else []
