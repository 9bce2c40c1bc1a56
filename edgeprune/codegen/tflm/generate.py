"""The folder that goes into a TensorFlow Lite Micro project, as file names and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeprune.codegen.memory import Buffer, lower_bound
from edgeprune.codegen.text import comment_text, float_text, shape_text, string
from edgeprune.codegen.tflm.operators import registrations
from edgeprune.errors import ModelError
from edgeprune.frontend import InputQuantization, identity, sources
from edgeprune.graph import Graph, Tensor
from edgeprune.recipe import Frontend

__all__ = ["activation_bytes", "generate_tflm"]

_TEMPLATES = Path(__file__).parent / "templates"
#: MicroArenaBufferAlignment() of TensorFlow Lite Micro.
_ARENA_ALIGNMENT = 16
_BYTES_A_LINE = 12


def generate_tflm(
    model: bytes,
    graph: Graph,
    *,
    labels: Sequence[str],
    frontend: Frontend,
    input_quantization: InputQuantization,
    name: str,
) -> dict[str, str]:
    """C++17 and C99 sources that run a network under TensorFlow Lite Micro, and their README.

    Args:
        model: the .tflite file.
        graph: what :func:`edgeprune.graph.read_graph` read of it.
        labels: of the network's scores, in their order.
        frontend: the parameters of the front-end that the network was trained on.
        input_quantization: that front-end's features to the network's input.
        name: of the recipe; it appears in comments.

    Returns:
        File name to text; equal for equal arguments, ASCII, every text ending with a newline.

    Raises:
        ModelError: labels, front-end or input quantization do not fit the network.
        FrontendError: for parameters that no front-end can be built from.
        ValueError: the graph was read from other bytes.
    """
    if hashlib.sha256(model).hexdigest() != graph.digest:
        raise ValueError("the graph was read from another file than the model")
    _check_fit(graph, labels, frontend, input_quantization)
    values = _values(model, graph, labels, frontend, name)
    return {
        **_rendered(values),
        **sources(frontend),
        **input_quantization.sources(),
    }


def activation_bytes(graph: Graph) -> int:
    """Bytes that no arena of TensorFlow Lite Micro can do without.

    The tensors that live at the worst step, each rounded up to the arena's alignment. A tensor
    lives from the operator that writes it to the last that reads it; the network's input is there
    from the start, its output to the end. Interpreter and scratch buffers are not in it.
    """
    end = len(graph.operators)
    first = {graph.input.index: 0}
    last = {graph.input.index: 0}
    sizes = {graph.input.index: graph.input.size}
    for step, operator in enumerate(graph.operators, start=1):
        output = operator.output
        sizes[output.index] = output.size
        first[output.index] = last[output.index] = step
        for tensor in operator.inputs:
            last[tensor.index] = step
    last[graph.output.index] = end
    return lower_bound(
        [Buffer(key, _aligned(size), first[key], last[key]) for key, size in sizes.items()]
    )


def _aligned(size: int) -> int:
    return -(-size // _ARENA_ALIGNMENT) * _ARENA_ALIGNMENT


def _check_fit(
    graph: Graph,
    labels: Sequence[str],
    frontend: Frontend,
    input_quantization: InputQuantization,
) -> None:
    if graph.output.elements != len(labels):
        raise ModelError(
            f"the network's output {graph.output} has {graph.output.elements} scores; "
            f"there are {len(labels)} labels",
            hint="give the labels that the network was trained with",
        )
    if graph.input.elements != frontend.frames * frontend.features:
        raise ModelError(
            f"the network's input {graph.input} has {graph.input.elements} values; one clip of "
            f"the front-end has {frontend.frames} frames of {frontend.features} features",
            hint="give the front-end that the network was trained with",
        )
    if len(input_quantization.multipliers) != frontend.features:
        raise ModelError(
            f"the input quantization is for {len(input_quantization.multipliers)} features; the "
            f"front-end has {frontend.features}",
            hint="derive it from the features that the network was trained with",
        )


def _values(
    model: bytes, graph: Graph, labels: Sequence[str], frontend: Frontend, name: str
) -> dict[str, Any]:
    """What the templates know."""
    plain = comment_text(name, longest=60)
    operators = registrations(graph)
    return {
        "name": plain,
        "heading": plain.replace("`", "'"),
        "size": len(model),
        "digest": graph.digest,
        "data": _rows(model),
        "operators": operators,
        "int8": [each.kind for each in operators if each.int8],
        "macs": graph.macs,
        "labels": [string(label) for label in labels],
        "input": _end(graph.input),
        "output": _end(graph.output),
        "frontend": frontend,
        "identity": identity(frontend),
        "activation_bytes": activation_bytes(graph),
    }


def _end(tensor: Tensor) -> dict[str, Any]:
    return {
        "shape": shape_text(tensor.shape),
        "size": tensor.elements,
        "scale": float_text(tensor.scale),
        "scale_text": f"{tensor.scale:.9g}",
        "zero_point": tensor.zero_point,
    }


def _rows(content: bytes) -> str:
    lines = (content[at : at + _BYTES_A_LINE] for at in range(0, len(content), _BYTES_A_LINE))
    return "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)


def _rendered(values: dict[str, Any]) -> dict[str, str]:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - C++ and Markdown, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return {
        name.removesuffix(".j2"): environment.get_template(name).render(values)
        for name in sorted(environment.list_templates(extensions=["j2"]))
    }
