"""Where tensors lie: every layout computes what the graph says, on memory full of rubbish."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprune.codegen.layout import Layout, Place, Step, lay_out
from edgeprune.codegen.lowering import Lowered, Overlap
from edgeprune.codegen.values import shares
from edgeprune.graph import (
    Add,
    AssignVariable,
    AveragePool2D,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    Graph,
    Operator,
    ReadVariable,
    Relu,
    Reshape,
    StridedSlice,
    Tensor,
    Variable,
    read_graph,
)

Bytes = npt.NDArray[np.int8]
Overlaps = dict[int, Overlap]


class Sketch:
    """A graph in the making; what kernels allow is kept beside it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.variables: list[Variable] = []
        self.overlaps: Overlaps = {}
        self.scratch: dict[int, int] = {}
        self.input = self.tensor(shape)

    def tensor(self, shape: tuple[int, ...], data: Bytes | None = None) -> Tensor:
        number = len(self.tensors)
        tensor = Tensor(number, f"t{number}", shape, "int8", None, data)
        self.tensors.append(tensor)
        return tensor

    def constant(self, shape: tuple[int, ...]) -> Tensor:
        return self.tensor(shape, np.arange(np.prod(shape), dtype=np.int8).reshape(shape))

    def variable(self, shape: tuple[int, ...]) -> Tensor:
        tensor = self.tensor(shape)
        initial = np.full(shape, len(self.variables) - 1, np.int8)
        self.variables.append(Variable(tensor.name, tensor, initial))
        return tensor

    def _head(self, kind: str, shape: tuple[int, ...]) -> dict[str, object]:
        output = self.tensor(shape)
        return {"index": len(self.operators), "kind": kind, "version": 1, "output": output}

    def _add(self, operator: Operator, overlap: Overlap | None = None, scratch: int = 0) -> Tensor:
        if overlap is not None:
            self.overlaps[operator.index] = overlap
        self.scratch[operator.index] = scratch
        self.operators.append(operator)
        return operator.output

    def compute(
        self,
        source: Tensor,
        shape: tuple[int, ...] | None = None,
        overlap: Overlap | None = None,
        scratch: int = 0,
    ) -> Tensor:
        head = self._head("RELU", source.shape if shape is None else shape)
        return self._add(Relu(**head, input=source, activation="relu"), overlap, scratch)  # type: ignore[arg-type]

    def add(self, left: Tensor, right: Tensor, overlap: Overlap | None = None) -> Tensor:
        head = self._head("ADD", left.shape)
        return self._add(Add(**head, left=left, right=right, activation="none"), overlap)  # type: ignore[arg-type]

    def reshape(self, source: Tensor, shape: tuple[int, ...]) -> Tensor:
        return self._add(Reshape(**self._head("RESHAPE", shape), input=source))  # type: ignore[arg-type]

    def slice(self, source: Tensor, begin: tuple[int, ...], extent: tuple[int, ...]) -> Tensor:
        head = self._head("STRIDED_SLICE", extent)
        stride = (1,) * len(begin)
        return self._add(
            StridedSlice(**head, input=source, begin=begin, stride=stride, extent=extent)  # type: ignore[arg-type]
        )

    def concatenate(self, *sources: Tensor, axis: int = 0) -> Tensor:
        shape = list(sources[0].shape)
        shape[axis] = sum(source.shape[axis] for source in sources)
        head = self._head("CONCATENATION", tuple(shape))
        return self._add(Concatenation(**head, sources=sources, axis=axis))  # type: ignore[arg-type]

    def read(self, variable: Tensor) -> Tensor:
        head = self._head("READ_VARIABLE", variable.shape)
        return self._add(ReadVariable(**head, input=variable))  # type: ignore[arg-type]

    def assign(self, variable: Tensor, value: Tensor) -> None:
        self._add(AssignVariable(len(self.operators), "ASSIGN_VARIABLE", 1, variable, value))

    def graph(self, output: Tensor) -> Graph:
        return Graph(
            tuple(self.tensors),
            tuple(self.operators),
            self.input,
            output,
            "",
            tuple(self.variables),
        )

    def steps(self) -> list[Step]:
        return [
            Step(
                operator,
                Lowered(
                    function=operator.kind.lower(),
                    struct=None,
                    header="",
                    sources=(),
                    parameters={},
                    inputs=operator.sources
                    if isinstance(operator, Concatenation)
                    else operator.inputs,
                    scratch=self.scratch[operator.index],
                    overlap=self.overlaps.get(operator.index),
                ),
            )
            for operator in self.operators
            if not isinstance(operator, Reshape)
        ]

    def lay_out(self, output: Tensor) -> Layout:
        """The layout, proven by running it."""
        graph = self.graph(output)
        layout = lay_out(graph, self.steps())
        _assert_computes(graph, layout)
        return layout


