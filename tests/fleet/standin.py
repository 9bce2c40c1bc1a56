"""A pipeline whose bundle is made already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgeprune.bundle import Bundle, DeviceFacts
from edgeprune.devices.ssh import Reach
from edgeprune.progress import Progress, SilentProgress
from edgeprune.remote import connect
from edgeprune.store import Artifact
from edgeprune.target import Target


@dataclass
class StandIn:
    """What a fleet needs of a pipeline.

    Attributes:
        target: the fleet.
        folder: where results are published.
        made: the bundle for every host; its folder is called ``bundle``.
        asked: the kinds of hosts that bundles were made for.
    """

    target: Target
    folder: Path
    made: Bundle
    reach: Reach = connect
    progress: Progress = field(default_factory=SilentProgress)
    say: Callable[[str], None] = print
    asked: list[DeviceFacts] = field(default_factory=list)

    def bundle(self, facts: DeviceFacts) -> Artifact:
        self.asked.append(facts)
        return Artifact("bundle", "key", self.made.folder.parent)
