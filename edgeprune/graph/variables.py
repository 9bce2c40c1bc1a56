"""State between inferences: CALL_ONCE, VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE.

A VAR_HANDLE names a variable, by container and name; READ_VARIABLE and ASSIGN_VARIABLE get the
handle as if it were a tensor. CALL_ONCE runs another subgraph before the first inference, which
assigns constants to variables. Only reading and assigning leave operators behind: what the handles
and the other subgraph say becomes :class:`edgeprune.graph.Variable`.

A variable that no constant initializes starts with the real number 0, which is its zero point, as
in TensorFlow Lite Micro.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import tflite
from tflite import BuiltinOperator

from edgeprune.errors import MalformedModelError, UnsupportedError
from edgeprune.graph.kinds.checks import check_quantized
from edgeprune.graph.kinds.site import Place
from edgeprune.graph.model import Variable
from edgeprune.graph.operators import AssignVariable, Operator, ReadVariable
from edgeprune.graph.schema import RawModel, RawOperator
from edgeprune.graph.tensor import Tensor
from edgeprune.graph.tensors import Tensors

__all__ = ["STATE_OPERATORS", "Variables"]

#: Builtin code to the numbers of inputs and outputs; version 1 is the only one of each.
STATE_OPERATORS: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        BuiltinOperator.CALL_ONCE: (0, 0),
        BuiltinOperator.VAR_HANDLE: (0, 1),
        BuiltinOperator.READ_VARIABLE: (1, 1),
        BuiltinOperator.ASSIGN_VARIABLE: (2, 0),
    }
)

_Key: TypeAlias = tuple[str, str]


@dataclass
class _State:
    """A variable while the operators are read.

    Attributes:
        initial: the constant that the other subgraph assigns.
        tensor: made when the network first reads or assigns it.
        assigned: whether the network assigns it.
    """

    name: str
    initial: Tensor | None = None
    tensor: Tensor | None = None
    assigned: bool = False


class _Handles:
    """The handles of one subgraph: tensor number to variable."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self._keys: dict[int, _Key] = {}

    def define(self, place: Place, index: int, key: _Key) -> None:
        """A VAR_HANDLE writes a tensor."""
        raw = self.tensors.raw(index, place.name)
        if raw.type_code != tflite.TensorType.RESOURCE:
            raise place.malformed(f"writes tensor {raw.name!r}, which is no handle of a variable")
        if index in self._keys:
            raise place.malformed(f"writes tensor {raw.name!r}, which already holds a handle")
        self._keys[index] = key

    def key(self, place: Place, index: int) -> _Key:
        """The variable that an operator means by a tensor."""
        raw = self.tensors.raw(index, place.name)
        if index not in self._keys:
            raise place.malformed(
                f"uses tensor {raw.name!r} as a variable before a VAR_HANDLE has written it"
            )
        return self._keys[index]


