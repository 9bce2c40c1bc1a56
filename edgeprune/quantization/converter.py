"""Keras to full int8 .tflite, at batch 1, with a softmax at the end.

Importing this module imports TensorFlow; reading what it writes needs
:func:`edgeprune.graph.read_graph` only.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.graph import read_graph
from edgeprune.models.backend import keras, quiet, tf

__all__ = ["calibration_rows", "quantize", "quantize_aware"]

#: Told apart in the seed sequence from the draws of the augmentation.
_CALIBRATION = 4


def calibration_rows(clips: int, wanted: int, *, seed: int) -> NDArray[np.int64]:
    """Which training clips to calibrate on: at most ``wanted``, drawn by seed, ascending."""
    rng = np.random.default_rng([seed, _CALIBRATION])
    return np.sort(rng.permutation(clips)[:wanted])


def quantize(network: Any, calibration: NDArray[np.float32]) -> bytes:
    """Convert a network to int8: weights per channel, activations per tensor, int8 in and out.

    Args:
        network: a functional Keras model that gives logits.
        calibration: float32 [clips, frames, features], normalized: inputs that the ranges of the
            activations are read from.

    Returns:
        The .tflite file. Its input has the network's shape at batch 1, its output is a softmax,
        int8 [1, labels] with scale 1/256 and zero point -128. The same network and clips give the
        same bytes.

    Raises:
        TrainingError: there are no clips, or TensorFlow can't convert the network.
        UnsupportedError: the result has an operator or a type that edgeprune does not compile.
    """
    if not len(calibration):
        raise TrainingError(
            "there are no clips to read the activation ranges from",
            where="quantization.calibration_clips",
        )
    if not np.isfinite(calibration).all():
        raise TrainingError("the calibration inputs are not finite", hint="check the features")
    return _converted(network, calibration.reshape(-1, 1, *network.input_shape[1:]))


def quantize_aware(network: Any) -> bytes:
    """Convert a fake-quantized network to the int8 that it computes in.

    The ranges of the activations are those of the network's ``FakeQuantWithMinMaxVars`` operators:
    the converter reads them there, and nothing is calibrated.

    Args:
        network: what :func:`edgeprune.quantization.network.fake_quantized_network` built.

    Returns:
        The .tflite file, as of :func:`quantize`.

    Raises:
        TrainingError: TensorFlow can't convert the network.
        UnsupportedError: the result has an operator or a type that edgeprune does not compile.
    """
    return _converted(network, None)


def _converted(network: Any, rows: NDArray[np.float32] | None) -> bytes:
    with quiet(), warnings.catch_warnings():
        # The converter warns of missing statistics before it collects them.
        warnings.simplefilter("ignore")
        content = _convert(_frozen(network), rows)
    read_graph(content, name="the converted network")
    return content


def _frozen(network: Any) -> Any:
    """The network at batch 1 with its weights as constants.

    A batch of unknown size leaves shape arithmetic in the file; weights that are variables break
    the calibration.
    """
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    scores = keras.layers.Softmax(name="scores")(network.output)
    # Without a name Keras counts its models, and the count ends up in the file.
    deployed = keras.Model(network.input, scores, name="network")
    signature = tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name="features")
    function = tf.function(lambda features: deployed(features, training=False))
    return convert_variables_to_constants_v2(function.get_concrete_function(signature))


def _convert(frozen: Any, rows: NDArray[np.float32] | None) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if rows is not None:
        converter.representative_dataset = partial(_samples, rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    try:
        return bytes(converter.convert())
    except Exception as error:
        raise TrainingError(
            f"TensorFlow can't convert the network to int8: {_first_line(error)}",
            hint="check that every layer of the network has an int8 kernel in TFLite",
        ) from error


def _samples(rows: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    for row in rows:
        yield [row]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
