"""TensorFlow and Keras, imported and configured in this one place.

Everything that needs them imports ``keras`` and ``tf`` from here, which makes each run repeatable:
one thread, deterministic operators, no GPU.

Raises:
    MissingExtraError: TensorFlow is not installed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeprune.errors import MissingExtraError

__all__ = ["keras", "quiet", "tf"]


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what native code writes to standard error; let it through on an exception.

    TensorFlow's C++ parts write notices there before any log level is in force.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                held.seek(0)
                os.write(2, held.read())


def _load() -> tuple[Any, Any]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        with quiet():
            import tensorflow
            from tensorflow import keras as keras_api
    except ImportError as error:
        raise MissingExtraError("tensorflow", extra="train", purpose="training") from error
    _make_repeatable(tensorflow)
    return tensorflow, keras_api


def _make_repeatable(tensorflow: Any) -> None:
    """One thread an operator: sums are then added up in one order, run after run."""
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    tensorflow.config.set_visible_devices([], "GPU")
    tensorflow.config.experimental.enable_op_determinism()
    with quiet():
        tensorflow.config.list_logical_devices()


tf, keras = _load()
