"""The keyword network of MLPerf Tiny (Banbury et al. 2021, "MLPerf Tiny Benchmark"), v1.

A DS-CNN as in Zhang et al. 2017 whose convolutions have biases, and whose average pool covers
half the input's frames and features: on 49 × 10 features (24, 5) of (25, 5) positions, so that the
last 40 ms of a clip go unheard. The published weights expect MFCCs as they are.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import MalformedModelError, ModelError
from edgeprune.models.backend import keras
from edgeprune.models.ds_cnn import separable_convolutions
from edgeprune.models.layers import LayerFactory
from edgeprune.models.scores import classifier_columns
from edgeprune.recipe import SILENCE, UNKNOWN, DsCnn, MlperfKws

__all__ = ["LABELS", "build", "load_weights"]

#: What the published classifier's scores mean, in its order, by this project's names.
LABELS = (
    *("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes"),
    *(SILENCE, UNKNOWN),
)

_BLOCKS = 4

#: The arrays of each kind of layer in the published file, in the order of Keras' weights.
_ARRAYS = {
    "conv": ("kernel", "bias"),
    "dw": ("depthwise_kernel", "bias"),
    "pw": ("kernel", "bias"),
    "bn": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
}

#: What reading a file raises that is truncated, another kind of file, encrypted or pickled.
_DAMAGE = (OSError, EOFError, ValueError, TypeError, RuntimeError, BadZipFile, zlib.error)


def build(declaration: MlperfKws, frames: int, features: int, labels: int, seed: int) -> Any:
    """Build the network with random weights.

    Returns:
        A functional Keras model, [clips, frames, features, 1] → logits [clips, labels].
    """
    make = LayerFactory(seed, biases=True)
    inputs = keras.Input((frames, features, 1), name="features")
    trunk = DsCnn(kind="ds-cnn", width=declaration.width, blocks=_BLOCKS)
    x = separable_convolutions(make, inputs, trunk)
    pool = (max(1, frames // 2), max(1, features // 2))
    x = keras.layers.AveragePooling2D(pool, name="mean")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    if declaration.dropout:
        x = make.dropout("dropout", declaration.dropout)(x)
    return keras.Model(inputs, make.classifier("classifier", labels)(x), name="mlperf_kws")


def load_weights(network: Any, path: Path, labels: Sequence[str]) -> None:
    """Put published weights into a network that :func:`build` built.

    Args:
        network: it is changed.
        path: an ``.npz`` file: an array for each of the network's weights, named
            ``<number of the layer>_<kind>/<weight>``, in Keras' layout, float32.
        labels: what the network's scores mean; the classifier's columns are put in this order.

    Raises:
        MalformedModelError: the file is not a whole ``.npz`` file of numbers.
        ModelError: it lacks an array, has another network's, or shapes that don't fit; or a label
            is none that the classifier was trained on.
    """
    columns = classifier_columns(LABELS, labels, where=str(path))
    arrays = _read(path)
    names = _names(network)
    _check_names(path, arrays, names)
    weights = []
    for weight, name in zip(network.weights, names, strict=True):
        values = arrays[name]
        if name.split("_")[1].startswith("dense"):
            _check_shape(path, name, values, (*weight.shape[:-1], len(LABELS)))
            values = values[..., columns]
        else:
            _check_shape(path, name, values, tuple(weight.shape))
        weights.append(values)
    network.set_weights(weights)


def _names(network: Any) -> list[str]:
    """The published name of each of the network's weights."""
    layers = [layer for layer in network.layers if layer.weights]
    return [
        f"{number:02d}_{kind}/{array}"
        for number, kind in enumerate(map(_kind, layers))
        for array in _ARRAYS[kind]
    ]


def _kind(layer: Any) -> str:
    match layer:
        case keras.layers.BatchNormalization():
            return "bn"
        case keras.layers.DepthwiseConv2D():
            return "dw"
        case keras.layers.Dense():
            return "dense"
        case _:
            return "conv" if layer.name == "stem" else "pw"


def _read(path: Path) -> Mapping[str, NDArray[np.float32]]:
    """All arrays of the file; pickled ones are refused unread."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except _DAMAGE as error:
        raise MalformedModelError(
            f"is not a whole .npz file: {error}",
            where=str(path),
            hint="get the file again, and compare its SHA-256",
        ) from error
    for name, values in arrays.items():
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise MalformedModelError(
                f"holds {name} as {values.dtype} with values that are not finite numbers"
                if values.dtype.kind == "f"
                else f"holds {name} as {values.dtype}; weights are floating-point numbers",
                where=str(path),
            )
    return arrays


def _check_names(path: Path, arrays: Mapping[str, Any], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in arrays]
    if missing:
        more = f", nor {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"does not hold the array {missing[0]}{more}",
            where=str(path),
            hint="kind = 'mlperf-kws' reads the weights of MLPerf Tiny's keyword network; another"
            " network comes as a .keras file under kind = 'keras'",
        )
    unknown = sorted(set(arrays) - set(names))
    if unknown:
        raise ModelError(
            f"holds the array {unknown[0]}, which MLPerf Tiny's keyword network does not have",
            where=str(path),
            hint="another network comes as a .keras file under kind = 'keras'",
        )


def _check_shape(
    path: Path, name: str, values: NDArray[np.float32], wanted: tuple[int, ...]
) -> None:
    if values.shape != wanted:
        raise ModelError(
            f"holds the array {name} of shape {list(values.shape)}; the network needs"
            f" {list(wanted)}",
            where=str(path),
            hint="the published weights are of width = 64",
        )
