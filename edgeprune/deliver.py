"""What a pipeline made, brought to where a user looks: a folder, the device, the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeprune import stages
from edgeprune.codegen import Manifest
from edgeprune.errors import DeclarationError
from edgeprune.firmware import Image
from edgeprune.model_pipeline import ModelPipeline
from edgeprune.pipeline import Pipeline
from edgeprune.publish import publish_files, publish_folder
from edgeprune.reports import Report, junit, markdown
from edgeprune.store import Artifact
from edgeprune.target import Target

if TYPE_CHECKING:
    from edgeprune.devices.counting import Profile
    from edgeprune.devices.session import ClipProfile

__all__ = [
    "BACKENDS",
    "count",
    "count_clip",
    "deploy",
    "linked_image",
    "manifest",
    "publish_build",
    "publish_model",
    "publish_report",
]

BACKENDS = ("c", "tflm")

_IMAGE_FILES = ("firmware.elf", "firmware.bin", "firmware.hex", "sizes.json")


def publish_model(pipeline: Pipeline) -> Path:
    """Copy the pruned int8 model to ``build/<recipe>.tflite``, and its further levels beside it."""
    folder, name = pipeline.quantized("pruned").path, pipeline.recipe.name
    destination = pipeline.build / f"{name}.tflite"
    levels = {
        pipeline.build / f"{name}-{source.name}": source.read_bytes()
        for source in sorted(folder.glob("level_*.tflite"))
    }
    publish_files({destination: (folder / "model.tflite").read_bytes()} | levels)
    return destination


def publish_build(pipeline: Pipeline | ModelPipeline, backend: str = "c") -> Path:
    """Copy C and image to the pipeline's folder, or C arrays to ``tflm`` below it.

    Returns:
        The folder.

    Raises:
        DeclarationError: there is no such backend, or not for a model file.
    """
    if backend not in BACKENDS:
        raise DeclarationError(
            f"there is no backend {backend!r}",
            where="--backend",
            hint=f"one of: {', '.join(BACKENDS)}",
        )
    if backend == "tflm":
        if isinstance(pipeline, ModelPipeline):
            raise DeclarationError(
                "a model file comes without the front-end that these files are for",
                where="--backend tflm",
                hint="leave --backend out",
            )
        folder = pipeline.folder / "tflm"
        publish_folder(pipeline.tflm().path, folder)
        return folder
    image, program = _image(pipeline), _program(pipeline)
    publish_folder(program.path, pipeline.folder / "program")
    if image is not None:
        publish_files(
            {pipeline.folder / name: (image.path / name).read_bytes() for name in _IMAGE_FILES}
        )
    return pipeline.folder


def publish_report(pipeline: Pipeline | ModelPipeline, report: Report) -> Path:
    """Write ``report.json`` and its views beside program and image."""
    folder = publish_build(pipeline)
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


def linked_image(pipeline: Pipeline | ModelPipeline) -> Image:
    """The linked image, to look into.

    Raises:
        DeclarationError: the target has none.
    """
    artifact = _image(pipeline)
    if artifact is None:
        raise DeclarationError(
            f"device {pipeline.target.device!r} has no image to profile",
            where=f"target {pipeline.target.name}",
            hint="--target cortex-m4",
        )
    return Image.load(artifact.path)


def manifest(pipeline: Pipeline | ModelPipeline) -> Manifest:
    """What the generated program is made of."""
    return Manifest.read(_program(pipeline).path)


def count(pipeline: Pipeline | ModelPipeline) -> list[tuple[str, Profile]]:
    """What the image executes: an inference and, where there is a front-end, one of its frames.

    The clip is silence, the network's input the image's own; counts hardly depend on either.

    Raises:
        DeclarationError: the target has no image.
    """
    image = linked_image(pipeline)
    if isinstance(pipeline, ModelPipeline):
        with stages.image_device(pipeline.target, image).open_network() as network:
            return [("inference", network.profile().inference)]
    profile = count_clip(pipeline.target, image)
    return [("inference", profile.inference), ("front-end", profile.frontend_frame)]


def count_clip(target: Target, image: Image) -> ClipProfile:
    """What an image with a front-end executes for a clip of silence."""
    with stages.image_device(target, image).open() as session:
        return session.profile(np.zeros(session.info().clip_samples, np.int16))


def _image(pipeline: Pipeline | ModelPipeline) -> Artifact | None:
    if isinstance(pipeline, ModelPipeline):
        return pipeline.image()
    return pipeline.image("pruned")


def _program(pipeline: Pipeline | ModelPipeline) -> Artifact:
    if isinstance(pipeline, ModelPipeline):
        return pipeline.program()
    return pipeline.program("pruned")
