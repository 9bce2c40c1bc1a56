"""The Invoke collection: a few lines a task, no logic."""

from __future__ import annotations

from invoke.collection import Collection

from edgeprune.tasks import house, keygen, payoff, remote, way

__all__ = ["namespace"]

namespace = Collection()
for _task in (*way.TASKS, *payoff.TASKS, *remote.TASKS, *keygen.TASKS, *house.TASKS):
    namespace.add_task(_task)
namespace.configure({"run": {"echo": False}})
