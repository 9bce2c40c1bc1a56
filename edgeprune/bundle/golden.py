"""One clip and what must come out of it, by every arithmetic that a device may have.

TFLite's runtimes give three classes of int8 results: that of the reference kernels, identical on
every machine; that of XNNPACK (LiteRT's default), identical on machines of one architecture, and
seldom a step off between two; and LiteRT without delegates. The first two are computed here with
the same resolver; the compiled model's by the same C.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import MissingExtraError

__all__ = ["CLIP", "SCORES", "interpreted", "litert_scores", "litert_version", "write_golden"]

CLIP = "golden/clip.s16"
#: Arithmetic, as the agent names it, to the file of its scores.
SCORES = {
    "reference": "golden/scores.i8",
    "xnnpack": "golden/scores.xnnpack.i8",
    "native": "golden/scores.native.i8",
}

_RESOLVERS = {"reference": "BUILTIN_REF", "xnnpack": "AUTO"}


def litert_version() -> str:
    """Of LiteRT on this machine; empty where it is not installed."""
    try:
        return metadata.version("ai-edge-litert")
    except metadata.PackageNotFoundError:
        return ""


def litert_scores(model: bytes, inputs: NDArray[np.int8]) -> dict[str, NDArray[np.int8]]:
    """Scores of one input by LiteRT's reference kernels and by its default ones.

    Args:
        model: a .tflite file.
        inputs: int8, as many values as the network's input has.

    Returns:
        ``reference`` and ``xnnpack``, int8 [labels] each.

    Raises:
        MissingExtraError: LiteRT is not installed here.
    """
    rows = inputs[np.newaxis]
    return {name: interpreted(model, rows, name)[0] for name in _RESOLVERS}


def interpreted(model: bytes, inputs: NDArray[np.int8], arithmetic: str) -> NDArray[np.int8]:
    """Scores int8 [n, labels] of many inputs, by LiteRT on this machine.

    Args:
        model: a .tflite file.
        inputs: int8 [n, …], as many values each as the network's input has.
        arithmetic: ``reference`` or ``xnnpack``.

    Raises:
        MissingExtraError: LiteRT is not installed here.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise MissingExtraError(
            "ai-edge-litert", extra="ssh", purpose="foretelling a device's scores"
        ) from error
    interpreter: Any = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=getattr(OpResolverType, _RESOLVERS[arithmetic]),
    )
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scores = np.empty((len(inputs), int(np.prod(result["shape"]))), dtype=np.int8)
    for values, row in zip(inputs, scores, strict=True):
        interpreter.set_tensor(source["index"], values.reshape(source["shape"]))
        interpreter.invoke()
        row[:] = interpreter.get_tensor(result["index"]).reshape(-1)
    return scores


def write_golden(
    folder: Path, clip: NDArray[np.int16], scores: dict[str, NDArray[np.int8]]
) -> None:
    """Write the clip (16 bits, little-endian) and the scores (8 bits) into a bundle.

    Args:
        folder: the bundle.
        clip: int16 [samples].
        scores: arithmetic to int8 [labels].
    """
    (folder / CLIP).parent.mkdir(parents=True, exist_ok=True)
    (folder / CLIP).write_bytes(clip.astype("<i2").tobytes())
    for arithmetic, values in scores.items():
        (folder / SCORES[arithmetic]).write_bytes(values.astype(np.int8).tobytes())
