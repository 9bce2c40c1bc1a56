"""A graph to a program: kernels chosen, memory planned, C written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeprune.codegen.emission import ModelText, emit
from edgeprune.codegen.layout import Layout, Step, lay_out
from edgeprune.codegen.manifest import Endpoint, Layer, Manifest, Region, Rival
from edgeprune.codegen.selection import Options, Selection, select
from edgeprune.cores import CORES, Core
from edgeprune.errors import ModelError
from edgeprune.graph import Graph, Operator, Reshape, Tensor

__all__ = ["GENERATOR_VERSION", "Program", "generate", "runtime_file"]

#: Part of every program's identity; raised when generated code changes its meaning or interface.
GENERATOR_VERSION = 1

_RUNTIME = Path(__file__).resolve().parent / "runtime"


@dataclass(frozen=True)
class Program:
    """A generated program.

    Attributes:
        files: file name to text: ``model.h``, ``model.c``, the weights and the kernels.
        manifest: what it is made of.
    """

    files: dict[str, str]
    manifest: Manifest


def generate(
    graph: Graph,
    *,
    labels: Sequence[str],
    frontend_identity: str | None = None,
    core: Core = CORES["host"],
    options: Options | None = None,
) -> Program:
    """Generate C99 that computes a graph, bit for bit as TensorFlow Lite Micro does.

    Args:
        graph: the network.
        labels: of the output's values, in their order; empty for none.
        frontend_identity: of the front-end that the network was trained with, for the manifest.
        core: the core that kernels are chosen for.
        options: what the generator may do; None for the defaults.

    Raises:
        UnsupportedError: a layer that no kernel computes exactly.
        ModelError: labels that are not as many as the output's values.
    """
    if labels and len(labels) != graph.output.elements:
        raise ModelError(
            f"{len(labels)} labels for {graph.output.elements} scores",
            where=f"tensor {graph.output}",
            hint="give the labels that the network was trained with, in their order",
        )
    selections = {
        operator: select(operator, core, options or Options())
        for operator in graph.operators
        if not isinstance(operator, Reshape)
    }
    steps = [Step(operator=each, lowered=made.chosen) for each, made in selections.items()]
    layout = lay_out(graph, steps)
    manifest = _manifest(graph, selections, layout, labels, frontend_identity)
    files = emit(ModelText(graph=graph, steps=layout.steps, layout=layout, manifest=manifest))
    names = {name for step in layout.steps for name in step.lowered.sources}
    names |= {"kernel_inline.h"} if any(step.lowered.shape for step in layout.steps) else set()
    kernels = {name: runtime_file(name) for name in sorted(names)}
    return Program(files={**files, **kernels}, manifest=manifest)


def runtime_file(name: str) -> str:
    """The text of a C file that comes with edgeprune."""
    return (_RUNTIME / name).read_text(encoding="utf-8")


def _manifest(
    graph: Graph,
    selections: Mapping[Operator, Selection],
    layout: Layout,
    labels: Sequence[str],
    frontend_identity: str | None,
) -> Manifest:
    def region(tensor: Tensor) -> Region:
        return Region(offset=layout.offset(tensor), size=tensor.size, shape=tensor.shape)

    def endpoint(tensor: Tensor) -> Endpoint:
        return Endpoint(
            offset=layout.offset(tensor),
            size=tensor.size,
            shape=tensor.shape,
            scale=1.0 if tensor.dtype == "float32" else tensor.scale,
            zero_point=0 if tensor.dtype == "float32" else tensor.zero_point,
            dtype=tensor.dtype,
        )

    layers = tuple(
        Layer(
            index=index,
            name=step.operator.output.name,
            op=step.operator.kind,
            symbol=step.symbol(index),
            kernel=step.lowered.function,
            tensor=step.operator.output.index,
            output=region(step.operator.output),
            macs=step.operator.macs,
            weight_bytes=step.operator.weight_bytes,
            constant_bytes=sum(int(each.values.nbytes) for each in step.constants),
            scratch_bytes=step.lowered.scratch,
            encoding=step.lowered.encoding,
            rivals=_rivals(selections[step.operator]),
        )
        for index, step in enumerate(layout.steps)
    )
    return Manifest(
        layers=layers,
        arena_bytes=layout.size,
        state_bytes=layout.state_size,
        input=endpoint(graph.input),
        output=endpoint(graph.output),
        labels=tuple(labels),
        identity=_identity(graph),
        frontend_identity=frontend_identity,
        macs=graph.macs,
        model_digest=graph.digest,
    )


def _rivals(selection: Selection) -> tuple[Rival, ...]:
    """What was weighed; empty where there was nothing to choose."""
    if len(selection.rivals) < 2:
        return ()
    return tuple(
        Rival(
            encoding=each.encoding,
            instructions=round(each.estimate.instructions),
            flash_bytes=each.estimate.flash_bytes,
        )
        for each in selection.rivals
        if each.estimate is not None
    )


def _identity(graph: Graph) -> str:
    text = f"edgeprune program {GENERATOR_VERSION} {graph.digest}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
