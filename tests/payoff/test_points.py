"""What is asked for, and the networks that are made of it."""

from __future__ import annotations

import pytest

from edgeprune.errors import DeclarationError
from edgeprune.payoff import Grid, Shape
from edgeprune.payoff.grid import DEFAULT_SPARSITIES
from edgeprune.payoff.narrower import WidthCosts
from edgeprune.payoff.points import Plan, make_plan
from edgeprune.recipe import MlperfKws, Pruning, Quantization, Recipe
from tests.models import tiny

#: 10 multiply-accumulates a channel, and one for each pair of channels.
COSTS = WidthCosts(16, 256, 160, {width: width * width + 10 * width for width in (4, 8, 12)})
TWO = (Shape.read("channel"), Shape.read("unstructured"))
CHANNEL, UNSTRUCTURED = TWO


def _plan(recipe: Recipe, *, shapes: tuple[Shape, ...] = TWO, costs: object = COSTS) -> Plan:
    grid = Grid(shapes=shapes, sparsities=(0.5, 0.8))
    return make_plan(recipe, grid, costs if isinstance(costs, WidthCosts) else None)


def test_lists_of_the_command_line() -> None:
    grid = Grid.parse("unstructured, channel", "l2,l1", "0.8,.5,0.8")
    assert grid == Grid((UNSTRUCTURED, CHANNEL), ("l2", "l1"), (0.5, 0.8))
    left_out = Grid.parse()
    assert left_out.criteria == (None,)
    assert left_out.sparsities == DEFAULT_SPARSITIES
    names = [shape.name for shape in left_out.shapes]
    assert names == ["channel", "unstructured", "block", "2:4", "1:4", "4:8"]


