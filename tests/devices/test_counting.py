from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeprune.cores import CORES
from edgeprune.devices.counting import Analysis, BlockCounter, layer_entries
from edgeprune.devices.instructions import Decoder, Kind
from edgeprune.devices.machine import Machine
from edgeprune.firmware import Elf
from edgeprune.target import Memory
from edgeprune.toolchain import Job, find_toolchain

CORTEX_M = [name for name, core in CORES.items() if core.unicorn]

SCRIPT = """
ENTRY(_start)
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 65536 RAM (rw) : ORIGIN = 0x20000000, LENGTH = 4096 }
SECTIONS { .text : { KEEP(*(.vectors)) KEEP(*(.counted)) *(.text .text.*) } > FLASH }
"""

#: Loops of 10 and 3 turns; the second lies across a boundary of pages with a long instruction.
ASSEMBLY = r"""
__asm__(
    ".syntax unified\n"
    ".section .vectors, \"a\"\n"
    ".word 0x20000800, _start\n"
    ".section .counted, \"ax\"\n"
    ".thumb\n"
    ".global _start\n.type _start, %function\n"
    "_start: bkpt 0xE0\n"
    "    bl conditional\n"
    "    bl across\n"
    "    bkpt 0xE0\n"
    ".size _start, . - _start\n"
    ".type conditional, %function\n"
    "conditional: movs r0, #10\n"
    "1:  subs r0, #1\n"
    "    cmp r0, #5\n"
    "    ite lt\n"
    "    addlt.w r1, r1, #1\n"
    "    addge r2, r2, #1\n"
    "    cmp r0, #0\n"
    "    bne 1b\n"
    "    bx lr\n"
    ".size conditional, . - conditional\n"
    ".balign 4096\n"
    ".space 4088\n"
    ".type across, %function\n"
    "across: push {r4, r5, lr}\n"
    "    movs r0, #3\n"
    "2:  subs r0, #1\n"
    "    add.w r1, r1, #0x10000\n"
    "    ldr r2, [sp]\n"
    "    ldr r3, [sp, #4]\n"
    "    cmp r0, #0\n"
    "    bne 2b\n"
    "    pop {r4, r5, pc}\n"
    ".size across, . - across\n"
);
"""


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    (folder / "link.ld").write_text(SCRIPT)
    (folder / "counted.c").write_text(ASSEMBLY)
    find_toolchain("zig").build(
        Job(
            sources=[Path("counted.c")],
            output=Path("counted.elf"),
            core=CORES["cortex-m4"],
            kind="image",
            cwd=folder,
            linker_script=Path("link.ld"),
        )
    )
    elf = Elf(folder / "counted.elf")
    assert elf.symbol("across").address % 4096 == 4088
    machine = Machine(elf, "cortex-m4", Memory(flash_kib=64, ram_kib=4), where="bench")
    machine.boot()
    counter = BlockCounter({}, lambda: 0)
    with machine.watch(counter):
        machine.resume()
    return Analysis(elf, "cortex-m4", (), Decoder(machine.read)).profile(counter)


def test_instructions_are_those_counted_by_hand(profile):
    counts = {cost.name: cost.instructions for cost in profile.functions}
    # A conditional instruction that is skipped takes its cycle, so it counts.
    assert counts == {"conditional": 1 + 10 * 7 + 1, "across": 2 + 3 * 6 + 1, "_start": 3}
    assert profile.work.instructions == sum(counts.values())


def test_classes_are_those_counted_by_hand(profile):
    assert profile.kinds[Kind.TAKEN] == 2 + (9 + 1) + (2 + 1)
    assert profile.kinds[Kind.LOAD] == profile.kinds[Kind.NEXT_LOAD] == 3
    assert profile.kinds[Kind.STORE_MULTIPLE] == profile.kinds[Kind.RETURN] == 1
    assert profile.kinds[Kind.TRANSFER] == 6
    assert profile.kinds[Kind.CALL] == 2
    assert profile.kinds[Kind.BRANCH] == 10 + 1 + 3
    assert profile.kinds[Kind.BARRIER] == 1


def test_cycles_are_those_of_the_table(profile):
    by_hand = 3 * 2 + 3 * 1 + 15 * 2 + 6 + 2  # loads, next loads, taken, transfers, breakpoint
    others = profile.work.instructions - 6 - 1
    assert profile.work.cycles_estimate == by_hand + others


@pytest.mark.parametrize("device", ["cortex-m0plus"], indirect=True)
def test_blocks_count_what_single_steps_count(session, clips):
    """On the M0+, where no instruction is conditional, so that every one is stepped through."""
    counted = session.profile(clips[0])
    machine = session._board
    steps = [0]

    def step(uc, address, size, user):
        steps[0] += 1

    session._push_clip(clips[0])
    machine._uc.hook_add(machine._unicorn.UC_HOOK_CODE, step)
    machine._uc.ctl_flush_tb()
    session._infer()
    assert steps[0] == counted.inference.work.instructions


@pytest.mark.parametrize("device", CORTEX_M, indirect=True)
def test_functions_and_layers_add_up(session, clips):
    profile = session.profile(clips[0])
    for part in (profile.frontend_frame, profile.inference):
        assert sum(cost.instructions for cost in part.functions) == part.work.instructions
        assert all(cost.name != "(no function)" for cost in part.functions)
        instructions = [cost.instructions for cost in part.functions]
        assert instructions == sorted(instructions, reverse=True)
    functions = {cost.name: cost.instructions for cost in profile.inference.functions}
    dense, total = profile.inference.layers
    assert dense.instructions >= functions["edgeprune_layer_00_dense"] > 480
    assert total.instructions >= functions["edgeprune_layer_01_sum"] > 20
    inside = dense.instructions + total.instructions
    assert 0 < profile.inference.work.instructions - inside < 400
    assert all(layer.instructions is None for layer in profile.frontend_frame.layers)
    assert "edgeprune_frontend_push" in {cost.name for cost in profile.frontend_frame.functions}


@pytest.mark.parametrize("device", ["cortex-m0plus"], indirect=True)
def test_a_layer_includes_what_it_calls(session, clips):
    """The M0+ divides in a library function, which is the second layer's work alone."""
    profile = session.profile(clips[0]).inference
    functions = {cost.name: cost.instructions for cost in profile.functions}
    helpers = sum(count for name, count in functions.items() if "div" in name or "clz" in name)
    assert helpers > 0
    assert profile.layers[1].instructions == functions["edgeprune_layer_01_sum"] + helpers


def test_a_profile_can_be_written_as_json(session, clips):
    profile = session.profile(clips[0])
    table = json.loads(json.dumps(profile.inference.to_json()))
    assert table["work"]["instructions"] == profile.inference.work.instructions
    assert table["layers"][0]["op"] == "FULLY_CONNECTED"
    assert json.loads(json.dumps(profile.cost.to_json()))["stack_bytes"] == profile.stack_bytes


def test_functions_that_serve_two_layers_name_neither(session, device):
    elf, layers = Elf(device.elf), device.manifest.layers
    first = elf.symbol(layers[0].symbol).address
    assert layer_entries(elf, layers) == {
        first: 0,
        elf.symbol(layers[1].symbol).address: 1,
    }
    merged = [layers[0], type(layers[1])(**{**vars(layers[1]), "symbol": layers[0].symbol})]
    assert layer_entries(elf, merged) == {}