def _moved(operator: Operator, inputs: list[Bytes]) -> Bytes | None:
    """What an operator that moves bytes gives; None for one that computes."""
    if isinstance(operator, Reshape | ReadVariable | AssignVariable):
        return inputs[0].reshape(operator.output.shape)
    if isinstance(operator, StridedSlice):
        window = tuple(
            slice(begin, begin + extent)
            for begin, extent in zip(operator.begin, operator.extent, strict=True)
        )
        return inputs[0][window].reshape(operator.output.shape)
    if isinstance(operator, Concatenation):
        return np.concatenate(inputs, operator.axis)
    return None


def _computed(operator: Operator, inputs: list[Bytes]) -> Bytes:
    """Bytes that depend on every byte of the inputs."""
    moved = _moved(operator, inputs)
    if moved is not None:
        return moved
    seed = zlib.crc32(b"".join(each.tobytes() for each in inputs), operator.index)
    values = np.random.default_rng(seed).integers(-128, 128, operator.output.size, np.int8)
    return values.reshape(operator.output.shape)


def _is_run(operator: Concatenation) -> bool:
    """Whether every source is one run of bytes of the output."""
    return math.prod(operator.output.shape[: operator.axis]) == 1


def _sources(operator: Operator) -> tuple[Tensor, ...]:
    return operator.sources if isinstance(operator, Concatenation) else operator.inputs


def _expected(graph: Graph, frames: list[Bytes]) -> list[Bytes]:
    """The outputs of a sequence, by the graph alone."""
    values = {variable.tensor.index: variable.initial for variable in graph.variables}
    found = []
    for frame in frames:
        values[graph.input.index] = frame
        for operator in graph.operators:
            inputs = [
                values[each.index] if each.data is None else each.data
                for each in _sources(operator)
            ]
            values[operator.output.index] = _computed(operator, inputs)
        found.append(values[graph.output.index])
    return found


class _Memory:
    """The arena and the state, as the generated program has them."""

    def __init__(self, graph: Graph, layout: Layout, rng: np.random.Generator) -> None:
        self._graph, self._layout, self._rng = graph, layout, rng
        size = layout.size + layout.state_size
        self._bytes = rng.integers(-128, 128, size, np.int8)
        for variable in graph.variables:
            self._at(variable.tensor)[...] = variable.initial

    def _at(self, tensor: Tensor) -> Bytes:
        start = self._layout.offset(tensor)
        assert start + tensor.size <= len(self._bytes)
        return self._bytes[start : start + tensor.size].reshape(tensor.shape)

    def _value(self, tensor: Tensor) -> Bytes:
        return self._at(tensor) if tensor.data is None else tensor.data

    def run(self, frame: Bytes) -> Bytes:
        self._bytes[: self._layout.size] = self._rng.integers(-128, 128, self._layout.size, np.int8)
        self._at(self._graph.input)[...] = frame
        for number, step in enumerate(self._layout.steps):
            operator = step.operator
            if isinstance(operator, Concatenation) and _is_run(operator):
                self._join(operator)
                continue
            if shares(operator) == ():
                self._assert_apart(number, step)
            if step.lowered.scratch:
                start = self._layout.scratch[number]
                self._bytes[start : start + step.lowered.scratch] = 99
            inputs = [self._value(each).copy() for each in step.lowered.inputs]
            self._at(operator.output)[...] = _computed(operator, inputs)
        return self._at(self._graph.output).copy()

    def _join(self, operator: Concatenation) -> None:
        """One memmove for each source, in any order."""
        start = self._layout.offset(operator.output)
        ends = np.cumsum([source.size for source in operator.sources])
        for position in self._rng.permutation(len(operator.sources)):
            source, end = operator.sources[position], start + ends[position]
            self._bytes[end - source.size : end] = self._value(source).copy().ravel()

    def _apart(self, one: Tensor, other: Tensor) -> bool:
        at, there = self._layout.offset(one), self._layout.offset(other)
        return at + one.size <= there or there + other.size <= at

    def _assert_apart(self, number: int, step: Step) -> None:
        """What a kernel touches is aligned, and overlaps only as the kernel can bear it."""
        output = step.operator.output
        overlap = step.lowered.overlap
        touched = [each for each in step.lowered.inputs if each.data is None]
        assert all(self._layout.offset(each) % 4 == 0 for each in (output, *touched))
        for tensor in touched:
            if self._apart(output, tensor):
                continue
            assert overlap is not None
            assert step.lowered.inputs[overlap.input] is tensor
            assert touched.count(tensor) == 1
            ahead = self._layout.offset(tensor) - self._layout.offset(output)
            assert ahead == overlap.lead if overlap.exact else ahead >= overlap.lead
        if step.lowered.scratch:
            first = self._layout.scratch[number]
            last = first + step.lowered.scratch
            assert first % 8 == 0
            for tensor in (output, *touched):
                at = self._layout.offset(tensor)
                assert at + tensor.size <= first or last <= at


