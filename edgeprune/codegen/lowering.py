"""What a kernel needs to compute one layer: the seam between graph, kernels and emission.

A :class:`Kernel` says whether it computes an operator on a core, and lowers the operator to a
:class:`Lowered`: a call with constant parameters. Nothing after it looks at the operator's kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy.typing as npt

from edgeprune.cores import Core
from edgeprune.errors import UnsupportedError
from edgeprune.graph import Operator, Tensor

__all__ = [
    "Constant",
    "Estimate",
    "Field",
    "Kernel",
    "Lowered",
    "Nest",
    "Overlap",
    "unsupported",
]


@dataclass(frozen=True, eq=False)
class Constant:
    """An array in flash.

    Attributes:
        name: what follows the layer's prefix in the C symbol.
        values: int8 or int32; flattened when it is written.
    """

    name: str
    values: npt.NDArray[Any]


#: A value of a C initializer: a number, an array of numbers, an array in flash, or a struct.
Field: TypeAlias = "int | tuple[int, ...] | Constant | dict[str, Field]"


@dataclass(frozen=True)
class Overlap:
    """How the output may share memory with an input that no later layer reads.

    The layer is right where both regions are disjoint, and also where the output starts at least
    ``lead`` bytes before the input (exactly ``lead`` bytes if ``exact``).

    Attributes:
        input: position in :attr:`Lowered.inputs`.
        lead: bytes; 0 for a layer that works in place from the first value to the last. Negative
            for one that writes so little that it may start behind the input's start.
        exact: no other distance is right; for kernels that don't go from first to last.
    """

    input: int = 0
    lead: int = 0
    exact: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a layer will cost, by a formula that the tests hold against counts.

    Attributes:
        instructions: of one inference.
        flash_bytes: of the layer's constants; code that layers share is not among them.
    """

    instructions: float
    flash_bytes: int


@dataclass(frozen=True, eq=False)
class Lowered:
    """One layer as a call: ``function(&parameters, inputs…, output[, scratch][, shape…])``.

    Attributes:
        function: the kernel's C function.
        struct: the C type of its parameters; None for a function that takes none.
        header: the runtime header that declares both.
        sources: the runtime files that the kernel needs, headers included.
        parameters: member to value.
        inputs: the tensors to pass, in order; a constant among them is passed from flash.
        scratch: bytes of memory that the kernel needs while it runs; starts at a multiple of 8.
        shape: compile-time arguments by name, passed last as int32_t literals. ``function`` is
            then a ``static inline`` of the header that the compiler inlines into one function for
            each set of numbers; layers of the same numbers share it.
        overlap: how the output may share memory with an input; None for not at all.
        encoding: how the weights lie in flash, for reports.
        estimate: what the layer will cost; the choice among kernels is made by it. A kernel
            without one is taken only where no other fits.
    """

    function: str
    struct: str | None
    header: str
    sources: tuple[str, ...]
    parameters: dict[str, Field]
    inputs: tuple[Tensor, ...]
    scratch: int = 0
    shape: tuple[tuple[str, int], ...] = ()
    overlap: Overlap | None = None
    encoding: str = "dense"
    estimate: Estimate | None = None

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The arrays that the parameters point to."""
        return tuple(_constants(self.parameters))


def _constants(field: Field) -> list[Constant]:
    if isinstance(field, Constant):
        return [field]
    if isinstance(field, dict):
        return [constant for value in field.values() for constant in _constants(value)]
    return []


_O = TypeVar("_O", bound=Operator)


@dataclass(frozen=True, eq=False)
class Nest(Generic[_O]):
    """The same layer of networks that lie in each other, and share one array of weights.

    The weights of each are the leading block of those of the widest: its first output channels,
    and of them the values of its first input channels.

    Attributes:
        members: one a level, the widest first; each no wider than the one before it.
    """

    members: tuple[_O, ...]

    @property
    def widest(self) -> _O:
        """The layer whose weights hold those of all the others."""
        return self.members[0]


def _always(_operator: Operator, _core: Core) -> bool:
    return True


@dataclass(frozen=True)
class Kernel(Generic[_O]):
    """A way to compute operators of one kind.

    Attributes:
        operator: the kind.
        lower: constants and parameters of a layer that it fits; raises UnsupportedError for
            values that it can't compute exactly.
        fits: whether it computes this operator, and runs on this core; by default it does.
        nested: constants and parameters of a layer that it fits and that is a member of a nest, so
            that its weights are in flash once for all of them; None where they can't be. Without
            it a layer is lowered by itself, which shares weights if its own are how those of the
            widest begin.
    """

    operator: type[_O]
    lower: Callable[[_O, Core], Lowered]
    fits: Callable[[_O, Core], bool] = _always
    nested: Callable[[_O, Nest[_O], Core], Lowered | None] | None = None

    def offer(self, operator: Operator, core: Core) -> Lowered | None:
        """The operator as a call of this kernel; None where it does not fit."""
        if not isinstance(operator, self.operator) or not self.fits(operator, core):
            return None
        return self.lower(operator, core)

    def offer_nested(self, operator: Operator, nest: Nest[_O], core: Core) -> Lowered | None:
        """The member of a nest as a call of this kernel; None where it does not fit."""
        if not isinstance(operator, self.operator) or not self.fits(operator, core):
            return None
        lowered = None if self.nested is None else self.nested(operator, nest, core)
        return self.lower(operator, core) if lowered is None else lowered


def unsupported(operator: Operator, what: str, hint: str | None = None) -> UnsupportedError:
    """The error of an operator that can't be computed exactly."""
    return UnsupportedError(what, where=str(operator), hint=hint)
