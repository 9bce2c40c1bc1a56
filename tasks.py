"""The Invoke namespace: ``invoke --list`` is the manual."""

from edgeprune.tasks import namespace

__all__ = ["namespace"]