def _assert_computes(graph: Graph, layout: Layout) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(-128, 128, graph.input.shape, np.int8) for _ in range(4)]
    memory = _Memory(graph, layout, rng)
    for frame, expected in zip(frames, _expected(graph, frames), strict=True):
        np.testing.assert_array_equal(memory.run(frame), expected)
    assert layout.bound <= layout.size
    assert layout.size % 8 == 0
    assert layout.state_size % 8 == 0


def _kinds(layout: Layout) -> list[str]:
    return [step.operator.kind for step in layout.steps]


def test_a_reshaped_tensor_is_the_same_memory() -> None:
    sketch = Sketch((4, 16))
    flat = sketch.reshape(sketch.compute(sketch.input), (64,))
    output = sketch.compute(flat, (8,))
    layout = sketch.lay_out(output)
    assert _kinds(layout) == ["RELU", "RELU"]
    assert layout.size == 128


def test_a_layer_in_place_takes_the_place_of_the_input() -> None:
    sketch = Sketch((4, 16))
    output = sketch.compute(sketch.input, overlap=Overlap())
    layout = sketch.lay_out(output)
    assert layout.size == 64
    assert layout.offset(output) == layout.offset(sketch.input)


def test_what_is_read_again_is_not_overwritten() -> None:
    sketch = Sketch((4, 16))
    hidden = sketch.compute(sketch.input)
    doubled = sketch.compute(hidden, overlap=Overlap())
    layout = sketch.lay_out(sketch.add(hidden, doubled))
    assert layout.size == 3 * 64


def test_what_nobody_reads_does_not_overwrite_what_somebody_does() -> None:
    sketch = Sketch((4, 16))
    sketch.compute(sketch.input, overlap=Overlap())
    assert sketch.lay_out(sketch.input).size == 128


def test_an_input_given_twice_is_not_overwritten() -> None:
    sketch = Sketch((4, 16))
    assert sketch.lay_out(sketch.add(sketch.input, sketch.input, Overlap())).size == 128


def test_two_views_of_one_tensor_are_not_overwritten() -> None:
    sketch = Sketch((4, 16))
    other = sketch.reshape(sketch.input, (4, 16))
    assert sketch.lay_out(sketch.add(sketch.input, other, Overlap())).size == 128


def test_leading_rows_are_a_view_and_columns_are_not() -> None:
    sketch = Sketch((4, 16))
    hidden = sketch.compute(sketch.input)
    rows = sketch.slice(hidden, (1, 0), (2, 16))
    columns = sketch.slice(rows, (0, 4), (2, 8))
    layout = sketch.lay_out(sketch.compute(columns))
    assert layout.offset(rows) == layout.offset(hidden) + 16
    assert _kinds(layout) == ["RELU", "STRIDED_SLICE", "RELU"]


def test_every_second_row_is_no_view() -> None:
    operator = StridedSlice(
        index=0,
        kind="STRIDED_SLICE",
        version=1,
        output=Tensor(1, "rows", (2, 16), "int8", None),
        input=Tensor(0, "all", (4, 16), "int8", None),
        begin=(0, 0),
        stride=(2, 1),
        extent=(2, 16),
    )
    assert shares(operator) == ()


