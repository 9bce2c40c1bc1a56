"""Excluded layers: by name and by pattern; a pattern that matches nothing names the layers."""

from __future__ import annotations

import pytest

from edgeprune.errors import TrainingError
from edgeprune.pruning.exclusion import excluded_layers

LAYERS = ("stem", "block1_pointwise", "block2_pointwise", "classifier")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), set()),
        (("stem",), {"stem"}),
        (("block?_*", "stem"), {"stem", "block1_pointwise", "block2_pointwise"}),
        (("*",), set(LAYERS)),
    ],
)
def test_patterns(patterns: tuple[str, ...], expected: set[str]) -> None:
    assert excluded_layers(patterns, LAYERS) == expected


def test_a_pattern_that_matches_nothing_names_the_layers() -> None:
    with pytest.raises(TrainingError, match="'clasifier' matches no layer") as caught:
        excluded_layers(("stem", "clasifier"), LAYERS)
    assert caught.value.where == "pruning.exclude"
    hint = caught.value.hint or ""
    assert "did you mean 'classifier'?" in hint
    assert all(layer in hint for layer in LAYERS)
