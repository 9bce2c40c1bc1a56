"""How wide a dense network is that computes as much as a sparse one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeprune.payoff.grid import Shape
from edgeprune.recipe import DsCnn, MatchboxNet, MlperfKws, Recipe
from edgeprune.store import Artifact, Stage, canonical_json

__all__ = ["Scalable", "WidthCosts", "narrowed", "width_costs"]

#: Networks that have a width.
Scalable = MatchboxNet | DsCnn | MlperfKws

_FILE = "widths.json"

#: The least that ``model.width`` may be.
_LEAST_WIDTH = 4


@dataclass(frozen=True)
class WidthCosts:
    """Multiply-accumulates of a recipe's network, as it is and narrower.

    Attributes:
        width: of the recipe's network.
        prunable: multiply-accumulates of the layers that single weights are taken out of.
        other: those of the layers that stay whole: depthwise ones, and what the recipe excludes.
        narrower: width → multiply-accumulates, for every width below the recipe's that is a
            multiple of ``pruning.channel_multiple``.
    """

    width: int
    prunable: int
    other: int
    narrower: Mapping[int, int]

    def match(self, shape: Shape, sparsity: float) -> int | None:
        """The width whose multiply-accumulates are nearest to those that a sparse network keeps.

        Of channels, a dense network of as many; of weights, the share of the prunable layers that
        is not zero, as if every layer had lost the same share. None when nothing is narrower.

        Args:
            shape: what is taken out.
            sparsity: share that is taken out.
        """
        if not self.narrower:
            return None
        if shape.name == "channel":
            wanted = self.width * (1 - sparsity)
            return min(self.narrower, key=lambda width: (abs(width - wanted), width))
        kept = self.other + (1 - sparsity) * self.prunable
        return min(self.narrower, key=lambda width: (abs(self.narrower[width] - kept), width))

    @classmethod
    def load(cls, artifact: Artifact) -> WidthCosts:
        """Read what :func:`width_costs` made.

        Raises:
            StoreError: the file is missing or damaged.
        """
        table = artifact.json(_FILE)
        narrower = {int(width): int(macs) for width, macs in table["narrower"].items()}
        return cls(int(table["width"]), int(table["prunable"]), int(table["other"]), narrower)


def narrowed(model: Scalable, width: int) -> Scalable:
    """The network at another width, with random weights."""
    changes: dict[str, object] = {"width": width}
    if isinstance(model, MlperfKws):
        changes["weights"] = None  # those are of the full width
    return model.model_copy(update=changes)


def width_costs(recipe: Recipe, model: Scalable) -> Stage:
    """Counts the multiply-accumulates of a recipe's network at every width.

    A stage, because networks have to be built for it, which takes TensorFlow.

    Args:
        recipe: what is made narrower.
        model: its network.
    """
    multiple = recipe.pruning.channel_multiple

    def run(folder: Path) -> None:
        from edgeprune.models.backend import keras
        from edgeprune.models.cost import cost
        from edgeprune.models.registry import Shape, build
        from edgeprune.pruning.exclusion import spared_layers

        shape = Shape(recipe.frontend.frames, recipe.frontend.features, len(recipe.data.labels))
        network = build(narrowed(model, model.width), shape, seed=recipe.seed)
        prunable = [
            layer.name
            for layer in network.layers
            if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
            and not isinstance(layer, keras.layers.DepthwiseConv2D)
        ]
        spared = spared_layers(prunable, only=recipe.pruning.only, exclude=recipe.pruning.exclude)
        layers = cost(network).layers
        kept = {name for name in prunable if name not in spared}
        first = -(-_LEAST_WIDTH // multiple) * multiple
        narrower = {}
        for width in range(first, model.width, multiple):
            network = build(narrowed(model, width), shape, seed=recipe.seed)
            narrower[width] = cost(network).macs
        table = {
            "width": model.width,
            "prunable": sum(layer.macs for layer in layers if layer.name in kept),
            "other": sum(layer.macs for layer in layers if layer.name not in kept),
            "narrower": narrower,
        }
        (folder / _FILE).write_text(canonical_json(table) + "\n", encoding="utf-8")

    return Stage(
        name="widths",
        reads={
            "model": narrowed(model, model.width).model_dump(mode="json"),
            "input": [recipe.frontend.frames, recipe.frontend.features],
            "labels": len(recipe.data.labels),
            "multiple": multiple,
            "only": list(recipe.pruning.only),
            "exclude": list(recipe.pruning.exclude),
        },
        upstream={},
        code=("models", "pruning/exclusion.py", "payoff/narrower.py"),
        run=run,
        slot=recipe.name,
    )
