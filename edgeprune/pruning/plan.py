"""When what happens to a network under pruning: sparsity, rewinding and rate of every epoch."""

from __future__ import annotations

from dataclasses import dataclass

from edgeprune.pruning.schedule import Iterative, make_schedule
from edgeprune.recipe import Pruning

__all__ = ["Phase", "Plan"]


@dataclass(frozen=True)
class Phase:
    """Epochs under one curve of the learning rate.

    Attributes:
        epochs: that the curve is laid out for.
        skipped: of those, the ones at its beginning that are not run.
        rewinds: whether the network goes back before them.
    """

    epochs: int
    skipped: int = 0
    rewinds: bool = False


class Plan:
    """The epochs of a recipe's pruning, counted from 1.

    First come the dense epochs, if there are any; then the schedule takes weights out. The
    iterative schedule divides what is left into rounds of the same length. Each begins with pruning
    and then goes back to where the network was after ``rewind_epoch`` epochs, and so does the
    curve of the rate.

    Args:
        spec: what the recipe says.

    Attributes:
        snapshot_before: the epoch before which the network is what later rounds go back to; None
            when nothing rewinds.
        phases: first epoch → phase.
    """

    def __init__(self, spec: Pruning) -> None:
        self._final = spec.sparsity
        self._epochs = spec.epochs
        self._dense = spec.dense_epochs
        self._schedule = make_schedule(spec.schedule, rounds=spec.rounds)
        self._ramp = spec.epochs * spec.ramp_percent / 100
        self.snapshot_before: int | None = None
        self.phases: dict[int, Phase] = {1: Phase(max(1, spec.epochs))}
        if spec.schedule == Iterative.name:
            self.snapshot_before = spec.rewind_epoch + 1
            self.phases = _rounds(spec)

    def sparsity(self, epoch: int) -> float:
        """The sparsity during an epoch; that of the dense epochs is 0."""
        after = epoch - self._dense
        if after < 1:
            return 0.0
        if isinstance(self._schedule, Iterative):
            length = self._epochs - self._dense
            return self._schedule.sparsity((after - 1) / length, self._final)
        # The last epoch of the ramp has the final sparsity, and there is such an epoch.
        ramp = max(1, min(round(self._ramp), self._epochs - self._dense))
        return self._schedule.sparsity(after / ramp, self._final)


def _rounds(spec: Pruning) -> dict[int, Phase]:
    """First epoch → phase."""
    dense, rest = spec.dense_epochs, spec.epochs - spec.dense_epochs
    starts = [1 + dense + -(-number * rest // spec.rounds) for number in range(spec.rounds)]
    ends = [*starts[1:], spec.epochs + 1]
    skipped = spec.rewind_epoch
    phases = {
        start: Phase(skipped + end - start, skipped, rewinds=True)
        for start, end in zip(starts, ends, strict=True)
    }
    phases[1] = Phase(dense or ends[0] - 1)
    return phases