class Variables:
    """The variables of a model, found while the network's operators are read in their order."""

    def __init__(self, raw: RawModel, tensors: Tensors) -> None:
        self._raw = raw
        self._handles = _Handles(tensors)
        self._states: dict[_Key, _State] = {}
        self._used: list[_State] = []
        self._initializers: set[int] = set()

    def read(self, place: Place, operator: RawOperator) -> Operator | None:
        """Take in one of :data:`STATE_OPERATORS`; an operator if it does something at run time.

        Raises:
            MalformedModelError: it contradicts what was read before.
            UnsupportedError: variables of another type than int8, or an initialization that is
                not of constants alone.
        """
        if operator.code == BuiltinOperator.CALL_ONCE:
            self._call_once(place, operator)
            return None
        if operator.code == BuiltinOperator.VAR_HANDLE:
            self._define(self._handles, place, operator)
            return None
        state = self._states[self._handles.key(place, operator.inputs[0])]
        if operator.code == BuiltinOperator.READ_VARIABLE:
            output = self._handles.tensors.get(operator.outputs[0], place.name)
            variable = self._tensor(place, state, output)
            return ReadVariable(**place.common(output), input=variable)
        source = self._handles.tensors.get(operator.inputs[1], place.name)
        variable = self._tensor(place, state, source)
        state.assigned = True
        return AssignVariable(**place.common(variable), input=source)

    def found(self) -> tuple[Variable, ...]:
        """The variables that the network uses, in the order of their first use.

        Raises:
            MalformedModelError: one is read and never assigned.
            UnsupportedError: a subgraph is not for initialization.
        """
        others = len(self._raw.subgraphs) - 1 - len(self._initializers)
        if others:
            raise UnsupportedError(
                f"the model has {len(self._raw.subgraphs)} subgraphs, of which {others} neither "
                "are the network nor initialize its variables",
                hint="convert it without control flow and without signatures of several functions",
            )
        return tuple(_variable(state) for state in self._used)

    def _define(self, handles: _Handles, place: Place, operator: RawOperator) -> None:
        if "SharedName" not in operator.options:
            raise place.malformed("has no attribute SharedName")
        # Files leave an empty container out to save space.
        key = (operator.options["Container"] or "", operator.options["SharedName"] or "")
        handles.define(place, operator.outputs[0], key)
        self._states.setdefault(key, _State(name=key[1]))

    def _tensor(self, place: Place, state: _State, value: Tensor) -> Tensor:
        """The variable's tensor; checks that a value that it has is like all others."""
        check_quantized(place, value)
        _check_alike(place, state.tensor or state.initial or value, value)
        if state.tensor is None:
            state.tensor = Tensor(
                index=len(self._handles.tensors) + len(self._used),
                name=state.name,
                shape=value.shape,
                dtype=value.dtype,
                quantization=value.quantization,
            )
            self._used.append(state)
        return state.tensor

    def _call_once(self, place: Place, operator: RawOperator) -> None:
        index = operator.options.get("InitSubgraphIndex", 0)
        if not 0 <= index < len(self._raw.subgraphs):
            raise place.malformed(
                f"calls subgraph {index}; the file has {len(self._raw.subgraphs)}"
            )
        if index == 0:
            raise place.malformed("calls subgraph 0, which is the network itself")
        if self._used:
            raise place.unsupported("initializes variables after they were used")
        if index not in self._initializers:
            self._initializers.add(index)
            self._initialize(index)

    def _initialize(self, index: int) -> None:
        subgraph = self._raw.subgraphs[index]
        if subgraph.inputs or subgraph.outputs:
            raise MalformedModelError(
                f"subgraph {index} initializes variables, but has inputs or outputs"
            )
        handles = _Handles(Tensors(subgraph.tensors, self._raw.buffers))
        for position, operator in enumerate(subgraph.operators):
            name = (
                f"operator {position} of subgraph {index}, {operator.kind} version "
                f"{operator.version}, which initializes variables"
            )
            place = Place(name, position, operator.kind, operator.version)
            if operator.code not in (BuiltinOperator.VAR_HANDLE, BuiltinOperator.ASSIGN_VARIABLE):
                raise place.unsupported(
                    "is neither VAR_HANDLE nor ASSIGN_VARIABLE",
                    hint="initialize variables with constants",
                )
            check_state_operator(place, operator)
            if operator.code == BuiltinOperator.VAR_HANDLE:
                self._define(handles, place, operator)
            else:
                self._assign_constant(handles, place, operator)

    def _assign_constant(self, handles: _Handles, place: Place, operator: RawOperator) -> None:
        state = self._states[handles.key(place, operator.inputs[0])]
        value = handles.tensors.get(operator.inputs[1], place.name)
        if value.data is None:
            raise place.unsupported(f"assigns tensor {value}, which is no constant")
        check_quantized(place, value)
        _check_alike(place, state.initial or value, value)
        state.initial = value


def check_state_operator(place: Place, operator: RawOperator) -> None:
    """Version and numbers of inputs and outputs of one of :data:`STATE_OPERATORS`.

    Raises:
        MalformedModelError: the numbers are wrong.
        UnsupportedError: the version is not 1.
    """
    if operator.version != 1:
        raise place.unsupported("has a version that is not supported", hint="supported: version 1")
    if (len(operator.inputs), len(operator.outputs)) != STATE_OPERATORS[operator.code]:
        raise place.malformed(
            f"has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs"
        )


def _check_alike(place: Place, one: Tensor, other: Tensor) -> None:
    if (one.shape, one.quantization) != (other.shape, other.quantization):
        raise place.unsupported(
            f"uses a variable as tensor {one} and as tensor {other}, whose shape, scale or zero "
            "point differs",
            hint="convert the model again; converters give all uses of a variable the same",
        )


def _variable(state: _State) -> Variable:
    tensor = state.tensor
    if tensor is None or not (state.assigned or state.initial):
        raise MalformedModelError(f"variable {state.name!r} is read, but nothing assigns it")
    if state.initial is not None and state.initial.data is not None:
        return Variable(name=state.name, tensor=tensor, initial=state.initial.data)
    zeros = np.full(tensor.shape, tensor.zero_point, dtype=np.int8)
    zeros.flags.writeable = False
    return Variable(name=state.name, tensor=tensor, initial=zeros)
