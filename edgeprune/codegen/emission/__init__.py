"""The text of a program: ``model.h``, ``model.c`` and the weights."""

from __future__ import annotations

from edgeprune.codegen.emission.constants import weights_header, weights_source
from edgeprune.codegen.emission.header import header
from edgeprune.codegen.emission.model_text import LevelText, ModelText
from edgeprune.codegen.emission.source import source

__all__ = ["LevelText", "ModelText", "emit"]


def emit(model: ModelText) -> dict[str, str]:
    """File name to text; every file ends with a newline and holds printable ASCII only."""
    return {
        "model.h": header(model),
        "model.c": source(model),
        "model_weights.h": weights_header(model),
        "model_weights.c": weights_source(model),
    }