@pytest.mark.parametrize(
    ("lists", "says"),
    [
        (("chanel", None, None), "--structures: there is no structure 'chanel'"),
        (("none", None, None), "--structures: there is no structure 'none'"),
        (("n:m", None, None), "--structures: there is no structure 'n:m'"),
        ((None, "l3", None), "--criteria: there is no criterion 'l3'"),
        ((None, None, "0.5,50"), "--sparsity: '50' is not a share"),
        ((None, None, "half"), "--sparsity: 'half' is not a share"),
        ((None, None, "0"), "--sparsity: '0' is not a share"),
        ((None, None, ","), "--sparsity: is empty"),
        ((",", None, None), "--structures: is empty"),
    ],
)
def test_mistakes_name_the_option(lists: tuple[str | None, ...], says: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        Grid.parse(*lists)
    assert says in str(raised.value)


def test_shapes_have_the_sparsity_that_they_have() -> None:
    assert Shape.read("1:4").sparsity == 0.75
    assert Shape.read("channel").sparsity is None
    grid = Grid((Shape.read("1:4"), Shape.read("4x1")), sparsities=(0.5,))
    plan = make_plan(tiny.recipe(), grid, COSTS)
    sparse = {point.id: point for point in plan.points if point.role == "sparse"}
    assert list(sparse) == ["1-of-4", "4x1-50"]
    assert [point.title for point in sparse.values()] == ["1:4", "4x1 50 %"]
    assert sparse["1-of-4"].recipe.pruning.pattern == "1:4"
    assert sparse["1-of-4"].recipe.pruning.sparsity == 0.75
    assert sparse["4x1-50"].recipe.pruning.block == (4, 1)
    assert sparse["4x1-50"].recipe.pruning.sparsity == 0.5


def test_every_network_is_trained_for_as_long_but_the_dense_one() -> None:
    recipe = tiny.recipe()
    points = {point.id: point for point in _plan(recipe).points}
    assert list(points)[:2] == ["dense", "dense-tuned"]
    assert points.pop("dense").epochs == recipe.training.epochs
    assert {point.epochs for point in points.values()} == {14}
    assert set(points) >= {"channel-50", "channel-80", "unstructured-50", "unstructured-80"}
    assert points["dense-tuned"].recipe.pruning.sparsity == 0
    assert points["dense-tuned"].recipe.pruning.structure != "none"
    assert points["narrower-8"].recipe.pruning.structure == "none"
    assert points["narrower-8"].recipe.training.epochs == 14
    assert points["narrower-8"].recipe.model.width == 8  # type: ignore[union-attr]
    assert points["dense-4bit"].recipe.quantization.weights == "int4"
    assert points["dense-4bit"].recipe.quantization.epochs == recipe.pruning.epochs


def test_what_is_not_varied_stays_as_the_recipe_says() -> None:
    recipe = tiny.recipe(pruning=Pruning(epochs=4, learning_rate=1e-4, schedule="one-shot"))
    for point in _plan(recipe).points:
        assert point.recipe.seed == recipe.seed
        assert point.recipe.data == recipe.data
        assert point.recipe.training.batch == recipe.training.batch
        assert point.recipe.pruning.learning_rate == 1e-4
        assert point.recipe.pruning.schedule == "one-shot"


def test_the_widths_match_what_the_sparse_networks_compute() -> None:
    assert COSTS.match(CHANNEL, 0.5) == 8
    assert COSTS.match(CHANNEL, 0.8) == 4
    assert COSTS.match(UNSTRUCTURED, 0.5) == 12  # 160 + 128 of 264, not of 144
    assert COSTS.match(UNSTRUCTURED, 0.98) == 8  # 165, of 144
    assert WidthCosts(4, 16, 40, {}).match(CHANNEL, 0.5) is None
    ids = [point.id for point in _plan(tiny.recipe()).points if point.role == "narrower"]
    assert ids == ["narrower-12", "narrower-8", "narrower-4"]


def test_what_does_not_fit_is_left_out_and_said() -> None:
    grid = Grid((*TWO, Shape.read("1x1")), criteria=("l2",), sparsities=(0.5,))
    plan = make_plan(tiny.recipe(), grid, COSTS)
    sparse = [point.id for point in plan.points if point.role == "sparse"]
    assert sparse == ["channel-50-l2", "unstructured-50-l2"]
    assert plan.left_out == (
        "1x1 by l2: block = [1, 1] is single weights: structure = 'unstructured'",
    )
    with pytest.raises(DeclarationError, match="1x1 by l2: block"):
        make_plan(tiny.recipe(), Grid((Shape.read("1x1"),), criteria=("l2",)), COSTS)


def test_from_scratch_the_dense_training_does_not_count() -> None:
    recipe = tiny.recipe(pruning=Pruning(start="scratch", epochs=20))
    epochs = {point.role: point.epochs for point in _plan(recipe).points}
    assert epochs["sparse"] == epochs["control"] == epochs["narrower"] == 20


def test_the_recipes_own_criterion_is_kept_where_it_fits() -> None:
    recipe = tiny.recipe(pruning=Pruning(structure="channel", criterion="l2", epochs=4))
    points = {point.id: point.recipe.pruning for point in _plan(recipe).points}
    assert points["channel-50"].criterion == "l2"
    assert points["unstructured-50"].criterion == "l2"


def test_a_network_without_a_width_has_no_narrower_rivals() -> None:
    plan = _plan(tiny.recipe(), costs=None)
    assert not [point for point in plan.points if point.role == "narrower"]
    assert plan.left_out == ("narrower networks: [model] kind = 'matchbox' has no width",)


def test_a_narrower_network_begins_without_the_full_networks_weights() -> None:
    recipe = tiny.recipe(model=MlperfKws(kind="mlperf-kws", weights="some.npz"))
    plan = _plan(recipe)
    narrower = [point for point in plan.points if point.role == "narrower"]
    assert narrower
    assert plan.remarks == (
        "narrower networks began with random weights, all others with those that the recipe names",
    )
    assert not _plan(tiny.recipe()).remarks
    assert all(point.recipe.model.weights is None for point in narrower)  # type: ignore[union-attr]


def test_a_recipe_of_four_bits_is_its_own_rival() -> None:
    recipe = tiny.recipe(quantization=Quantization(weights="int4", epochs=2))
    plan = _plan(recipe)
    assert not [point for point in plan.points if point.role == "4-bit"]
    assert {point.epochs for point in plan.points} == {12, 16}


def test_ids_and_titles_are_unique_and_fit_for_files() -> None:
    grid = Grid(TWO, sparsities=(0.5, 0.625))
    points = make_plan(tiny.recipe(), grid, COSTS).points
    assert len({point.id for point in points}) == len({point.title for point in points})
    assert len({point.id for point in points}) == len(points)
    assert "channel-62-5" in {point.id for point in points}
    assert "channel 62.5 %" in {point.title for point in points}
