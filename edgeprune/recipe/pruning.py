"""``[pruning]``: what is taken out, and how the network recovers."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgeprune.declaration import Declaration, option

__all__ = ["Criterion", "Pruning", "Structure"]

#: What is taken out at once.
Structure = Literal["none", "channel", "unstructured", "block", "n:m"]

#: How it is chosen.
Criterion = Literal[
    "l1",
    "l2",
    "magnitude",
    "taylor",
    "gradient",
    "movement",
    "batchnorm",
    "l1-penalty",
    "l2-penalty",
    "random",
]

#: Criteria that score what training has done to the weights; without it they have nothing to go by.
_AFTER_TRAINING = ("movement", "batchnorm", "l1-penalty", "l2-penalty")

#: Criteria that tell apart even weights that were never trained.
_OF_ANY_WEIGHTS = ("taylor", "gradient", "random")

#: Share of the epochs that passes before the first pruning when training has to come first.
_DENSE_PERCENT = 25.0

#: Largest M of N:M, so that no pattern is beyond the highest sparsity.
_LARGEST_GROUP = 32

#: Nested operating points of one image, each with code of its own.
_MOST_LEVELS = 8

#: Channels that a block spans at most, either way.
_LARGEST_SPAN = 64

#: Share of what a layer has that can be taken out.
_LayerSparsity = Annotated[float, Field(ge=0, le=0.98)]


class Pruning(Declaration):
    """What is taken out of the network, and how it recovers."""

    structure: Structure = option(
        "whole channels, single weights, blocks of weights, N of M weights kept, or nothing",
        default="channel",
    )
    criterion: Criterion | None = option(
        "how what goes is chosen; by default l1 for channels and blocks, magnitude for weights",
        default=None,
    )
    sparsity: float = option(
        "share of the channels, weights or blocks taken out; 'n:m' has that of its pattern; 0 is"
        " the dense control, tuned for as long",
        default=0.4,
        ge=0,
        le=0.98,
    )
    allocation: Literal["layer", "global"] = option(
        "the same share of every layer, or the lowest scores of the whole network",
        default="layer",
    )
    floor_percent: float = option(
        "share of what a layer would keep under allocation = 'layer' that it keeps in any case;"
        " read only when allocation = 'global'",
        default=25.0,
        unit="%",
        ge=0,
        le=100,
    )
    layers: dict[str, _LayerSparsity] = option(
        "sparsity, 0 to 0.98, of layers by name or by shell pattern, { '*pointwise' = 0.9 }; all"
        " others have that of sparsity; 'invoke prune --sensitivity' proposes it",
        default={},
    )
    channel_multiple: int = option(
        "kept channels are rounded to a multiple of this; read only for channels",
        default=4,
        unit="channels",
        ge=1,
        le=64,
    )
    block: tuple[int, int] = option(
        "output and input channels that a block spans; read only when structure = 'block'",
        default=(1, 4),
        unit="channels",
    )
    pattern: str = option(
        "'N:M': of M neighbouring input channels N keep their weight; read only when"
        " structure = 'n:m'",
        default="2:4",
        pattern=r"^[1-9][0-9]?:[1-9][0-9]?$",
    )
    only: tuple[str, ...] = option(
        "layers that are pruned, by name or by shell pattern, '*pointwise*'; by default all",
        default=(),
    )
    exclude: tuple[str, ...] = option(
        "layers left alone, by name or by shell pattern, also of those in only", default=()
    )
    levels: tuple[float, ...] = option(
        "nested operating points of one image, as shares of the channels, the first 1.0, then"
        " falling: [1.0, 0.6, 0.3]; edgeprune_set_level switches them on the device; only for"
        " structure = 'channel', and sparsity, start and schedule are not read",
        default=(),
    )
    start: Literal["trained", "scratch"] = option(
        "prune the trained network, or train another one from random weights while it is pruned",
        default="trained",
    )
    schedule: Literal["one-shot", "cubic", "iterative"] = option(
        "all at once, along the cubic ramp of Zhu & Gupta 2017, or in rounds with rewinding"
        " (Renda, Frankle & Carbin 2020)",
        default="cubic",
    )
    dense_percent: float | None = option(
        "share of the epochs before anything is taken out; by default 0, or 25 from scratch and for"
        " criteria that need training first (movement, batchnorm and the penalties)",
        default=None,
        unit="%",
        ge=0,
        lt=100,
    )
    ramp_percent: float = option(
        "share of the epochs over which the ramp runs; read only when schedule = 'cubic'",
        default=50.0,
        unit="%",
        gt=0,
        le=100,
    )
    rounds: int = option(
        "prunings, each followed by as many epochs; read only when schedule = 'iterative'",
        default=4,
        unit="rounds",
        ge=1,
        le=100,
    )
    rewind: Literal["weights", "rate"] = option(
        "what goes back before each round: the weights with the learning rate, or the rate alone;"
        " read only when schedule = 'iterative'",
        default="weights",
    )
    rewind_epoch: int = option(
        "the epoch after which the network is what rewinding goes back to; 0 is before the first;"
        " read only when schedule = 'iterative'",
        default=0,
        unit="epochs",
        ge=0,
    )
    epochs: int = option(
        "epochs of pruning and fine-tuning", default=40, unit="epochs", ge=0, le=5000
    )
    learning_rate: float = option("AdamW's highest rate", default=4e-3, gt=0, le=1)
    penalty: float = option(
        "weight of the penalty in the loss until the final sparsity is reached; read only by the"
        " criteria batchnorm, l1-penalty and l2-penalty",
        default=1e-4,
        gt=0,
        le=10,
    )
    gradient_batches: int = option(
        "training batches that gradients are taken of; read only by the criteria taylor and"
        " gradient",
        default=16,
        unit="batches",
        ge=1,
        le=10_000,
    )
    distillation: float = option(
        "weight of the trained network's scores in the loss; 0 needs no teacher, 1 no labels"
        " (but for the criteria taylor and gradient)",
        default=0.9,
        ge=0,
        le=1,
    )
    temperature: float = option("temperature of the distillation", default=2.0, gt=0, le=20)
    mixup: float | None = option(
        "Beta parameter of mixup; 0 is off; by default that of training", default=None, ge=0, le=10
    )
    reestimate_batchnorm: bool = option(
        "at the end, measure the statistics of the batch normalizations anew on training clips",
        default=False,
    )

    @property
    def scored_by(self) -> str:
        """The criterion, also when the recipe names none; empty when nothing is taken out."""
        if self.structure == "none":
            return ""
        by_default = "l1" if self.structure in ("channel", "block") else "magnitude"
        return self.criterion or by_default

    @property
    def dense_share(self) -> float:
        """Share of the epochs before anything is taken out, in percent; the default filled in."""
        if self.dense_percent is not None:
            return self.dense_percent
        first = self.start == "scratch" or self.scored_by in _AFTER_TRAINING
        return _DENSE_PERCENT if first else 0.0

    @property
    def dense_epochs(self) -> int:
        """Epochs before anything is taken out."""
        if not self.dense_share:
            return 0
        return min(self.epochs, max(1, round(self.epochs * self.dense_share / 100)))

    @property
    def kept_of(self) -> tuple[int, int]:
        """N and M of the pattern."""
        kept, size = self.pattern.split(":")
        return int(kept), int(size)

    @model_validator(mode="after")
    def _shape_fits(self) -> Pruning:
        if self.structure == "n:m":
            self._check_pattern()
        if not all(1 <= span <= _LARGEST_SPAN for span in self.block):
            raise ValueError(
                f"block = {list(self.block)}; each span must be from 1 to {_LARGEST_SPAN} channels"
            )
        if self.structure == "block" and self.block == (1, 1):
            raise ValueError("block = [1, 1] is single weights: structure = 'unstructured'")
        return self

    def _check_pattern(self) -> None:
        share = _share_of(self.pattern)
        if share is None:
            raise ValueError(
                f"pattern = {self.pattern!r}; N must be below M, and M at most {_LARGEST_GROUP}"
            )
        if "sparsity" not in self.model_fields_set:
            # The way past frozen: this is still part of making the declaration.
            object.__setattr__(self, "sparsity", share)
        if self.sparsity and abs(self.sparsity - share) > 5e-4:
            raise ValueError(
                f"sparsity = {self.sparsity:g} contradicts pattern = {self.pattern!r}, which "
                f"takes out {share:.3g}; leave sparsity out, or set it to 0 for the dense control"
            )
        if self.allocation == "global":
            raise ValueError(
                "allocation = 'global' moves sparsity from layer to layer, and structure = 'n:m' "
                "gives each group of every layer the same"
            )

    @model_validator(mode="after")
    def _levels_are_nested(self) -> Pruning:
        if not self.levels:
            return self
        written = f"levels = {list(self.levels)}"
        if self.structure != "channel":
            raise ValueError(f"{written} needs structure = 'channel', not {self.structure!r}")
        if self.levels[0] != 1.0 or len(self.levels) < 2:
            raise ValueError(f"{written} must begin with 1.0, and have a second level")
        if any(low >= high for high, low in pairwise(self.levels)) or self.levels[-1] <= 0:
            raise ValueError(f"{written} must fall, and stay above 0")
        if len(self.levels) > _MOST_LEVELS:
            raise ValueError(f"{written} are more than {_MOST_LEVELS}")
        if self.layers:
            raise ValueError(f"{written} take the same share of every layer: leave layers out")
        if self.scored_by in _AFTER_TRAINING:
            raise ValueError(
                f"criterion = {self.scored_by!r} scores what pruning does to the weights; levels "
                "are ranked before: choose l1, l2, taylor, gradient or random"
            )
        return self

    @model_validator(mode="after")
    def _layers_have_a_say(self) -> Pruning:
        if not self.layers or self.structure == "none":
            return self
        if self.allocation == "global":
            raise ValueError(
                "layers gives layers sparsities of their own, and allocation = 'global' finds "
                "them by itself: leave one of the two out"
            )
        if self.structure == "n:m":
            raise ValueError(
                "layers does not go with structure = 'n:m', whose pattern gives every layer the "
                "same sparsity; exclude leaves layers alone"
            )
        if not self.sparsity:
            raise ValueError(
                "sparsity = 0 is the dense control and layers would take something out: leave "
                "layers out, or name in only what is pruned"
            )
        return self

    @model_validator(mode="after")
    def _something_is_trained(self) -> Pruning:
        if self.structure != "none" and self.start == "scratch" and not self.epochs:
            raise ValueError("start = 'scratch' with epochs = 0 leaves the network untrained")
        return self

    @model_validator(mode="after")
    def _there_is_something_to_score(self) -> Pruning:
        if self.structure == "none" or not self.sparsity:
            return self
        by = self.scored_by
        if by in _AFTER_TRAINING and not self.dense_epochs:
            raise ValueError(
                f"criterion = {by!r} scores what training does to the weights, and none comes "
                f"before the first pruning: raise {'dense_percent' if self.epochs else 'epochs'}"
            )
        at_once = self.schedule != "cubic" and not self.dense_epochs
        if self.start == "scratch" and at_once and by not in _OF_ANY_WEIGHTS:
            raise ValueError(
                f"criterion = {by!r} would score random weights: raise dense_percent, or choose "
                f"schedule = 'cubic' or one of the criteria {', '.join(_OF_ANY_WEIGHTS)}"
            )
        return self

    @model_validator(mode="after")
    def _epochs_suffice(self) -> Pruning:
        if self.structure == "none":
            return self
        if self.schedule == "cubic" and self.dense_share + self.ramp_percent > 100:
            raise ValueError(
                f"dense_percent = {self.dense_share:g} and ramp_percent = {self.ramp_percent:g} "
                "are more than all epochs"
            )
        if self.schedule == "iterative":
            self._check_rounds()
        return self

    def _check_rounds(self) -> None:
        left = self.epochs - self.dense_epochs
        if left < self.rounds:
            raise ValueError(
                f"rounds = {self.rounds} need an epoch each; epochs = {self.epochs} leave {left}"
            )
        first = self.dense_epochs or -(-left // self.rounds)
        if self.rewind_epoch >= first:
            raise ValueError(
                f"rewind_epoch = {self.rewind_epoch} is not within the first {first} epochs, "
                "after which the first rewinding comes"
            )


def _share_of(pattern: str) -> float | None:
    """The sparsity of N:M; None when it is none."""
    kept, _, size = pattern.partition(":")
    if not (kept.isdecimal() and size.isdecimal() and 0 < int(kept) < int(size) <= _LARGEST_GROUP):
        return None
    return 1 - int(kept) / int(size)
