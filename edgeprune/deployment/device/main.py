"""The way in: one request, as JSON, and one answer."""

from __future__ import annotations

import errno
import platform
import shutil
import time
from collections.abc import Callable
from typing import Any

from . import activation, files, health, locking, packages, service
from .layout import PARTIAL, DeviceError, Layout, read_json

__all__ = ["REQUESTS", "answer"]

#: How long a request waits for another one to end its step.
_GUARD_S = 3.0

Job = dict[str, Any]


def answer(name: str, job: Job) -> dict[str, Any]:
    """What a request comes to: ``{"ok": …}`` or ``{"error": …}``.

    Args:
        name: of the request.
        job: its arguments, ``root`` among them, the folder that everything lies in.
    """
    try:
        return {"ok": REQUESTS[name](Layout(job["root"]), job)}
    except DeviceError as error:
        return _error(error.kind, error.message, error.hint)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        where = f": {error.filename}" if error.filename else ""
        message = "the disk is full" if full else f"{error.strerror or error}"
        hint = "make room there" if full else ""
        return _error("device", f"{message}{where}", hint)


def _error(kind: str, message: str, hint: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "hint": hint}}


def _acquire(layout: Layout, job: Job) -> Any:
    try:
        with locking.guarded(layout, _GUARD_S):
            taken = locking.acquire(
                layout, job["token"], job["owner"], job["lease_s"], job["instead_of"]
            )
            return {**taken, "interrupted": activation.interrupted(layout)}
    except DeviceError as error:
        return {"held": False, "busy": error.message, **read_json(layout.lock)}


def _renew(layout: Layout, job: Job) -> Any:
    with locking.guarded(layout, _GUARD_S):
        locking.renew(layout, job["token"])


def _release(layout: Layout, job: Job) -> Any:
    with locking.guarded(layout, _GUARD_S):
        locking.release(layout, job["token"])


def _alone(work: Callable[[Layout, Job, int], Any]) -> Callable[[Layout, Job], Any]:
    """Do something as the deployer that has the lock."""

    def request(layout: Layout, job: Job) -> Any:
        with locking.guarded(layout, _GUARD_S) as guard:
            locking.renew(layout, job["token"])
            return work(layout, job, guard)

    return request


def _stage(layout: Layout, job: Job, guard: int) -> Any:
    swept = files.sweep(layout, job["release"])
    return {**files.stage(layout, job["release"], files.checked(job["files"])), "swept": swept}


def _complete(layout: Layout, job: Job, guard: int) -> Any:
    wanted = files.checked(job["files"])
    if job["packed"]:
        files.unpack(layout, job["release"], wanted, job["packed"])
    wrong = files.complete(layout, job["release"], wanted)
    healthy = health.observe(layout)["healthy"]
    return {"wrong": wrong, "running": layout.running(), "healthy": healthy}


def _give_up(layout: Layout, job: Job, guard: int) -> Any:
    files.give_up(layout, job["release"])


def _remove_failed(layout: Layout, job: Job, guard: int) -> Any:
    return files.remove_failed(layout, job["release"])


def _install(layout: Layout, job: Job, guard: int) -> Any:
    done = packages.install(layout, job, locking.keeper(layout, job["token"]))
    locking.renew(layout, job["token"])
    return done


def _keep_packages(layout: Layout, job: Job, guard: int) -> Any:
    packages.keep(layout, job["digest"], job["record"])


def _drop_packages(layout: Layout, job: Job, guard: int) -> Any:
    packages.drop(layout)


def _activate(layout: Layout, job: Job, guard: int) -> Any:
    return activation.activate(layout, job["release"], job["action"], job["wait_s"], guard)


def _settle(layout: Layout, job: Job, guard: int) -> Any:
    return activation.settle(layout, job["wait_s"], guard)


def _prune(layout: Layout, job: Job, guard: int) -> Any:
    removed = files.prune(layout, job["keep"])
    return {"removed": removed, "service": _served(layout)}


def _status(layout: Layout, job: Job) -> Any:
    running = layout.running()
    return {
        "running": running,
        "previous": layout.before(running),
        "releases": [_release_facts(layout, name) for name in reversed(layout.whole())],
        "partial": _partial(layout),
        "service": _served(layout),
        "activation": read_json(layout.activation),
        "busy": locking.busy(layout),
        "lock": locking.holder(layout),
        "disk": _disk(layout),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "up_s": round(time.clock_gettime(time.CLOCK_BOOTTIME)),
    }


def _served(layout: Layout) -> dict[str, Any]:
    record = read_json(layout.service)
    known = {name: record.get(name) for name in ("kind", "reason", "since", "release")}
    return {**known, **health.observe(layout)}


def _release_facts(layout: Layout, name: str) -> dict[str, Any]:
    manifest = files.manifest(layout, name)
    entries = read_json(layout.history).get("healthy", [])
    proved: list[Any] = [entry["at"] for entry in entries if entry["release"] == name]
    return {
        "release": name,
        "bytes": sum(int(each["bytes"]) for each in manifest.get("files", {}).values()),
        "recipe": manifest.get("recipe"),
        "runtime": manifest.get("runtime"),
        "healthy_at": proved[-1] if proved else None,
    }


def _partial(layout: Layout) -> list[str]:
    if not layout.releases.is_dir():
        return []
    return sorted(path.stem for path in layout.releases.iterdir() if path.suffix == PARTIAL)


def _disk(layout: Layout) -> dict[str, int]:
    there = layout.root
    while not there.exists():
        there = there.parent
    room = shutil.disk_usage(there)
    return {"free_bytes": room.free, "total_bytes": room.total}


def _log(layout: Layout, job: Job) -> Any:
    running: service.Service | None = service.recorded(layout)
    if running is None:
        raise DeviceError("nothing was deployed here yet", hint="invoke deploy")
    return running.log_command(job["count"], follow=job["follow"])


REQUESTS: dict[str, Callable[[Layout, Job], Any]] = {
    "acquire": _acquire,
    "renew": _renew,
    "release": _release,
    "stage": _alone(_stage),
    "complete": _alone(_complete),
    "give_up": _alone(_give_up),
    "remove_failed": _alone(_remove_failed),
    "install": _alone(_install),
    "keep_packages": _alone(_keep_packages),
    "drop_packages": _alone(_drop_packages),
    "activate": _alone(_activate),
    "settle": _alone(_settle),
    "prune": _alone(_prune),
    "status": _status,
    "log": _log,
}
