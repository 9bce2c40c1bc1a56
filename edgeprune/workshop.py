"""Running stages for a target: each once, from the store where it has what they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgeprune.progress import Progress
from edgeprune.store import Artifact, Outcome, Stage, Store
from edgeprune.target import Target
from edgeprune.toolchain import Toolchain, find_toolchain

__all__ = ["Workshop"]


@dataclass(kw_only=True)
class Workshop:
    """What every pipeline works with.

    Attributes:
        target: where the network runs.
        build: the folder that everything is published to.
        store: where artifacts are kept.
        progress: where long work reports to.
        say: prints a line.
        explain: say which input changed when a stage runs.
    """

    target: Target
    build: Path
    store: Store
    progress: Progress
    say: Callable[[str], None]
    explain: bool = False
    _made: dict[str, Artifact] = field(default_factory=dict, init=False)

    def toolchain(self) -> Toolchain:
        """What compiles the target's image."""
        return find_toolchain(self.target.toolchain)

    def host_toolchain(self) -> Toolchain:
        """What compiles for this machine: the target's choice where the target is this machine."""
        return find_toolchain(self.target.toolchain if self.target.core == "host" else "zig")

    @property
    def cache(self) -> Path:
        """Where compiled libraries are kept."""
        return self.build / "cache"

    def once(self, name: str, describe: Callable[[], Stage]) -> Artifact:
        """The artifact of a stage, made if the store does not have it."""
        if name not in self._made:
            stage = describe()
            outcome = self.store.ensure(stage, before_run=lambda told: self._announce(name, told))
            if outcome.ran:
                self.say(f"{name:<20} made in {outcome.seconds:.1f} s")
            else:
                self.say(f"{name:<20} up to date")
            self._made[name] = outcome.artifact
        return self._made[name]

    def _announce(self, name: str, outcome: Outcome) -> None:
        if self.explain:
            for reason in outcome.why:
                self.say(f"{name:<20} because {reason}")

    def keys(self) -> dict[str, str]:
        """Stage to artifact key, of everything that was asked for."""
        return {name: artifact.key for name, artifact in sorted(self._made.items())}
