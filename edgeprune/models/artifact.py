"""A trained network in a folder: architecture, weights, and what is known about it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from edgeprune.errors import StoreError
from edgeprune.models.backend import keras
from edgeprune.models.cost import Cost, cost
from edgeprune.models.normalization import Normalization
from edgeprune.models.trainer import EpochRecord, Score

__all__ = ["TrainedModel", "load_levels", "load_network", "save_levels", "save_network"]

_NETWORK = "network.json"
_WEIGHTS = "weights.npz"
_NORMALIZATION = "normalization.json"
_SUMMARY = "training.json"


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network and what it was trained to.

    Attributes:
        network: a functional Keras model, [clips, …] → logits [clips, labels].
        labels: in the order of the scores.
        normalization: of the network's input.
        history: of every epoch.
        validation: float accuracy and loss on the validation split.
        test: the same on the test split.
    """

    network: Any
    labels: tuple[str, ...]
    normalization: Normalization
    history: tuple[EpochRecord, ...]
    validation: Score
    test: Score

    @property
    def cost(self) -> Cost:
        """Multiply-accumulates and parameters."""
        return cost(self.network)

    def summary(self) -> dict[str, Any]:
        """What ``training.json`` holds: labels, float accuracy, cost and history."""
        return {
            "labels": list(self.labels),
            "validation": asdict(self.validation),
            "test": asdict(self.test),
            "cost": self.cost.table(),
            "history": [record.table() for record in self.history],
        }

    def save(self, folder: Path) -> None:
        """Write the model into a folder; the same model gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        save_network(self.network, folder)
        self.normalization.save(folder / _NORMALIZATION)
        text = json.dumps(self.summary(), indent=1)
        (folder / _SUMMARY).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            StoreError: a file is missing or damaged.
        """
        network = load_network(folder)
        normalization = Normalization.load(folder / _NORMALIZATION)
        path = folder / _SUMMARY
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                network=network,
                labels=tuple(table["labels"]),
                normalization=normalization,
                history=tuple(EpochRecord.restore(record) for record in table["history"]),
                validation=Score(**table["validation"]),
                test=Score(**table["test"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"is not a training summary: {error}", where=str(path)) from error


def save_levels(levels: Sequence[TrainedModel], folder: Path) -> None:
    """Write the operating points below the full network into folders of their own."""
    for number, level in enumerate(levels, start=1):
        level.save(folder / _level_folder(number))


def load_levels(folder: Path) -> tuple[TrainedModel, ...]:
    """What :func:`save_levels` wrote; nothing for a network without levels.

    Raises:
        StoreError: a file is missing or damaged.
    """
    levels: list[TrainedModel] = []
    while (path := folder / _level_folder(len(levels) + 1)).is_dir():
        levels.append(TrainedModel.load(path))
    return tuple(levels)


def _level_folder(number: int) -> str:
    return f"level_{number}"


def save_network(network: Any, folder: Path) -> None:
    """Write architecture and weights: plain JSON and NumPy, free of dates and of pickles."""
    (folder / _NETWORK).write_text(network.to_json(indent=1) + "\n", encoding="utf-8")
    weights: dict[str, Any] = {weight.path: weight.numpy() for weight in network.weights}
    buffer = io.BytesIO()
    np.savez(buffer, **weights)
    (folder / _WEIGHTS).write_bytes(buffer.getvalue())


def load_network(folder: Path) -> Any:
    """Read a network that :func:`save_network` wrote.

    Raises:
        StoreError: a file is missing or damaged, or the weights are another network's.
    """
    try:
        network = keras.models.model_from_json((folder / _NETWORK).read_text(encoding="utf-8"))
        content = io.BytesIO((folder / _WEIGHTS).read_bytes())
        with np.load(content, allow_pickle=False) as stored:
            weights = [stored[weight.path] for weight in network.weights]
        network.set_weights(weights)
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise StoreError(f"does not hold a network: {error}", where=str(folder)) from error
    return network
