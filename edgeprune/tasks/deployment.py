"""What runs on a host that is reached over SSH: seen, followed, and taken back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from edgeprune.tasks.command import command, console, ssh_table

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
    set_: list[str] | None = None,
) -> None:
    """Let the release before run again on a host.

    It must become healthy, else the release that ran runs on.
    """
    from edgeprune import deployment, remote

    ssh = ssh_table(target, set_ or ())
    with remote.connect(ssh, target=target) as host:
        done = deployment.rollback(
            host, root=ssh.root, release=release, health_timeout_s=ssh.health_timeout_s
        )
    _write(json_, done.to_json())
    console().print(done.table())


@command(json_="also write the status as JSON to this file")
def status(
    c: Context, target: str, json_: str | None = None, set_: list[str] | None = None
) -> None:
    """Show what runs on a host, and how well.

    Releases, disk and whoever deploys right now are shown too.

    Exit code 0 when the service is healthy, 1 when it is not, 2 on an error.
    """
    from edgeprune import deployment, remote

    ssh = ssh_table(target, set_ or ())
    with remote.connect(ssh, target=target) as host:
        found = deployment.status(host, root=ssh.root)
    _write(json_, found.to_json())
    console().print(found.table())
    if not found.service.healthy:
        raise Exit(code=1)


@command(lines="how many of the last lines", follow="go on until interrupted")
def logs(
    c: Context,
    target: str,
    lines: int = 50,
    follow: bool = False,
    set_: list[str] | None = None,
) -> None:
    """Show what the service on a host prints.

    One line each: detections, status, errors.
    """
    from edgeprune import deployment, remote

    ssh = ssh_table(target, set_ or ())
    with remote.connect(ssh, target=target) as host:
        if not follow:
            print(*deployment.logs(host, root=ssh.root, count=lines), sep="\n")
            return
        with closing(deployment.follow(host, root=ssh.root, count=lines)) as printed:
            try:
                for line in printed:
                    print(line, flush=True)
            except KeyboardInterrupt:
                return


def _write(path: str | None, text: str) -> None:
    if path is not None:
        from edgeprune.publish import publish_files

        publish_files({Path(path): text.encode()})


TASKS = (rollback, status, logs)
