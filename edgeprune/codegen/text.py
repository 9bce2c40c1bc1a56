"""Pieces of C: comments, strings, numbers, arrays, initializers."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy.typing as npt

from edgeprune.codegen.lowering import Constant, Field

__all__ = [
    "WIDTH",
    "array",
    "comment_text",
    "declaration",
    "float_text",
    "guard",
    "initializer",
    "shape_text",
    "string",
]

#: Columns of generated C.
WIDTH = 100

_C_TYPES = {"int8": "int8_t", "int32": "int32_t"}
_INT32_MIN = -(2**31)


def comment_text(text: str, longest: int = 80) -> str:
    """Foreign text that is safe inside a C comment: printable ASCII, no end of comment."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "replace").decode("ascii")
    plain = "".join(each if each.isprintable() else "?" for each in plain)
    # `??/` is a backslash to a C99 compiler, and `/*` inside a comment a warning.
    plain = plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
    plain = plain.replace("\\", "/")
    return plain if len(plain) <= longest else plain[: longest - 3] + "..."


def string(text: str) -> str:
    """A C string literal with the UTF-8 bytes of a text."""
    plain = set(range(0x20, 0x7F)) - {ord('"'), ord("\\"), ord("?")}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def shape_text(shape: Iterable[int]) -> str:
    """A shape for people: ``1x49x10x1``; ``scalar`` for one value without dimensions."""
    return "x".join(map(str, shape)) or "scalar"


def guard(name: str, body: str) -> str:
    """A header's text inside its include guard."""
    return f"#ifndef {name}\n#define {name}\n\n{body}\n#endif\n"


def array(symbol: str, values: npt.NDArray[Any]) -> str:
    """The definition of a constant array."""
    c_type = _C_TYPES[values.dtype.name]
    numbers = ", ".join(_number(int(value)) for value in values.reshape(-1))
    body = textwrap.fill(
        numbers,
        WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return f"const {c_type} {symbol}[{values.size}] = {{\n{body}\n}};\n"


def declaration(symbol: str, values: npt.NDArray[Any]) -> str:
    """The declaration of a constant array."""
    return f"extern const {_C_TYPES[values.dtype.name]} {symbol}[{values.size}];"


def initializer(fields: Mapping[str, Field], symbol: Callable[[str], str], indent: str) -> str:
    """The members of a C99 designated initializer, one a line.

    Args:
        fields: member to value.
        symbol: the C symbol of a :class:`Constant`, by its name.
        indent: of every line.
    """
    lines = []
    for name, value in fields.items():
        if isinstance(value, dict):
            inner = initializer(value, symbol, indent + "    ")
            lines.append(f"{indent}.{name} = {{\n{inner}\n{indent}}},")
        elif isinstance(value, Constant):
            lines.append(f"{indent}.{name} = {symbol(value.name)},")
        elif isinstance(value, tuple):
            lines.append(f"{indent}.{name} = {{{', '.join(map(_number, value))}}},")
        else:
            lines.append(f"{indent}.{name} = {_number(value)},")
    return "\n".join(lines)


def _number(value: int) -> str:
    # C reads -2147483648 as minus a number that int32 does not hold.
    return f"({_INT32_MIN + 1} - 1)" if value == _INT32_MIN else str(value)


def float_text(value: float) -> str:
    """A C float literal of a float32 value, exact."""
    return f"{value!r}f"