def test_what_is_computed_with_starts_at_a_word() -> None:
    sketch = Sketch((4, 15))
    layout = sketch.lay_out(sketch.compute(sketch.slice(sketch.input, (1, 0), (2, 15))))
    assert _kinds(layout) == ["STRIDED_SLICE", "RELU"]


def test_what_is_only_moved_may_start_at_any_byte() -> None:
    sketch = Sketch((5, 15))
    state = sketch.variable((4, 15))
    sketch.assign(state, sketch.slice(sketch.compute(sketch.input), (1, 0), (4, 15)))
    layout = sketch.lay_out(sketch.compute(sketch.input))
    assert _kinds(layout) == ["RELU", "ASSIGN_VARIABLE", "RELU"]


def test_a_slice_keeps_only_its_own_bytes() -> None:
    sketch = Sketch((8, 64))
    rows = sketch.slice(sketch.compute(sketch.input), (0, 0), (1, 64))
    other = sketch.compute(sketch.compute(rows), (6, 64))
    layout = sketch.lay_out(sketch.add(sketch.compute(other, (1, 64)), rows))
    assert layout.size == 2 * 8 * 64


def test_a_concatenation_is_written_in_place() -> None:
    sketch = Sketch((4, 16))
    left, right = sketch.compute(sketch.input), sketch.compute(sketch.input, (2, 16))
    joined = sketch.concatenate(left, right)
    layout = sketch.lay_out(sketch.compute(joined))
    assert _kinds(layout) == ["RELU"] * 3
    assert layout.offset(left) == layout.offset(joined)
    assert layout.offset(right) == layout.offset(joined) + 64


def test_along_an_inner_dimension_values_are_copied() -> None:
    sketch = Sketch((4, 16))
    left, right = sketch.compute(sketch.input), sketch.compute(sketch.input)
    assert "CONCATENATION" in _kinds(sketch.lay_out(sketch.concatenate(left, right, axis=1)))
    sketch = Sketch((1, 16))
    left, right = sketch.compute(sketch.input), sketch.compute(sketch.input)
    assert "CONCATENATION" not in _kinds(sketch.lay_out(sketch.concatenate(left, right, axis=1)))


def test_what_is_joined_twice_or_with_a_constant_is_copied() -> None:
    sketch = Sketch((4, 16))
    hidden = sketch.compute(sketch.input)
    assert _kinds(sketch.lay_out(sketch.concatenate(hidden, hidden))) == ["RELU", "CONCATENATION"]
    sketch = Sketch((4, 16))
    hidden = sketch.compute(sketch.input)
    joined = sketch.concatenate(hidden, sketch.constant((1, 16)))
    layout = sketch.lay_out(joined)
    assert _kinds(layout) == ["RELU", "CONCATENATION"]
    assert layout.offset(hidden) == layout.offset(joined)


def _streaming(new: int, kept: int, *, assign_first: bool = True) -> tuple[Sketch, Tensor, Tensor]:
    """A convolution over the last ``kept`` rows and ``new`` ones, as kws_streaming writes it."""
    sketch = Sketch((new, 40))
    state = sketch.variable((kept, 40))
    window = sketch.concatenate(sketch.read(state), sketch.input)
    if assign_first:
        sketch.assign(state, sketch.slice(window, (new, 0), (kept, 40)))
    output = sketch.compute(window, (1, 8))
    if not assign_first:
        sketch.assign(state, sketch.slice(window, (new, 0), (kept, 40)))
    return sketch, output, state


@pytest.mark.parametrize("assign_first", [True, False])
@pytest.mark.parametrize(("new", "kept"), [(1, 8), (3, 2), (2, 2)])
def test_a_streaming_window_is_shifted_and_nothing_else_moves(
    new: int, kept: int, assign_first: bool
) -> None:
    sketch, output, state = _streaming(new, kept, assign_first=assign_first)
    layout = sketch.lay_out(output)
    assert _kinds(layout) == ["RELU", "ASSIGN_VARIABLE"]
    assert layout.state_size == (new + kept) * 40
    assert layout.size == 8
    assert layout.place(state) == Place("state", 0)
    assert layout.place(sketch.input) == Place("state", kept * 40)


