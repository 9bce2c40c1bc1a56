"""Thumb instructions sorted into classes that take the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache

__all__ = ["Decoder", "Kind", "Mix", "instruction_count"]


class Kind(StrEnum):
    """A class of instructions; TRANSFER and TAKEN are events that come on top of one.

    A load or store is NEXT_LOAD or NEXT_STORE when a single load or store comes right before it
    in the same block: such neighbours overlap on some cores.
    """

    LOAD = "load"
    STORE = "store"
    NEXT_LOAD = "load after a load or store"
    NEXT_STORE = "store after a load or store"
    LOAD_MULTIPLE = "load multiple"
    STORE_MULTIPLE = "store multiple"
    MULTIPLY = "multiply"
    MULTIPLY_ADD = "multiply-accumulate"
    LONG_MULTIPLY = "long multiply"
    LONG_MULTIPLY_ADD = "long multiply-accumulate"
    DIVIDE = "divide"
    FLOAT = "floating point"
    FLOAT_MULTIPLY_ADD = "floating-point multiply-accumulate"
    FLOAT_DIVIDE = "floating-point divide or square root"
    BRANCH = "branch"
    CALL = "call"
    RETURN = "return through the stack"
    BARRIER = "barrier or special register"
    OTHER = "other"
    TRANSFER = "register of a multiple load or store"
    TAKEN = "taken branch"


#: How many instructions or events of each class.
Mix = Counter[Kind]

#: Not instructions of their own.
EVENTS = frozenset({Kind.TRANSFER, Kind.TAKEN})

_GROUPS: dict[Kind, str] = {
    Kind.LOAD: "LDR LDRB LDRH LDRSB LDRSH LDRT LDRBT LDRHT LDRSBT LDRSHT LDREX LDREXB LDREXH LDA "
    "LDAB LDAH VLDR",
    Kind.STORE: "STR STRB STRH STRT STRBT STRHT STREX STREXB STREXH STL STLB STLH VSTR",
    Kind.LOAD_MULTIPLE: "LDM LDMDB LDRD POP VLDMIA VLDMDB VPOP",
    Kind.STORE_MULTIPLE: "STM STMDB STRD PUSH VSTMIA VSTMDB VPUSH",
    Kind.MULTIPLY: "MUL SMULBB SMULBT SMULTB SMULTT SMULWB SMULWT SMMUL SMMULR SMUAD SMUADX SMUSD "
    "SMUSDX",
    Kind.MULTIPLY_ADD: "MLA MLS SMLABB SMLABT SMLATB SMLATT SMLAWB SMLAWT SMLAD SMLADX SMLSD "
    "SMLSDX SMMLA SMMLAR SMMLS SMMLSR USADA8",
    Kind.LONG_MULTIPLY: "SMULL UMULL",
    Kind.LONG_MULTIPLY_ADD: "SMLAL UMLAL UMAAL SMLALBB SMLALBT SMLALTB SMLALTT SMLALD SMLALDX "
    "SMLSLD SMLSLDX",
    Kind.DIVIDE: "SDIV UDIV",
    Kind.FLOAT_MULTIPLY_ADD: "VMLA VMLS VNMLA VNMLS VFMA VFMS VFNMA VFNMS",
    Kind.FLOAT_DIVIDE: "VDIV VSQRT",
    Kind.BRANCH: "B BX BXNS CBZ CBNZ TBB TBH",
    Kind.CALL: "BL BLX BLXNS",
    Kind.BARRIER: "DSB DMB ISB MRS MSR CPS BKPT SVC",
}

_MULTIPLES = frozenset({Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE})
_SINGLES = {Kind.LOAD: Kind.NEXT_LOAD, Kind.STORE: Kind.NEXT_STORE}


@cache
def _kinds() -> dict[int, Kind]:
    from capstone import arm_const

    return {
        getattr(arm_const, f"ARM_INS_{name}"): kind
        for kind, names in _GROUPS.items()
        for name in names.split()
        if hasattr(arm_const, f"ARM_INS_{name}")
    }


class Decoder:
    """Sorts the instructions of a block; a block is decoded once."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        """Decode code that ``read(address, size)`` delivers."""
        import capstone
        from capstone import arm_const

        self._read = read
        self._pc = arm_const.ARM_REG_PC
        self._register_operand = arm_const.ARM_OP_REG
        mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
        self._capstone = capstone.Cs(capstone.CS_ARCH_ARM, mode)
        self._capstone.detail = True
        self._blocks: dict[tuple[int, int], Mix] = {}

    def block(self, address: int, size: int) -> Mix:
        """The instructions of a block of ``size`` bytes, with their TRANSFERs."""
        key = (address, size)
        if key not in self._blocks:
            self._blocks[key] = self._decode(address, size)
        return self._blocks[key]

    def _decode(self, address: int, size: int) -> Mix:
        mix = Mix()
        previous = None
        for where, code in _split(address, self._read(address, size)):
            kind, transfers = self._classify(where, code)
            if previous in _SINGLES and kind in _SINGLES:
                mix[_SINGLES[kind]] += 1
            else:
                mix[kind] += 1
            if transfers:
                mix[Kind.TRANSFER] += transfers
            previous = kind
        return mix

    def _classify(self, address: int, code: bytes) -> tuple[Kind, int]:
        """The class of one instruction, and the registers that it moves if it moves many.

        Each is decoded on its own: what comes before it, an IT for instance, changes its
        condition and not its class.
        """
        found = next(self._capstone.disasm(code, address, 1), None)
        if found is None:
            return Kind.OTHER, 0
        kind = _kinds().get(found.id)
        operands = found.operands
        if kind in _MULTIPLES:
            registers = [item.reg for item in operands if item.type == self._register_operand]
            has_base = not found.mnemonic.startswith(
                ("push", "pop", "vpush", "vpop", "ldrd", "strd")
            )
            count = len(registers) - has_base
            if self._pc in registers:
                return Kind.RETURN, count
            return kind, count
        if kind is not None:
            return kind, 0
        if operands and operands[0].type == self._register_operand and operands[0].reg == self._pc:
            return Kind.BRANCH, 0
        return (Kind.FLOAT if found.mnemonic.startswith("v") else Kind.OTHER), 0


def _split(address: int, code: bytes) -> Iterator[tuple[int, bytes]]:
    """Instructions by their length alone: Armv7-M Architecture Reference Manual, A5.1."""
    position = 0
    while position < len(code):
        long = code[position + 1] >> 3 in (0b11101, 0b11110, 0b11111)
        size = 4 if long else 2
        yield address + position, code[position : position + size]
        position += size


def instruction_count(mix: Mix) -> int:
    """Instructions of a mix, events left out."""
    return sum(count for kind, count in mix.items() if kind not in EVENTS)
