"""Which score of a trained classifier is which label of the recipe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import ModelError

__all__ = ["classifier_columns"]


def classifier_columns(
    trained: Sequence[str], wanted: Sequence[str], *, where: str
) -> NDArray[np.intp]:
    """Which column of a classifier each label is.

    Args:
        trained: what the classifier's scores mean, in its order.
        wanted: labels in the order that they are to have; some may be left out.
        where: the classifier came from, for the error.

    Returns:
        Columns [wanted].

    Raises:
        ModelError: a label is none that the classifier knows.
    """
    unknown = [label for label in wanted if label not in trained]
    if unknown:
        raise ModelError(
            f"has no score for the label {unknown[0]!r}; it knows {', '.join(trained)}",
            where=where,
            hint="change data.keywords, or train from random weights: leave the weights out",
        )
    return np.array([list(trained).index(label) for label in wanted], dtype=np.intp)
