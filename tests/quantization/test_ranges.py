"""Which tensors share a range, and what the ranges are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeprune.errors import UnsupportedError
from edgeprune.models.backend import keras
from edgeprune.models.trainer import shaped
from edgeprune.quantization.folding import fold
from edgeprune.quantization.ranges import RangePlan, measure_ranges, plan_ranges
from tests.quantization.networks import of_all_layers, some_inputs

layers = keras.layers


def test_ranges_are_where_the_converter_has_scales() -> None:
    """Activations are part of what they follow, unless something else reads that too."""
    own = ("features", "stem_relu", "depthwise", "pointwise_relu6", "add", "classifier")
    expected = {name: name for name in own} | {"add_relu": "add", "last_relu": "last_relu"}
    expected |= {"average": "last_relu"}
    expected |= dict.fromkeys(("left", "left_pool", "right", "concatenation", "padding"), "left")
    assert dict(plan_ranges(fold(of_all_layers())).groups) == expected


def test_groups_have_the_range_of_all_their_members() -> None:
    plan = RangePlan({"a": "a", "b": "a", "c": "c"})
    joined = plan.joined({"a": (-1.0, 2.0), "b": (-3.0, 1.0), "c": (0.0, 9.0)})
    assert joined == {"a": (-3.0, 2.0), "b": (-3.0, 2.0), "c": (0.0, 9.0)}


def test_ranges_are_measured_over_all_clips() -> None:
    folded = fold(of_all_layers())
    clips = some_inputs(100)
    ranges = measure_ranges(folded, plan_ranges(folded), clips)
    assert ranges["features"] == (float(clips.min()), float(clips.max()))
    logits = folded(shaped(folded, clips)).numpy()
    assert ranges["classifier"] == pytest.approx((logits.min(), logits.max()))
    assert ranges["stem_relu"][0] == 0.0
    # Zero is in every range, also where no value comes near it.
    high = measure_ranges(folded, plan_ranges(folded), np.abs(clips) + 5)["features"]
    assert high == (0.0, pytest.approx(5 + np.abs(clips).max()))


def with_layer(layer: Any) -> Callable[[], Any]:
    def make() -> Any:
        inputs = keras.Input((8, 6, 4))
        return keras.Model(inputs, layers.Conv2D(2, 1)(layer(layers.Conv2D(4, 1)(inputs))))

    return make


def sum_of_three() -> Any:
    inputs = keras.Input((8, 6, 4))
    return keras.Model(inputs, layers.Add(name="culprit")([inputs, inputs, inputs]))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (with_layer(layers.LayerNormalization(name="culprit")), "type LayerNormalization"),
        (with_layer(layers.Conv2D(4, 1, groups=2, name="culprit")), "groups = 2"),
        (with_layer(layers.Conv2D(4, 1, activation="sigmoid", name="culprit")), "sigmoid"),
        (with_layer(layers.Activation("tanh", name="culprit")), "tanh"),
        (with_layer(layers.ReLU(negative_slope=0.1, name="culprit")), "leaky or clipped"),
        (with_layer(layers.ReLU(max_value=4, name="culprit")), "leaky or clipped"),
        (sum_of_three, "addition of 3"),
    ],
)
def test_a_layer_without_a_range_is_named(make: Callable[[], Any], what: str) -> None:
    with pytest.raises(UnsupportedError, match=what) as caught:
        plan_ranges(fold(make()))
    assert caught.value.where == "layer culprit"
    assert "quantization.epochs" in (caught.value.hint or "")


def test_layers_of_ones_own_are_unsupported_even_when_derived() -> None:
    class ReLU(layers.ReLU):  # type: ignore[misc]
        """Could compute anything."""

    with pytest.raises(UnsupportedError, match="type ReLU"):
        plan_ranges(with_layer(ReLU(name="culprit"))())
