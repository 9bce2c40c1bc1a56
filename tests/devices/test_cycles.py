from __future__ import annotations

import pytest

from edgeprune.cores import CORES
from edgeprune.devices.cycles import estimate_cycles
from edgeprune.devices.instructions import Kind, Mix

CORTEX_M = [name for name, core in CORES.items() if core.unicorn]


@pytest.mark.parametrize(
    ("core", "mix", "cycles"),
    [
        # The manuals' tables, an instruction each: POP {r4, pc} is 3 + N on the M0+, BL is 3.
        ("cortex-m0plus", {Kind.RETURN: 1, Kind.TRANSFER: 2, Kind.TAKEN: 1}, 5),
        ("cortex-m0plus", {Kind.CALL: 1, Kind.TAKEN: 1}, 3),
        ("cortex-m0plus", {Kind.BRANCH: 2, Kind.TAKEN: 1}, 3),
        ("cortex-m0plus", {Kind.LOAD: 1, Kind.NEXT_LOAD: 1, Kind.STORE: 1}, 6),
        ("cortex-m0plus", {Kind.STORE_MULTIPLE: 1, Kind.TRANSFER: 5}, 6),
        ("cortex-m3", {Kind.MULTIPLY: 1, Kind.MULTIPLY_ADD: 1}, 3),
        ("cortex-m3", {Kind.LONG_MULTIPLY: 1}, 4),
        ("cortex-m3", {Kind.LOAD: 1, Kind.NEXT_LOAD: 3}, 5),
        ("cortex-m4", {Kind.MULTIPLY_ADD: 1, Kind.LONG_MULTIPLY_ADD: 1}, 2),
        ("cortex-m4", {Kind.FLOAT: 1, Kind.FLOAT_MULTIPLY_ADD: 1, Kind.FLOAT_DIVIDE: 1}, 18),
        ("cortex-m4", {Kind.BRANCH: 1, Kind.TAKEN: 1}, 3),
    ],
)
def test_cycles_follow_the_manuals(core, mix, cycles):
    assert estimate_cycles(core, Mix(mix)) == cycles


@pytest.mark.parametrize("core", CORTEX_M)
def test_plain_instructions_take_at_most_a_cycle(core):
    assert 500 <= estimate_cycles(core, Mix({Kind.OTHER: 1000})) <= 1000


def test_the_m7_and_the_m33_are_quicker_than_the_m4():
    mix = Mix({Kind.OTHER: 400, Kind.LOAD: 200, Kind.MULTIPLY_ADD: 200, Kind.TAKEN: 50})
    m4, m33, m7 = (estimate_cycles(f"cortex-{name}", mix) for name in ("m4", "m33", "m7"))
    assert m7 < 0.75 * m4 < m33 < m4


def test_the_host_has_no_table():
    with pytest.raises(KeyError):
        estimate_cycles("host", Mix())
