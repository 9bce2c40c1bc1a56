"""The network under pruning, with what is needed to prune it further."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeprune.models.batches import Batch
from edgeprune.models.trainer import Distillation, Penalty, Trainer, rates
from edgeprune.pruning.channels import Kernel
from edgeprune.pruning.criteria import Criterion, comparable_scores, criteria
from edgeprune.pruning.evidence import gather, moving_paths
from edgeprune.pruning.masks import Masks
from edgeprune.pruning.plan import Phase
from edgeprune.pruning.registry import fitted_structure
from edgeprune.pruning.structures import LayerScores, Structure
from edgeprune.pruning.surgery import map_channels, map_kernels, remove_channels
from edgeprune.recipe import Pruning

__all__ = ["Patient"]


class Patient:
    """A network, its masks, and the trainer that keeps it under them.

    Args:
        network: that is pruned; it is changed, and replaced when channels are taken out.
        spec: what the recipe says; its structure is not ``none``.
        teacher: the trained network.
        phase: the first.
        steps: in an epoch.
        seed: the recipe's.

    Attributes:
        network: as it is now.
        trainer: of that network.

    Raises:
        UnsupportedError: a layer through which channels can't be followed, or that the criterion
            can't score, by name.
        TrainingError: a pattern of ``pruning.only``, ``pruning.exclude`` or ``pruning.layers``
            matches no layer, they leave no layer to prune, or ``layers`` contradicts itself.
    """

    def __init__(
        self, network: Any, spec: Pruning, *, teacher: Any, phase: Phase, steps: int, seed: int
    ) -> None:
        self.network = network
        self._spec = spec
        self._phase = phase
        self._steps = steps
        self._criterion: Criterion = criteria(seed)[spec.scored_by]
        self._channels = (map_channels if spec.structure == "channel" else map_kernels)(network)
        self._structure: Structure = fitted_structure(spec, self._channels)
        self._kernels: tuple[Kernel, ...] = ()
        if spec.sparsity:
            self._kernels = self._structure.prunable(self._channels)
        self._distillation = (
            Distillation(teacher, spec.distillation, spec.temperature)
            if spec.distillation
            else None
        )
        self._masks: Masks | None = None
        self._done = False
        self._snapshot: list[Any] = []
        self.trainer = self._new_trainer(first_step=0)
        if not (self._criterion.needs_gradients or self._criterion.needs_movement):
            # What can't be scored is said before the first epoch.
            self._scores(())

    @property
    def batches_read(self) -> int:
        """How many batches the next :meth:`prune_to` reads."""
        reads = self._criterion.needs_gradients and not self._done
        return self._spec.gradient_batches if reads else 0

    def remember(self) -> None:
        """Keep the weights that later phases go back to."""
        self._snapshot = self.network.get_weights()

    def enter(self, phase: Phase) -> None:
        """Begin a phase: with a new curve of the rate, and where it rewinds, with old weights."""
        self._phase = phase
        if phase.rewinds and self._spec.rewind == "weights":
            self.network.set_weights(self._snapshot)
        self.trainer = self._new_trainer(first_step=phase.skipped * self._steps)
        if self._masks is not None:
            self.trainer.set_masks(self._masks.variables)

    def prune_to(self, sparsity: float, batches: Iterable[Batch]) -> None:
        """Take out up to a share; nothing once the final one is reached.

        Args:
            sparsity: the share.
            batches: of training clips, for criteria that read gradients.
        """
        if self._done:
            return
        if sparsity:
            scores = self._scores(batches)
            self._masks = self._structure.masks(self._channels, scores, sparsity, self._masks)
            self.trainer.set_masks(self._masks.variables)
        if sparsity == self._spec.sparsity:
            self._done = True
            self.trainer.set_penalty(None)

    def operate(self) -> None:
        """Take channels out for good when the final sparsity is reached."""
        kept = self._masks.channels if self._masks is not None else None
        if not self._done or kept is None or kept.all():
            return
        self.network = remove_channels(self.network, self._channels, kept)
        self._masks = None
        self.trainer = self._new_trainer(first_step=self.trainer.step)

    def _scores(self, batches: Iterable[Batch]) -> LayerScores:
        evidence = gather(
            self.network,
            self._kernels,
            self._criterion,
            by_channel=self._structure.takes_channels,
            batches=batches,
            movement=self.trainer.movement,
        )
        pool = self._structure.pool
        return {each.layer: comparable_scores(self._criterion, each, pool) for each in evidence}

    def _new_trainer(self, *, first_step: int) -> Trainer:
        tracked: list[str] = []
        if self._criterion.needs_movement and not self._done:
            tracked = moving_paths(self._kernels, by_channel=self._structure.takes_channels)
        return Trainer(
            self.network,
            rates(self._spec.learning_rate, "cosine", self._phase.epochs * self._steps),
            first_step=first_step,
            distillation=self._distillation,
            penalty=None if self._done else self._penalty(),
            tracked=tracked,
        )

    def _penalty(self) -> Penalty | None:
        """On what the criterion will score."""
        wanted = self._criterion.regularization
        if wanted is None:
            return None
        if wanted.of == "scales":
            paths = [each.scale for each in self._kernels if each.scale is not None]
        else:
            paths = [each.path for each in self._kernels]
        return Penalty(tuple(paths), wanted.norm, self._spec.penalty) if paths else None
