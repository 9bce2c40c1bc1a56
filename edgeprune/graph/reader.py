"""A .tflite file to a :class:`Graph`: every index, size and type checked before it is used."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgeprune.errors import MalformedModelError, UnsupportedError
from edgeprune.graph.kinds import KINDS, Site
from edgeprune.graph.kinds.site import Place
from edgeprune.graph.model import Graph
from edgeprune.graph.operators import AssignVariable, Dequantize, Operator, ReadVariable
from edgeprune.graph.schema import MOST_OPERATORS, RawModel, RawOperator, extract, operator_name
from edgeprune.graph.tensor import Tensor
from edgeprune.graph.tensors import MOST_TENSOR_BYTES, Tensors
from edgeprune.graph.variables import STATE_OPERATORS, Variables, check_state_operator

__all__ = ["SUPPORTED_OPERATORS", "read_graph"]

#: The schema's names of the operators that edgeprune compiles.
SUPPORTED_OPERATORS: tuple[str, ...] = tuple(
    operator_name(code) for code in (*KINDS, *STATE_OPERATORS)
)

#: The largest file. Metadata may be most of it.
_MOST_FILE_BYTES = 1 << 26
#: The most weights together, and the most that the operators write together.
_MOST_WEIGHT_BYTES = MOST_TENSOR_BYTES
_MOST_ACTIVATION_BYTES = 2 * MOST_TENSOR_BYTES

#: What an operator has in place of an optional input's number.
_LEFT_OUT = -1


def read_graph(source: bytes | Path, *, name: str | None = None) -> Graph:
    """Read a full-int8 network of one input and one output, and the variables that it keeps.

    The input is int8 or uint8; the output int8, uint8 or float32. A first QUANTIZE and a last
    QUANTIZE or DEQUANTIZE make the difference.

    Args:
        source: the file's content, or its path.
        name: what errors call the model; the path by default.

    Raises:
        MalformedModelError: not a .tflite file, truncated, damaged, or inconsistent in itself.
        UnsupportedError: a valid model with an operator, type or shape that edgeprune lacks.
    """
    where = name if name is not None else "model" if isinstance(source, bytes) else str(source)
    try:
        content = source if isinstance(source, bytes) else _load(source)
        if len(content) > _MOST_FILE_BYTES:
            raise UnsupportedError(
                f"it has more than {_MOST_FILE_BYTES} bytes, the most that is read"
            )
        return _Reader(extract(content)).graph(hashlib.sha256(content).hexdigest())
    except (MalformedModelError, UnsupportedError) as error:
        error.where = f"{where}: {error.where}" if error.where else where
        raise


def _load(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise MalformedModelError(
            f"can't be read: {error.strerror}", hint="check the path"
        ) from error


class _Reader:
    """Turns raw values into checked ones, operator by operator."""

    def __init__(self, raw: RawModel) -> None:
        self._network = raw.subgraphs[0]
        self._tensors = Tensors(self._network.tensors, raw.buffers)
        self._variables = Variables(raw, self._tensors)
        self._operators: list[Operator] = []
        self._written: set[int] = set()
        self._weight_bytes = 0
        self._activation_bytes = 0

    def graph(self, digest: str) -> Graph:
        first = self._end("input", self._network.inputs, ("int8", "uint8"))
        last = self._end("output", self._network.outputs, ("int8", "uint8", "float32"))
        if not self._network.operators:
            raise UnsupportedError("the model has no operator: there is nothing to compile")
        if first.is_constant:
            raise MalformedModelError(f"the model's input, tensor {first}, is a constant")
        if first is last:
            raise MalformedModelError(f"the model's output is its input, tensor {first}")
        self._write(first)
        for index, raw in enumerate(self._network.operators):
            for operator in self._read(index, raw):
                self._append(operator, last)
        if last.index not in self._written:
            raise MalformedModelError(f"no operator writes the model's output, tensor {last}")
        variables = self._variables.found()
        for variable in variables:
            self._write(variable.tensor)
        return Graph(
            tensors=(*self._tensors.used(), *(variable.tensor for variable in variables)),
            operators=tuple(self._operators),
            input=first,
            output=last,
            digest=digest,
            variables=variables,
        )

    def _end(self, what: str, indices: tuple[int, ...], dtypes: tuple[str, ...]) -> Tensor:
        if len(indices) != 1:
            raise UnsupportedError(
                f"the model has {len(indices)} {what}s; edgeprune compiles models with one"
            )
        tensor = self._tensors.get(indices[0], f"the model's {what}")
        if tensor.dtype not in dtypes:
            raise UnsupportedError(
                f"the model's {what}, tensor {tensor}, is {tensor.dtype}; {' or '.join(dtypes)} "
                "is supported",
                hint="convert with full-integer quantization and int8 input and output",
            )
        return tensor

    def _append(self, operator: Operator, last: Tensor) -> None:
        """Check that an operator can be executed where it stands."""
        for tensor in operator.inputs:
            if tensor.is_constant:
                raise UnsupportedError(
                    f"{operator} computes with the constant {tensor} alone",
                    hint="convert with constant folding",
                )
            if tensor.index not in self._written and not isinstance(operator, ReadVariable):
                raise MalformedModelError(
                    f"{operator} reads tensor {tensor} before any operator has written it"
                )
        if isinstance(operator, Dequantize) and operator.output is not last:
            raise UnsupportedError(
                f"{operator} is not at the model's output, the only place for float32",
                hint="convert with full-integer quantization",
            )
        if not isinstance(operator, AssignVariable):
            output = operator.output
            if output.is_constant or output.index in self._written:
                what = "is a constant" if output.is_constant else "already holds a value"
                raise MalformedModelError(f"{operator} writes tensor {output}, which {what}")
            self._write(output)
        # A weight that many layers share counts for each, as each gets its own copy in C.
        self._weight_bytes += operator.weight_bytes
        if self._weight_bytes > _MOST_WEIGHT_BYTES:
            raise UnsupportedError(
                f"its layers have more than {_MOST_WEIGHT_BYTES} bytes of weights, the most that "
                "is read"
            )
        self._operators.append(operator)
        if len(self._operators) > MOST_OPERATORS:
            raise UnsupportedError(
                f"the model has more than {MOST_OPERATORS} operators, as many as the outputs of "
                "SPLIT and SPLIT_V make"
            )

    def _write(self, tensor: Tensor) -> None:
        self._written.add(tensor.index)
        self._activation_bytes += tensor.size
        if self._activation_bytes > _MOST_ACTIVATION_BYTES:
            raise UnsupportedError(
                f"its operators and variables write more than {_MOST_ACTIVATION_BYTES} bytes, the "
                "most that is read"
            )

    def _read(self, index: int, raw: RawOperator) -> list[Operator]:
        place = Place(self._describe(index, raw), index, raw.kind, raw.version)
        if raw.code in STATE_OPERATORS:
            check_state_operator(place, raw)
            operator = self._variables.read(place, raw)
            return [] if operator is None else [operator]
        if raw.code not in KINDS:
            raise place.unsupported(
                "is not among the operators that edgeprune compiles",
                hint=f"supported: {', '.join(SUPPORTED_OPERATORS)}",
            )
        kind = KINDS[raw.code]
        if not kind.oldest <= raw.version <= kind.newest:
            raise place.unsupported(
                "has a version that is not supported",
                hint=f"supported: versions {kind.oldest} to {kind.newest}",
            )
        (fewest_in, most_in), (fewest_out, most_out) = kind.inputs, kind.outputs
        if not (
            fewest_in <= len(raw.inputs) <= most_in and fewest_out <= len(raw.outputs) <= most_out
        ):
            raise place.malformed(f"has {len(raw.inputs)} inputs and {len(raw.outputs)} outputs")
        inputs = tuple(
            None if each == _LEFT_OUT else self._tensors.get(each, place.name)
            for each in raw.inputs
        )
        outputs = tuple(self._tensors.get(each, place.name) for each in raw.outputs)
        return [
            kind.build(
                Site(
                    name=place.name,
                    index=index,
                    kind=raw.kind,
                    version=raw.version,
                    inputs=inputs,
                    outputs=outputs,
                    position=position,
                    options=raw.options,
                )
            )
            for position in range(len(outputs))
        ]

    def _describe(self, index: int, raw: RawOperator) -> str:
        name = "nothing"
        if raw.outputs and 0 <= raw.outputs[0] < len(self._network.tensors):
            name = repr(self._network.tensors[raw.outputs[0]].name)
        return f"operator {index}, {raw.kind} version {raw.version}, which writes {name}"
