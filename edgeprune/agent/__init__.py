"""What runs on a single-board computer: the program, and how a bundle gets it.

``run.py`` and ``edgeprune_agent/`` lie here as they lie in a bundle's folder ``agent/``. They need
Python 3.9, numpy and, for models, a TFLite runtime or the compiled model; nothing of edgeprune.
What the program reads of a bundle, besides ``manifest.json`` and ``manifest.sig``:

``frontend.json``
    ``identity``, ``sample_rate_hz``, ``clip_samples``, ``window``, ``hop`` (samples), ``frames``,
    ``features`` and ``input`` with the ``multipliers``, ``offsets`` and the ``shift`` of
    :class:`edgeprune.frontend.InputQuantization`; optionally ``output`` with the ``scale`` and
    ``zero_point`` of the scores, where they are not a softmax's.
``labels.json``
    A list: what the scores mean, in their order.
``lib/libedgeprune_frontend.so``
    The C of :class:`edgeprune.frontend.FrontendLibrary`, with its host functions.
``lib/libedgeprune_model.so``
    For the runtime ``native``: the C of :class:`edgeprune.codegen.HostProgram`.
``model.tflite``
    For the other runtimes.
``golden/clip.s16`` and ``golden/scores.i8``
    A clip, and its int8 scores under BUILTIN_REF, which tflite-runtime has too. Optionally
    ``golden/scores.xnnpack.i8``, LiteRT's default, ``golden/scores.native.i8``, the compiled
    model, and ``golden/scores.no-delegates.i8``. A runtime with a file of its own must give its
    bits; any other must decide like ``golden/scores.i8``.
``site/``
    Unpacked wheels: on the import path once the bundle is verified. In their place a manifest may
    have ``packages`` with a ``digest``: those of the folder ``packages/<digest>`` beside the
    releases, which the device installed by itself and noted in ``installed.json`` there.

A key that the device's owner pinned is a PEM file (RFC 8410); a signature, its 64 bytes.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["sources"]

_FOLDER = Path(__file__).parent
_PACKAGE = "edgeprune_agent"


def sources() -> dict[str, bytes]:
    """Path in a bundle to content of every file of the agent."""
    paths = [_FOLDER / "run.py", *sorted((_FOLDER / _PACKAGE).glob("*.py"))]
    return {f"agent/{path.relative_to(_FOLDER).as_posix()}": path.read_bytes() for path in paths}
