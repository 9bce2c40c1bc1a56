"""Layers left alone: by name and by pattern; a pattern that matches nothing names the layers."""

from __future__ import annotations

import pytest

from edgeprune.errors import TrainingError
from edgeprune.pruning.exclusion import excluded_layers, spared_layers

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
    assert spared_layers(LAYERS, only=(), exclude=patterns) == expected


def test_only_leaves_everything_else_alone() -> None:
    assert spared_layers(LAYERS, only=("*pointwise",), exclude=()) == {"stem", "classifier"}
    both = spared_layers(LAYERS, only=("*pointwise", "stem"), exclude=("block1*",))
    assert both == {"block1_pointwise", "classifier"}


@pytest.mark.parametrize("option", ["only", "exclude"])
def test_a_pattern_that_matches_nothing_names_the_layers(option: str) -> None:
    with pytest.raises(TrainingError, match="'clasifier' matches no layer") as caught:
        spared_layers(LAYERS, **{"only": (), "exclude": (), option: ("stem", "clasifier")})
    assert caught.value.where == f"pruning.{option}"
    hint = caught.value.hint or ""
    assert "did you mean 'classifier'?" in hint
    assert all(layer in hint for layer in LAYERS)
