"""How long a fleet takes: simulated hosts, the real deployer, the real agent.

From the repository's folder, as root::

    python -m benchmarks.fleet [--hosts 200] [--parallel 8] [--faults 40]

Every host is an SSH server of its own on a loopback port, with a home of its own. Two releases
are deployed to all of them, one after the other, by what ``invoke deploy`` calls: paramiko, a tiny
network compiled for this machine, the real agent; the canary is measured there and judged. The
hosts have NumPy, as with Debian's python3-numpy; with ``--ship-numpy`` the bundle brings it, 50 MB.
They share this machine's processors with the deployer.

With ``--faults``, random hosts lose network or power, freeze, are switched off or read-only while
the second release is deployed. In the end every home is looked into: each must hold exactly one
whole release that runs, and the table must have said which.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from rich.console import Console

from edgeprune.fleet import (
    FleetDeployment,
    deliver_to_fleet,
    fleet_reach,
    fleet_table,
    members,
)
from edgeprune.pipeline import Pipeline
from edgeprune.process import run
from edgeprune.progress import for_stream
from edgeprune.target import Target
from tests.devices.tiny_release import Workbench, model
from tests.fleet.hosts import AUDIO, Host, Trouble, lies, started, write_target

#: Version 1 of control groups counts the processors' time of a group of processes.
_ACCOUNTS = Path("/sys/fs/cgroup/cpuacct")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--faults", type=int, default=0, help="how many hosts fail at random")
    parser.add_argument(
        "--ship-numpy", action="store_true", help="the hosts have no NumPy of their own"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    parser.add_argument("--releases", type=int, default=2, choices=(1, 2))
    parser.add_argument("--table", action="store_true", help="print the tables")
    given = parser.parse_args()
    accounts = _Accounts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HOME"] = name
        began = time.monotonic()
        more = "" if given.ship_numpy else f"SetEnv PATH={_python(folder)}:/usr/bin:/bin"
        with accounts.counted(), started(folder, given.hosts, more=more) as hosts:
            print(f"{len(hosts)} hosts started in {time.monotonic() - began:.0f} s")
            accounts.leave()
            target = Target.read(_target(folder, hosts, given))
            trouble = Trouble.draw(hosts, given.faults, given.seed)
            for number in range(1, given.releases + 1):
                pipeline = _pipeline(folder, target, number)
                troubled = number == 2 and given.faults
                with (
                    trouble.befalling(hosts, given.seed, 3.0) if troubled else nullcontext(),
                    accounts.told(f"release {number}", len(hosts)),
                ):
                    done = deliver_to_fleet(pipeline, members(target))
                _tell(done, hosts, table=given.table or bool(troubled))


def _python(folder: Path) -> Path:
    """A folder with a ``python3`` that has NumPy, as one with Debian's python3-numpy has."""
    (site,) = _made_environment(folder / "python").glob("lib/python3*/site-packages")
    installed = Path(np.__file__).parent
    for source in (installed, installed.with_name("numpy.libs")):
        shutil.copytree(source, site / source.name, ignore=shutil.ignore_patterns("tests", "*.pyi"))
    run([str(folder / "python/bin/python3"), "-I", "-c", "import numpy"])
    folder.chmod(0o755)
    return folder / "python" / "bin"


def _made_environment(folder: Path) -> Path:
    run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(folder)])
    return folder


def _target(folder: Path, hosts: list[Host], given: argparse.Namespace) -> Path:
    fleet = {"parallel": given.parallel, "max_failures": given.faults, "host_timeout_s": 40.0}
    ssh = {"runtime": "native", "listen": ["--input", AUDIO], "health_timeout_s": 15.0}
    limits = {"connect_timeout_s": 10.0, "stall_timeout_s": 10.0}
    return write_target(folder, hosts, fleet=fleet, ssh={**ssh, **limits})


def _pipeline(folder: Path, target: Target, number: int) -> Pipeline:
    """A recipe whose network is there already; each number's is another."""
    pipeline = Workbench.make(folder / f"recipe {number}", model(number)).pipeline(target)
    pipeline.reach = fleet_reach()
    pipeline.progress = for_stream()
    return pipeline


def _tell(done: FleetDeployment, hosts: list[Host], *, table: bool) -> None:
    if table:
        Console(highlight=False, width=120).print(fleet_table(done))
    print(f"  {done.summary()}")
    wrong = lies(hosts, done.hosts)
    silent = [host.name for host in hosts if not host.serving()]
    print(f"  looked into {len(hosts)} homes: {len(wrong)} contradict the table")
    print(f"  without a healthy service: {', '.join(silent) or 'none'}")
    for line in wrong:
        print(f"  {line}")
    if wrong:
        raise SystemExit(1)


class _Accounts:
    """Seconds of processor time: of this process, and of the hosts where the kernel counts them."""

    def __init__(self) -> None:
        self._group = _ACCOUNTS / f"edgeprune-fleet-{os.getpid()}"
        self._counts = os.access(_ACCOUNTS, os.W_OK)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """What is started inside belongs to the hosts, until :meth:`leave`."""
        if not self._counts:
            yield
            return
        self._group.mkdir()
        self._enter(self._group)
        try:
            yield
        finally:
            self.leave()
            while (self._group / "cgroup.procs").read_text(encoding="ascii"):
                time.sleep(0.1)
            self._group.rmdir()

    def leave(self) -> None:
        """This process is no host."""
        if self._counts:
            self._enter(_ACCOUNTS)

    @contextmanager
    def told(self, title: str, hosts: int) -> Iterator[None]:
        """Print what was used inside."""
        wall_s, own_s, theirs_s = time.monotonic(), _own_s(), self._theirs_s()
        yield
        wall_s, own_s = time.monotonic() - wall_s, _own_s() - own_s
        theirs_s = self._theirs_s() - theirs_s
        rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{title}: {hosts} hosts in {wall_s:.1f} s, {hosts / wall_s:.2f} hosts/s")
        print(
            f"  deployer: {own_s:.1f} s of processor time, {1000 * own_s / hosts:.0f} ms a host; "
            f"peak RSS {rss_mib:.0f} MiB"
        )
        if self._counts:
            each = 1000 * theirs_s / hosts
            print(f"  hosts: {theirs_s:.1f} s of processor time, {each:.0f} ms a host")

    def _enter(self, group: Path) -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def _theirs_s(self) -> float:
        if not self._counts:
            return 0.0
        return int((self._group / "cpuacct.usage").read_text(encoding="ascii")) / 1e9


def _own_s() -> float:
    return sum(os.times()[:2])


if __name__ == "__main__":
    main()
