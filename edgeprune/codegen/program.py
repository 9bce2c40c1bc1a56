"""A graph, or the levels of one, to a program: kernels chosen, memory planned, C written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeprune.codegen.emission import LevelText, ModelText, emit
from edgeprune.codegen.layout import Layout, Step, lay_out
from edgeprune.codegen.levels import Symbol, borrowed, check_levels, select_levels
from edgeprune.codegen.manifest import Endpoint, Layer, Level, Manifest, Region, Rival
from edgeprune.codegen.selection import Options, Selection
from edgeprune.cores import CORES, Core
from edgeprune.errors import ModelError
from edgeprune.graph import Graph, Operator, Tensor

__all__ = ["GENERATOR_VERSION", "Program", "generate", "generate_levels", "runtime_file"]

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
    return generate_levels(
        [graph], labels=labels, frontend_identity=frontend_identity, core=core, options=options
    )


def generate_levels(
    graphs: Sequence[Graph],
    *,
    labels: Sequence[str],
    frontend_identity: str | None = None,
    core: Core = CORES["host"],
    options: Options | None = None,
) -> Program:
    """Generate C99 that computes one of several networks, of which each lies in the first.

    Each level has the bits of its own network. Weights that are the leading block of the first
    network's are in flash once.

    Args:
        graphs: the same layers at falling widths, the full network first; one for no levels.
        labels: as :func:`generate` takes them, like all that follow.
        frontend_identity: of the front-end.
        core: the core.
        options: what the generator may do.

    Raises:
        UnsupportedError: a layer that no kernel computes exactly.
        ModelError: labels that are not as many as the output's values; or networks that can't be
            levels of one program: other layers, another input or output, variables.
    """
    check_levels(graphs)
    widest = graphs[0]
    if labels and len(labels) != widest.output.elements:
        raise ModelError(
            f"{len(labels)} labels for {widest.output.elements} scores",
            where=f"tensor {widest.output}",
            hint="give the labels that the network was trained with, in their order",
        )
    drafts = []
    first = 0
    for graph, selections in zip(
        graphs, select_levels(graphs, core, options or Options()), strict=True
    ):
        steps = [Step(operator=each, lowered=made.chosen) for each, made in selections.items()]
        drafts.append(_Draft(graph, selections, lay_out(graph, steps), first))
        first += len(drafts[-1].layout.steps)
    loans = borrowed(draft.steps for draft in drafts)
    levels = [
        LevelText(draft.graph, draft.layout, draft.first, draft.level(loans)) for draft in drafts
    ]
    manifest = _manifest(levels, labels, frontend_identity)
    text = ModelText(levels=levels, manifest=manifest, borrowed=loans)
    lowered = [step.lowered for step in text.steps.values()]
    names = {name for each in lowered for name in each.sources}
    names |= {"kernel_inline.h"} if any(each.shape for each in lowered) else set()
    kernels = {name: runtime_file(name) for name in sorted(names)}
    return Program(files={**emit(text), **kernels}, manifest=manifest)


def runtime_file(name: str) -> str:
    """The text of a C file that comes with edgeprune."""
    return (_RUNTIME / name).read_text(encoding="utf-8")


@dataclass(frozen=True, eq=False)
class _Draft:
    """A level before it is known which constants other levels have, too."""

    graph: Graph
    selections: Mapping[Operator, Selection]
    layout: Layout
    first: int

    @property
    def steps(self) -> dict[int, Step]:
        return dict(enumerate(self.layout.steps, start=self.first))

    def level(self, loans: Mapping[Symbol, Symbol]) -> Level:
        """What the level is made of, without the constants that it borrows."""
        layers = tuple(self._layer(index, step, loans) for index, step in self.steps.items())
        return Level(
            layers=layers,
            arena_bytes=self.layout.size,
            input=self._endpoint(self.graph.input),
            output=self._endpoint(self.graph.output),
            macs=self.graph.macs,
            weight_bytes=self.graph.weight_bytes,
            constant_bytes=sum(layer.constant_bytes for layer in layers),
            model_digest=self.graph.digest,
        )

    def _layer(self, index: int, step: Step, loans: Mapping[Symbol, Symbol]) -> Layer:
        output = step.operator.output
        return Layer(
            index=index,
            name=output.name,
            op=step.operator.kind,
            symbol=step.symbol(index),
            kernel=step.lowered.function,
            tensor=output.index,
            output=Region(offset=self.layout.offset(output), size=output.size, shape=output.shape),
            macs=step.operator.macs,
            weight_bytes=step.operator.weight_bytes,
            constant_bytes=sum(
                int(each.values.nbytes)
                for each in step.constants
                if (index, each.name) not in loans
            ),
            scratch_bytes=step.lowered.scratch,
            encoding=step.lowered.encoding,
            rivals=_rivals(self.selections[step.operator]),
        )

    def _endpoint(self, tensor: Tensor) -> Endpoint:
        return Endpoint(
            offset=self.layout.offset(tensor),
            size=tensor.size,
            shape=tensor.shape,
            scale=1.0 if tensor.dtype == "float32" else tensor.scale,
            zero_point=0 if tensor.dtype == "float32" else tensor.zero_point,
            dtype=tensor.dtype,
        )


def _manifest(
    levels: Sequence[LevelText], labels: Sequence[str], frontend_identity: str | None
) -> Manifest:
    widest = levels[0]
    return Manifest(
        layers=widest.manifest.layers,
        arena_bytes=max(level.layout.size for level in levels),
        state_bytes=widest.layout.state_size,
        input=widest.manifest.input,
        output=widest.manifest.output,
        labels=tuple(labels),
        identity=_identity([level.graph for level in levels]),
        frontend_identity=frontend_identity,
        macs=widest.manifest.macs,
        model_digest=widest.graph.digest,
        levels=tuple(level.manifest for level in levels) if len(levels) > 1 else (),
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


def _identity(graphs: Sequence[Graph]) -> str:
    digests = " ".join(graph.digest for graph in graphs)
    text = f"edgeprune program {GENERATOR_VERSION} {digests}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
