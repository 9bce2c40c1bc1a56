"""The rule of *pays* and *does not pay*."""

from __future__ import annotations

import pytest

from edgeprune.payoff import PayoffRecord, Verdict
from edgeprune.payoff.axes import cost_axes
from edgeprune.payoff.verdicts import judge
from tests.payoff.table import record, rival

ON_A_CORE = cost_axes("c", "emulator")

CONTROL = rival("dense-tuned", "control")
CHEAP = {"instructions": 600_000, "flash_bytes": 40_000}


def _judge(sparse: PayoffRecord, *others: PayoffRecord, budget: float | None = None) -> Verdict:
    return judge(sparse, (CONTROL, *others), ON_A_CORE, accuracy_budget=budget)


def test_what_saves_nothing_does_not_pay_and_says_so_with_both_figures() -> None:
    verdict = _judge(record("sparse", instructions=1_100_000, flash_bytes=51_000))
    assert verdict.pays is False
    assert verdict.words == "does not pay"
    assert verdict.rival == "dense-tuned"
    assert verdict.reason.startswith("saves no byte of flash and no instruction on this core")
    for figure in ("1,100,000", "51,000", "1,000,000", "50,000"):
        assert figure in verdict.reason


def test_less_than_one_percent_is_nothing() -> None:
    verdict = _judge(record("sparse", instructions=991_000, flash_bytes=49_600))
    assert verdict.pays is False
    assert verdict.reason.startswith("saves less than 1 % on this core")


@pytest.mark.parametrize("cost", [{"instructions": 980_000}, {"flash_bytes": 49_000}])
def test_one_cost_saved_is_enough_where_no_rival_is_as_cheap(cost: dict[str, int]) -> None:
    verdict = _judge(record("sparse", **cost))
    assert verdict.pays is True
    assert verdict.rival is None
    assert verdict.reason.endswith("no rival costs as little")
    assert "0.98 of the" in verdict.reason
    assert "-1.0 points" in verdict.reason


def test_a_cheaper_rival_that_hears_better_wins() -> None:
    narrow = rival("narrower-40", "narrower", 921, instructions=590_000, flash_bytes=40_000)
    verdict = _judge(record("sparse", 920, **CHEAP), narrow)
    assert verdict.pays is False
    assert verdict.rival == "narrower-40"
    assert "narrower 40 costs no more and is as accurate: 92.1 % with 590,000" in verdict.reason
    assert "here 92.0 % with 600,000 instructions and 40,000 bytes of flash" in verdict.reason


def test_doubt_is_the_rivals() -> None:
    """The interval of 920 of 1,000 begins at 90.2 %."""
    sparse = record("sparse", 920, **CHEAP)
    near = rival("dense-4bit", "4-bit", 903, **CHEAP)
    far = rival("dense-4bit", "4-bit", 901, **CHEAP)
    assert "its accuracy is within the interval" in _judge(sparse, near).reason
    assert _judge(sparse, near).pays is False
    paid = _judge(sparse, far)
    assert paid.pays is True
    assert "dense 4bit with 90.1 %, below the interval (90.2–93.5)" in paid.reason


@pytest.mark.parametrize(
    "costs", [{"instructions": 500_000}, {"flash_bytes": 30_000}], ids=["flash", "instructions"]
)
def test_a_rival_that_costs_more_of_anything_dominates_nothing(costs: dict[str, int]) -> None:
    other = rival("narrower-40", "narrower", 990, **costs)
    assert _judge(record("sparse", **CHEAP), other).pays is True


def test_the_most_accurate_of_the_cheaper_rivals_decides() -> None:
    weak = rival("narrower-8", "narrower", 700, instructions=90_000, flash_bytes=20_000)
    strong = rival("narrower-40", "narrower", 915, **CHEAP)
    assert _judge(record("sparse", **CHEAP), weak, strong).rival == "narrower-40"
    assert _judge(record("sparse", **CHEAP), weak).rival == "narrower-8"
    assert _judge(record("sparse", **CHEAP), weak).pays is True


def test_a_missed_accuracy_budget_does_not_pay() -> None:
    sparse = record("sparse", 920, **CHEAP)
    verdict = _judge(sparse, budget=0.93)
    assert verdict.pays is False
    assert verdict.reason == "92.0 % misses the target's accuracy budget of 93.0 %"
    assert _judge(sparse, budget=0.92).pays is True


def test_without_a_control_the_other_rivals_decide() -> None:
    sparse = record("sparse", **CHEAP)
    verdict = judge(sparse, (), ON_A_CORE)
    assert verdict.pays is True
    assert "could not be built for this target" in verdict.reason


def test_tflite_micro_sees_no_zeros() -> None:
    axes = cost_axes("tflm", "emulator")
    seen = {"backend": "tflm", "flash_bytes": None, "instructions": None, "c_array_bytes": 40_000}
    control = rival("dense-tuned", "control", **seen)
    zeros = judge(record("unstructured-80", **seen), (control,), axes)
    assert zeros.pays is False
    assert "saves no byte of C array and no multiply-accumulate under Tensor" in zeros.reason
    smaller = {**seen, "c_array_bytes": 20_000, "macs": 300_000}
    assert judge(record("channel-50", **smaller), (control,), axes).pays is True


def test_a_device_that_counts_nothing_gets_no_verdict() -> None:
    on_host = {"device": "host", "flash_bytes": None, "instructions": None}
    verdict = judge(record("sparse", **on_host), (), cost_axes("c", "host"))
    assert verdict.pays is None
    assert verdict.words == "not judged"
    assert "neither flash nor counted instructions" in verdict.reason