def test_a_window_that_is_the_output_is_not_shifted_in_place() -> None:
    sketch = Sketch((1, 40))
    state = sketch.variable((4, 40))
    window = sketch.concatenate(sketch.read(state), sketch.input)
    sketch.assign(state, sketch.slice(window, (1, 0), (4, 40)))
    layout = sketch.lay_out(window)
    assert layout.place(window).region == "arena"


def test_a_ring_that_is_stored_whole_is_shifted() -> None:
    sketch = Sketch((1, 40))
    state = sketch.variable((5, 40))
    rest = sketch.slice(sketch.read(state), (1, 0), (4, 40))
    window = sketch.concatenate(rest, sketch.input)
    sketch.assign(state, window)
    layout = sketch.lay_out(sketch.compute(window, (8,)))
    assert _kinds(layout) == ["RELU", "ASSIGN_VARIABLE"]


def test_a_large_chunk_is_not_kept_for_the_sake_of_a_small_state() -> None:
    sketch = Sketch((50, 40))
    state = sketch.variable((1, 40))
    chunk = sketch.compute(sketch.input)
    window = sketch.concatenate(sketch.read(state), chunk)
    sketch.assign(state, sketch.slice(window, (50, 0), (1, 40)))
    large = sketch.compute(sketch.compute(window, (60, 40)), (60, 40))
    layout = sketch.lay_out(sketch.compute(large, (8,)))
    assert layout.state_size == 40
    assert layout.offset(chunk) == layout.offset(window) + 40


def test_a_recurrent_value_is_computed_into_its_variable() -> None:
    sketch = Sketch((1, 64))
    state = sketch.variable((1, 64))
    value = sketch.add(sketch.read(state), sketch.input, Overlap())
    sketch.assign(state, value)
    layout = sketch.lay_out(sketch.compute(value, (1, 8)))
    assert _kinds(layout) == ["ADD", "RELU"]
    assert layout.place(value) == layout.place(state)


@pytest.mark.parametrize(("lead", "moves"), [(16, 0), (17, 1)])
def test_a_value_is_computed_over_the_part_of_its_variable_that_it_reads(
    lead: int, moves: int
) -> None:
    sketch = Sketch((1, 16))
    state = sketch.variable((2, 16))
    rest = sketch.slice(sketch.read(state), (1, 0), (1, 16))
    sketch.assign(state, sketch.compute(rest, (2, 16), Overlap(lead=lead)))
    layout = sketch.lay_out(sketch.compute(sketch.input))
    assert _kinds(layout).count("ASSIGN_VARIABLE") == moves


def test_a_recurrent_value_that_can_not_be_in_place_is_moved() -> None:
    sketch = Sketch((1, 64))
    state = sketch.variable((1, 64))
    value = sketch.compute(sketch.add(sketch.read(state), sketch.input))
    again = sketch.add(value, sketch.read(state))
    sketch.assign(state, value)
    layout = sketch.lay_out(again)
    assert _kinds(layout) == ["ADD", "RELU", "ADD", "ASSIGN_VARIABLE"]
    assert layout.place(value).region == "arena"


def test_what_was_read_before_an_assignment_stays() -> None:
    sketch = Sketch((1, 64))
    state = sketch.variable((1, 64))
    old = sketch.read(state)
    sketch.assign(state, sketch.compute(sketch.input))
    layout = sketch.lay_out(sketch.add(sketch.read(state), old))
    assert "READ_VARIABLE" in _kinds(layout)


def test_an_assignment_waits_for_the_readers_of_the_old_value() -> None:
    sketch = Sketch((1, 64))
    state = sketch.variable((1, 64))
    old = sketch.read(state)
    sketch.assign(state, sketch.compute(sketch.input))
    layout = sketch.lay_out(sketch.compute(old))
    assert _kinds(layout) == ["RELU", "RELU", "ASSIGN_VARIABLE"]


def test_a_step_that_is_missing_is_an_error() -> None:
    sketch = Sketch((4,))
    output = sketch.compute(sketch.input)
    with pytest.raises(ValueError, match="RELU"):
        lay_out(sketch.graph(output), [])


_OVERLAPS = st.one_of(
    st.none(), st.builds(Overlap, lead=st.sampled_from([0, -16, 16]), exact=st.booleans())
)


