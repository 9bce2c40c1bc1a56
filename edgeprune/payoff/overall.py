"""One line of progress over many networks, of what the store does not hold yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from edgeprune.payoff.points import Point
from edgeprune.pipeline import Pipeline
from edgeprune.progress import SilentProgress, Task
from edgeprune.store import Artifact, Outcome, Stage, Store, canonical_json

__all__ = ["StepProgress", "Work", "outstanding", "quietly"]

#: What measuring a network takes, in epochs of training: enough to keep the time left honest.
_MEASURING_STEPS = 4


@dataclass(frozen=True)
class Work:
    """What is left to do for one point.

    Attributes:
        epochs: of training and recovery.
        measuring: steps for quantizing, building and running the network.
    """

    epochs: int = 0
    measuring: int = 0

    @property
    def steps(self) -> int:
        return self.epochs + self.measuring


class _NotMade(Exception):
    """The store does not hold an artifact."""


class _Lookup(Store):
    """A store that makes nothing."""

    def ensure(
        self, stage: Stage, *, before_run: Callable[[Outcome], None] | None = None
    ) -> Outcome:
        found = self.find(stage)
        if found is None:
            raise _NotMade(stage.name)
        return Outcome(found, ran=False)


def quietly(_: str) -> None:
    """Say nothing."""


def outstanding(base: Pipeline, points: list[Point]) -> list[Work]:
    """What is left to do for each point, in the order in which the points are made.

    Args:
        base: its clips and features are there already.
        points: in their order; training that two share is the first one's.
    """
    counted: set[str] = set()
    return [_outstanding(base, point, counted) for point in points]


def _outstanding(base: Pipeline, point: Point, counted: set[str]) -> Work:
    lookup = replace(
        base,
        recipe=point.recipe,
        store=_Lookup(base.store.root),
        progress=SilentProgress(),
        say=quietly,
    )
    if _is_there(lambda: lookup.measurement("pruned")):
        return Work()
    epochs = 0
    training = canonical_json(
        [point.recipe.model.model_dump(mode="json"), point.recipe.training.model_dump(mode="json")]
    )
    if training not in counted and not _is_there(lookup.trained):
        counted.add(training)
        epochs += point.recipe.training.epochs
    if lookup.prunes and not _is_there(lookup.pruned):
        epochs += point.recipe.pruning.epochs
    if not _is_there(lambda: lookup.tuned("pruned")):
        epochs += point.recipe.quantization.epochs
    return Work(epochs, _MEASURING_STEPS)


def _is_there(make: Callable[[], Artifact]) -> bool:
    """Whether the store holds an artifact, and all on the way to it."""
    try:
        make()
    except _NotMade:
        return False
    return True


class _EpochTask:
    def __init__(self, owner: StepProgress) -> None:
        self._owner = owner

    def advance(self, n: float = 1) -> None:
        """Move the overall line."""
        self._owner.move(n)


class StepProgress(SilentProgress):
    """Passes epochs on to the overall line, and shows nothing of its own.

    Args:
        overall: the line.
        work: of the point that reports here.
    """

    def __init__(self, overall: Task, work: Work) -> None:
        self._overall = overall
        self._left = float(work.steps)

    def move(self, n: float) -> None:
        """Advance, but never past the point's own work."""
        step = min(n, self._left)
        self._left -= step
        if step:
            self._overall.advance(step)

    def finish(self) -> None:
        """The point is made: what is left of its steps is done too."""
        self.move(self._left)

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        """Open a piece of work; only epochs are counted."""
        if unit == "epochs":
            yield _EpochTask(self)
        else:
            with super().task(description, total, unit) as silent:
                yield silent
