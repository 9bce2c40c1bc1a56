"""The Invoke collection: a few lines a task, no logic."""

from __future__ import annotations

from invoke.collection import Collection

from edgeprune.tasks import deployment, house, keygen, payoff, remote, virtual_pi, way

__all__ = ["namespace"]

namespace = Collection()
for _room in (way, payoff, remote, deployment, virtual_pi, keygen, house):
    for _task in _room.TASKS:
        namespace.add_task(_task)
namespace.configure({"run": {"echo": False}})