@st.composite
def _sketches(draw: st.DrawFn) -> tuple[Sketch, Tensor]:
    """Any mixture of layers that compute, move, remember and join."""
    sketch = Sketch((draw(st.integers(1, 3)), 8))
    variables = [
        sketch.variable((draw(st.integers(1, 4)), 8)) for _ in range(draw(st.integers(0, 2)))
    ]
    live = [sketch.input]
    kinds = ["compute", "add", "reshape", "slice", "concatenate"]
    if variables:
        kinds += ["read", "assign"] * 2
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(kinds))
        source = draw(st.sampled_from(live))
        rows = source.shape[0]
        if kind == "compute":
            shape = (draw(st.integers(1, 4)), 8)
            scratch = draw(st.sampled_from([0, 0, 12]))
            live.append(sketch.compute(source, shape, draw(_OVERLAPS), scratch))
        elif kind == "add":
            same = [each for each in live if each.shape == source.shape]
            live.append(sketch.add(source, draw(st.sampled_from(same)), draw(_OVERLAPS)))
        elif kind == "reshape":
            live.append(sketch.reshape(source, source.shape))
        elif kind == "slice":
            begin = draw(st.integers(0, rows - 1))
            width = draw(st.sampled_from([8, 8, 8, 4]))
            taken = sketch.slice(source, (begin, 0), (draw(st.integers(1, rows - begin)), width))
            live.append(taken if width == 8 else sketch.compute(taken, (1, 8)))
        elif kind == "concatenate":
            parts = draw(st.lists(st.sampled_from(live), min_size=1, max_size=3))
            if sum(part.shape[0] for part in parts) < 12:
                live.append(sketch.concatenate(*parts))
        elif kind == "read":
            live.append(sketch.read(draw(st.sampled_from(variables))))
        else:
            variable = draw(st.sampled_from(variables))
            fitting = [each for each in live if each.shape == variable.shape]
            if fitting:
                sketch.assign(variable, draw(st.sampled_from(fitting)))
    if not sketch.operators:
        live.append(sketch.compute(source))
    return sketch, draw(st.sampled_from(live[-3:]))


@settings(max_examples=500, deadline=None)
@given(_sketches())
def test_any_layout_computes_what_the_graph_says(drawn: tuple[Sketch, Tensor]) -> None:
    sketch, output = drawn
    sketch.lay_out(output)


def _with_kernels(graph: Graph) -> list[Step]:
    """Steps as the kernels of the DSP family would lower them."""

    def lowered(operator: Operator) -> Lowered:
        overlap, scratch = None, 0
        if isinstance(operator, DepthwiseConv2D) and operator.input.shape == operator.output.shape:
            overlap, scratch = Overlap(exact=True), 1728
        elif isinstance(operator, Conv2D) and operator.window.kernel == (1, 1):
            overlap, scratch = Overlap(), 512
        elif isinstance(operator, Add | AveragePool2D):
            overlap = Overlap()
        inputs = operator.inputs
        return Lowered("", None, "", (), {}, inputs, scratch=scratch, overlap=overlap)

    return [Step(each, lowered(each)) for each in graph.operators if not isinstance(each, Reshape)]


def test_the_arena_of_the_reference_network(shared_models: Path) -> None:
    graph = read_graph(shared_models / "mlperf_tiny_kws_ref.tflite")
    layout = lay_out(graph, _with_kernels(graph))
    assert layout.size == 8000 + 1728
    assert layout.is_optimal
    assert len(layout.steps) == len(graph.operators) - 1


def test_the_arena_of_a_residual_network(shared_models: Path) -> None:
    graph = read_graph(shared_models / "mlperf_tiny_resnet_quant.tflite")
    assert lay_out(graph, _with_kernels(graph)).size == 3 * 16_384


def test_a_wake_word_model_shifts_its_windows(shared_models: Path) -> None:
    graph = read_graph(shared_models / "microwakeword_hey_jarvis_v2.tflite")
    layout = lay_out(graph, _with_kernels(graph))
    kinds = _kinds(layout)
    assert kinds.count("ASSIGN_VARIABLE") == len(graph.variables) == 6
    # The first window lies in the arena, where the input's bytes serve others afterwards.
    assert kinds.count("CONCATENATION") == 1
    assert not {"READ_VARIABLE", "STRIDED_SLICE"} & set(kinds)
    windows = (2 * 40, 5 * 30 + 2, 9 * 60 + 4, 13 * 60 + 4, 21 * 60 + 4, 5 * 60 + 4)
    assert layout.state_size == sum(windows)
    assert layout.size == 576
