"""What a rollout does to a host, over real connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from edgeprune import deployment
from edgeprune.bundle import Bundle, DeviceFacts
from edgeprune.deployment import Deployment, Rollback, Status
from edgeprune.devices.ssh import Reach
from edgeprune.errors import BundleError, EdgepruneError, LockedError
from edgeprune.fleet.crew import Interrupts
from edgeprune.fleet.limited import Limit, LimitedRemote
from edgeprune.fleet.members import Member

__all__ = ["FleetHosts", "HostActions"]

_SHORT_S = 30.0
#: An action that outlasts its limit by so much is left to itself, in seconds.
_GRACE_S = 60.0
#: After so many seconds a lock without a switch is that of another deployer.
_OTHERS_S = 10.0
#: How often a host that is still switching is asked again, in seconds.
_POLL_S = 1.0


@dataclass
class FleetHosts:
    """The hosts of a fleet; each action connects to one, and ends in time.

    Attributes:
        target: the fleet's name.
        fleet: its hosts by name.
        host_timeout_s: limit of each action on one host.
        reach: connects; from several threads at a time.
        interrupts: Ctrl-C, which ends uploads.
    """

    target: str
    fleet: Mapping[str, Member]
    host_timeout_s: float
    reach: Reach
    interrupts: Interrupts

    @property
    def given_up_s(self) -> float:
        """After how long an action that holds to no limit is left to itself, in seconds."""
        return self.host_timeout_s + _GRACE_S

    def status(self, host: str) -> Status:
        """What a host says of itself."""
        with self._connected(host) as remote:
            return deployment.status(remote, root=self.fleet[host].ssh.root)

    def roll_back(self, host: str, release: str | None) -> Rollback:
        """Let an earlier release run again; the healthy one before the one that runs for None."""
        ssh = self.fleet[host].ssh
        with self._connected(host) as remote:
            return deployment.rollback(
                remote, root=ssh.root, release=release, health_timeout_s=ssh.health_timeout_s
            )

    def settle(self, host: str) -> Status:
        """What runs there, once nothing that was asked of it before can change that.

        A switch is waited for: the device ends it by itself, one way and back. Where somebody
        else deploys, it is what runs meanwhile.
        """
        ssh = self.fleet[host].ssh
        since = time.monotonic()
        with self._connected(host) as remote:
            while True:
                try:
                    return deployment.settled(
                        remote, root=ssh.root, health_timeout_s=ssh.health_timeout_s
                    )
                except LockedError:
                    found = deployment.status(remote, root=ssh.root)
                    waited_s = time.monotonic() - since
                    if waited_s > 2 * ssh.health_timeout_s + _SHORT_S:
                        raise
                    if waited_s > _OTHERS_S and not found.interrupted:
                        return found
                time.sleep(_POLL_S)

    def _connected(self, host: str) -> LimitedRemote:
        limit = Limit(self.host_timeout_s, self.interrupts.ended)
        remote = self.reach(limit.table(self.fleet[host].ssh), target=self.target)
        return LimitedRemote(remote, limit)


@dataclass
class HostActions(FleetHosts):
    """What a rollout does; see :class:`edgeprune.fleet.rollout.Actions`.

    Attributes:
        bundle: makes the bundle for a kind of device, or has it already.
        judge: measures a host and says what it misses; None when it passes.
    """

    bundle: Callable[[DeviceFacts], Bundle]
    judge: Callable[[Member], str | None]

    def __post_init__(self) -> None:
        """Nothing is known of any host yet."""
        self._facts: dict[str, DeviceFacts] = {}
        self._bundles: dict[str, Bundle] = {}

    def look(self, host: str) -> str | None:
        """What runs there; its facts are kept for its bundle."""
        with self._connected(host) as remote:
            self._facts[host] = deployment.ask_facts(remote)
            current = PurePosixPath(self.fleet[host].ssh.root, "current")
            told = remote.run(("readlink", "--", str(current)), timeout_s=_SHORT_S, check=False)
        return PurePosixPath(told.text.strip()).name or None

    def prepare(self, hosts: Sequence[str]) -> dict[str, str | EdgepruneError]:
        """Make one bundle for every kind of device among the hosts."""
        made: dict[DeviceFacts, Bundle | EdgepruneError] = {}
        found: dict[str, str | EdgepruneError] = {}
        for host in hosts:
            facts = self._facts[host]
            if facts not in made:
                try:
                    made[facts] = self.bundle(facts)
                except BundleError as error:
                    made[facts] = error
            bundle = made[facts]
            if isinstance(bundle, Bundle):
                self._bundles[host] = bundle
                found[host] = bundle.release
            else:
                found[host] = bundle
        return found

    def deploy(self, host: str) -> Deployment:
        """Let its release run there."""
        ssh = self.fleet[host].ssh
        with self._connected(host) as remote:
            return deployment.deploy(
                remote,
                self._bundles[host],
                root=ssh.root,
                keep=ssh.keep_releases,
                health_timeout_s=ssh.health_timeout_s,
                install_timeout_s=ssh.install_timeout_s,
                facts=self._facts[host],
            )

    def check(self, host: str) -> str | None:
        """Judge by the budgets what runs there."""
        return self.judge(self.fleet[host])
