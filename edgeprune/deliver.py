"""What a pipeline made, brought to where a user looks: a folder, the device, the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from edgeprune import stages
from edgeprune.errors import DeclarationError
from edgeprune.firmware import Image
from edgeprune.pipeline import Pipeline
from edgeprune.publish import publish_files, publish_folder
from edgeprune.reports import Report, junit, markdown

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "BACKENDS",
    "clip_table",
    "deploy",
    "network_table",
    "profile_tables",
    "publish_build",
    "publish_model",
    "publish_report",
    "size_tables",
]

BACKENDS = ("c", "tflm")

_IMAGE_FILES = ("firmware.elf", "firmware.bin", "firmware.hex", "sizes.json")

#: Rows of a table of functions or symbols.
_MOST_ROWS = 15


def publish_model(pipeline: Pipeline) -> Path:
    """Copy the pruned int8 model to ``build/<recipe>.tflite``."""
    source = pipeline.quantized("pruned").path / "model.tflite"
    destination = pipeline.build / f"{pipeline.recipe.name}.tflite"
    publish_files({destination: source.read_bytes()})
    return destination


def publish_build(pipeline: Pipeline, backend: str) -> Path:
    """Copy C and image to ``build/<target>``, or C arrays to ``build/<target>/tflm``.

    Returns:
        The folder.

    Raises:
        DeclarationError: there is no such backend.
    """
    if backend not in BACKENDS:
        raise DeclarationError(
            f"there is no backend {backend!r}",
            where="--backend",
            hint=f"one of: {', '.join(BACKENDS)}",
        )
    if backend == "tflm":
        folder = pipeline.folder / "tflm"
        publish_folder(pipeline.tflm().path, folder)
        return folder
    image = pipeline.image("pruned")
    publish_folder(pipeline.program("pruned").path, pipeline.folder / "program")
    if image is not None:
        publish_files(
            {pipeline.folder / name: (image.path / name).read_bytes() for name in _IMAGE_FILES}
        )
    return pipeline.folder


def publish_report(pipeline: Pipeline, report: Report) -> Path:
    """Write ``report.json`` and its views to ``build/<target>``, beside program and image."""
    folder = publish_build(pipeline, "c")
    publish_files(
        {
            folder / "report.json": report.to_json().encode(),
            folder / "report.md": markdown(report).encode(),
            folder / "junit.xml": junit(report).encode(),
        }
    )
    return folder


def deploy(pipeline: Pipeline) -> str:
    """Publish the image, start it on the target's device, and ask what it is.

    Raises:
        DeviceError: it does not start, or is another image.
    """
    publish_build(pipeline, "c")
    with pipeline.device("pruned").open() as session:
        info = session.info()
    return (
        f"{pipeline.target.name} runs model {info.model_identity} on front-end "
        f"{info.frontend_identity}: {info.clip_samples:,} samples in, {len(info.labels)} scores out"
    )


def clip_table(pipeline: Pipeline) -> Table:
    """Clips by label and split."""
    counts = pipeline.dataset().counts()
    table = _table("clips", *counts)
    for label in pipeline.recipe.data.labels:
        table.add_row(label, *(f"{split[label]:,}" for split in counts.values()))
    table.add_row("", *(f"{sum(split.values()):,}" for split in counts.values()), style="bold")
    return table


def network_table(pipeline: Pipeline, *variants: str) -> Table:
    """Float accuracy, multiply-accumulates and parameters of one or both networks."""
    table = _table("network", "validation", "test", "MACs", "parameters", "not zero")
    for variant in variants:
        artifact = pipeline.trained() if variant == "dense" else pipeline.pruned()
        summary = artifact.json("training.json")
        cost = summary["cost"]
        table.add_row(
            f"{variant}, float",
            *(f"{100 * summary[split]['accuracy']:.1f} %" for split in ("validation", "test")),
            *(f"{cost[key]:,}" for key in ("macs", "parameters", "nonzero")),
        )
    return table


def size_tables(pipeline: Pipeline) -> list[Table]:
    """Flash by layer, by section and by the largest symbols of the pruned image.

    Raises:
        DeclarationError: the target has no image.
    """
    sizes = _image(pipeline).sizes
    layers = _table("layer", "operator", "code", "constants")
    for layer in sizes.layers:
        layers.add_row(
            _layer_title(layer.index, layer.name),
            layer.op,
            f"{layer.code_bytes:,}",
            f"{layer.constant_bytes:,}",
        )
    sections = _table("section", "memory", "bytes")
    for section in sizes.sections:
        sections.add_row(section.name, section.place, f"{section.size:,}")
    symbols = _table("largest symbols", "memory", "bytes")
    for symbol in sizes.symbols[:_MOST_ROWS]:
        symbols.add_row(symbol.name, symbol.place, f"{symbol.size:,}")
    return [layers, sections, symbols]


def profile_tables(pipeline: Pipeline) -> list[Table]:
    """Instructions by layer and by function of the pruned image, for one test clip.

    Raises:
        DeclarationError: the target's device can't count.
    """
    image = _image(pipeline)
    clip = pipeline.dataset().test.pcm[0]
    with stages.emulator(pipeline.target, image).open() as session:
        profile = session.profile(clip)
    layers = _table("layer", "operator", "MACs", "instructions", "per MAC", "cycles, estimated")
    for layer in profile.inference.layers:
        counted = layer.instructions is not None and layer.cycles_estimate is not None
        layers.add_row(
            _layer_title(layer.index, layer.name),
            layer.op,
            f"{layer.macs:,}",
            f"{layer.instructions:,}" if counted else "merged",
            f"{layer.instructions / layer.macs:.2f}" if layer.instructions and layer.macs else "",
            f"{layer.cycles_estimate:,}" if counted else "",
        )
    functions = _table("function", "instructions", "cycles, estimated", "of")
    for part, name in ((profile.inference, "inference"), (profile.frontend_frame, "front-end")):
        for function in part.functions[:_MOST_ROWS]:
            functions.add_row(
                function.name, f"{function.instructions:,}", f"{function.cycles_estimate:,}", name
            )
    return [layers, functions]


def _image(pipeline: Pipeline) -> Image:
    artifact = pipeline.image("pruned")
    if artifact is None:
        raise DeclarationError(
            f"device {pipeline.target.device!r} has no image to profile",
            where=f"target {pipeline.target.name}",
            hint="--target cortex-m4",
        )
    return Image.load(artifact.path)


def _layer_title(index: int, tensor: str) -> str:
    """A layer's place and name: of ``net/stem_relu/Relu;net/stem/conv`` the part ``stem_relu``."""
    first = tensor.partition(";")[0]
    parts = first.split("/")
    return escape(f"{index} {'/'.join(parts[1:-1]) if len(parts) > 2 else first}")


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
