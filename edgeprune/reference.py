"""The reference of recipe and target keys, generated from the declarations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edgeprune.declaration import Declaration, declarations_in
from edgeprune.fleet_target import Inventory
from edgeprune.recipe import Recipe
from edgeprune.reports import Report
from edgeprune.target import Target

__all__ = ["reference", "report_schema"]

_HEAD = """\
# Keys of recipes and targets

Generated from the declarations by `invoke docs`; do not edit.

Every recipe key can be overridden with `--set key=value`, every target key with
`--set target.key=value`. The value is TOML; a bare word is taken as a string.
"""


def reference() -> str:
    """The reference as Markdown: a table for every table of options."""
    lines = [_HEAD]
    pages = (("Recipes", Recipe), ("Targets", Target), ("Inventories of fleets", Inventory))
    for title, cls in pages:
        lines.append(f"## {title}\n")
        for prefix, table in _tables(cls, ""):
            lines += [_heading(prefix, table), ""]
            lines += [_sentence(table), ""]
            lines += ["| key | type | default | unit | meaning |", "|" + " --- |" * 5]
            for name, field in table.model_fields.items():
                if _is_value(field):
                    lines.append(_row(name, field))
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def report_schema() -> str:
    """The JSON schema of ``report.json``."""
    schema = Report.model_json_schema(mode="serialization")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2) + "\n"


def _tables(cls: type[Declaration], prefix: str) -> Iterator[tuple[str, type[Declaration]]]:
    yield prefix, cls
    for name, field in cls.model_fields.items():
        key = f"[{name}]" if get_origin(field.annotation) is tuple else name
        for inner in declarations_in(field.annotation):
            yield from _tables(inner, f"{prefix}.{key}" if prefix else key)


def _heading(prefix: str, table: type[Declaration]) -> str:
    if not prefix:
        return "### Top level"
    kind = table.model_fields.get("kind")
    tags = get_args(kind.annotation) if kind else ()
    return f"### `[{prefix}]`" + (f' with `kind = "{tags[0]}"`' if len(tags) == 1 else "")


def _sentence(table: type[Declaration]) -> str:
    return (table.__doc__ or "").strip().split("\n\n")[0].replace("``", "`")


def _is_value(field: FieldInfo) -> bool:
    return not declarations_in(field.annotation)


def _row(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    kind = " ".join([_type(field.annotation), *_limits(field)])
    cells = [f"`{name}`", kind, _default(field), unit, field.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{json.dumps(argument)}`" for argument in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(each) for each in arguments if each is not NoneType)
    if origin is tuple:
        inner = [_type(each) for each in arguments if each is not Ellipsis]
        return f"array of {inner[0]}" if Ellipsis in arguments else f"[{', '.join(inner)}]"
    if origin is dict:
        return f"table of {_type(arguments[1])}s"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return names[annotation]


def _limits(field: FieldInfo) -> list[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return [
        f"{sign} {getattr(rule, name):.12g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "*required*" if not _is_tag(field) else ""
    if field.default is None:
        return "*none*"
    value = field.default
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return f"`{text}`"


def _is_tag(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
