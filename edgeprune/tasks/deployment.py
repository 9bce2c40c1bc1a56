"""What runs on a host that is reached over SSH: seen, followed, and taken back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.tasks.command import command, console, read_target
from edgeprune.tasks.fleet import reached, roll_fleet_back, show_fleet

__all__ = ["TASKS"]


@command(
    release="which one; the healthy one before the one that runs if left out",
    json_="also write what was done as JSON to this file",
)
def rollback(
    c: Context,
    target: str,
    release: str | None = None,
    json_: str | None = None,
    host: str | None = None,
    set_: list[str] | None = None,
) -> None:
    """Let the release before run again, on a host or a fleet.

    It must become healthy, else the release that ran runs on.

    Exit code 1 when hosts of a fleet did not go back, 2 on an error.
    """
    from edgeprune import deployment, remote

    declared = read_target(target, set_ or ())
    if declared.fleet is not None:
        record, well = roll_fleet_back(declared, host, release)
        _end(json_, record, well=well)
        return
    ssh = reached(declared, host)
    with remote.connect(ssh, target=target) as there:
        done = deployment.rollback(
            there, root=ssh.root, release=release, health_timeout_s=ssh.health_timeout_s
        )
    console().print(done.table())
    _end(json_, done.to_json(), well=True)


@command(json_="also write the status as JSON to this file")
def status(
    c: Context,
    target: str,
    json_: str | None = None,
    host: str | None = None,
    set_: list[str] | None = None,
) -> None:
    """Show what runs on a host or a fleet, and how well.

    Of a single host, releases, disk and whoever deploys right now are shown too.

    Exit code 0 when the service is healthy, 1 when it is not, 2 on an error.
    """
    from edgeprune import deployment, remote

    declared = read_target(target, set_ or ())
    if declared.fleet is not None and (host is None or "," in host):
        record, well = show_fleet(declared, host)
        _end(json_, record, well=well)
        return
    ssh = reached(declared, host)
    with remote.connect(ssh, target=target) as there:
        found = deployment.status(there, root=ssh.root)
    console().print(found.table())
    _end(json_, found.to_json(), well=found.service.healthy)


@command(lines="how many of the last lines", follow="go on until interrupted")
def logs(
    c: Context,
    target: str,
    lines: int = 50,
    follow: bool = False,
    host: str | None = None,
    set_: list[str] | None = None,
) -> None:
    """Show what the service on a host prints.

    One line each: detections, status, errors.
    """
    from edgeprune import deployment, remote

    ssh = reached(read_target(target, set_ or ()), host)
    with remote.connect(ssh, target=target) as there:
        if not follow:
            print(*deployment.logs(there, root=ssh.root, count=lines), sep="\n")
            return
        with closing(deployment.follow(there, root=ssh.root, count=lines)) as printed:
            try:
                for line in printed:
                    print(line, flush=True)
            except KeyboardInterrupt:
                return


def _end(path: str | None, record: str, *, well: bool) -> None:
    """Write the record where it was asked for, and end with 1 where not all is well."""
    if path is not None:
        from edgeprune.publish import publish_files

        publish_files({Path(path): record.encode()})
    if not well:
        raise Exit(code=1)


TASKS = (rollback, status, logs)
