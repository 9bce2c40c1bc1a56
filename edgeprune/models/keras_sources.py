"""Keras networks of others: read from a ``.keras`` file, or made by a function of a package."""

from __future__ import annotations

import json
import traceback
import zipfile
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

from edgeprune.errors import MalformedModelError, ModelError
from edgeprune.models.backend import keras, quiet
from edgeprune.models.keras_config import check_config

__all__ = ["call_entry", "read_file"]

_CONFIG = "config.json"


def read_file(path: Path) -> Any:
    """Read a ``.keras`` file; nothing in it is run.

    Returns:
        A Keras model, functional or sequential, with its weights.

    Raises:
        MalformedModelError: the file is damaged or not a ``.keras`` file.
        UnsupportedError: it holds a layer that is not supported, or code.
    """
    check_config(_config(path), where=str(path))
    try:
        with quiet():
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras raises whatever a damaged configuration leads to.
        raise MalformedModelError(
            f"can't be read by Keras {keras.__version__}: {_first_line(error)}",
            where=str(path),
            hint="save it again: network.save('x.keras')",
        ) from error


def _config(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(_CONFIG))
            if isinstance(config, dict) and isinstance(config["config"]["layers"], list):
                return config
            problem = f"its {_CONFIG} describes no network"
    except KeyError as error:
        problem = f"it lacks {error}"
    except (OSError, EOFError, ValueError, RuntimeError, TypeError) as error:
        problem = str(error)
    except (zipfile.BadZipFile, zlib.error) as error:
        problem = str(error)
    raise MalformedModelError(
        f"is not a whole .keras file: {problem}",
        where=str(path),
        hint="save it with Keras 3: network.save('x.keras'); .h5 files and saved models are not"
        " read",
    )


def call_entry(entry: str, frames: int, features: int, labels: int, seed: int) -> Any:
    """Import a function and let it make a network.

    Args:
        entry: ``package.module:function``.
        frames: in a clip.
        features: in a frame.
        labels: scores.
        seed: the recipe's. Keras' own random numbers start from it as well.

    Returns:
        The Keras model, functional or sequential, that the function returned.

    Raises:
        ModelError: the module or the function is missing, fails, or returns something else.
        UnsupportedError: the network holds a layer that is not supported.
    """
    where = f"model.entry: {entry}"
    function = _function(entry, where)
    keras.utils.set_random_seed(seed)
    try:
        network = function(frames, features, labels, seed)
    except Exception as error:
        raise ModelError(
            f"failed: {_place(error)}",
            where=where,
            hint="the function is called with frames, features, labels and seed",
        ) from error
    if not isinstance(network, keras.Model):
        raise ModelError(
            f"returned an object of type {type(network).__name__}, not a Keras model",
            where=where,
            hint="return keras.Model(inputs, outputs)",
        )
    check_config(json.loads(network.to_json()), where=where)
    return network


def _function(entry: str, where: str) -> Any:
    module, _, name = entry.partition(":")
    try:
        function = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"can't be imported: {error}",
            where=where,
            hint="run invoke in the folder that holds the package, or install it with pip",
        ) from error
    except Exception as error:
        raise ModelError(f"can't be imported: {_place(error)}", where=where) from error
    if not callable(function):
        raise ModelError(
            f"the module {module} has no function {name}",
            where=where,
            hint="entry = 'package.module:function'",
        )
    return function


def _place(error: Exception) -> str:
    """The error, and the line of the user's code that it came from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {_first_line(error)} ({last.filename}, line {last.lineno})"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
