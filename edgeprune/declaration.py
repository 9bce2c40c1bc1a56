"""What recipes and targets have in common: strict models, and errors that name file and key."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from edgeprune.errors import DeclarationError

__all__ = ["Declaration", "load", "option", "overrides"]

_D = TypeVar("_D", bound="Declaration")

#: Unit suffixes of option names; two that share a stem differ only in the unit.
_UNITS = (
    *("_ms", "_us", "_s", "_hz", "_khz", "_mhz", "_db"),
    *("_kib", "_mib", "_bytes", "_kb", "_mb", "_percent"),
)


class Declaration(BaseModel):
    """A table of options: unknown keys are refused, types are not coerced, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def option(meaning: str, *, default: Any = ..., unit: str | None = None, **constraints: Any) -> Any:
    """Declare one option: its meaning in one line, its default, its unit and its limits.

    Args:
        meaning: one line for the reference, without a full stop.
        default: the default; leave it out for an option that must be given.
        unit: for example ``"ms"``; shown in the reference and in errors.
        constraints: pydantic's ``ge``, ``le``, ``gt``, ``lt``, ``min_length``, ``pattern`` …
    """
    extra: dict[str, Any] = {} if unit is None else {"unit": unit}
    return Field(default, description=meaning, json_schema_extra=extra, **constraints)


def load(cls: type[_D], path: Path, settings: Mapping[str, object] | None = None) -> _D:
    """Read and validate a TOML file.

    Args:
        cls: the declaration to validate against.
        path: the file.
        settings: dotted key to value, laid over what the file says.

    Raises:
        DeclarationError: naming file and key, what was found and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DeclarationError(
            f"can't be read: {error.strerror}", where=str(path), hint="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise DeclarationError("is not UTF-8 text", where=str(path)) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(
            f"is not valid TOML: {error}", where=str(path), hint="strings need quotes"
        ) from error
    for key, value in (settings or {}).items():
        _lay_over(table, key, value)
    return _validate(cls, table, source=str(path), overridden=frozenset(settings or ()))


def overrides(assignments: Iterable[str]) -> dict[str, object]:
    """Parse ``--set key.path=value`` assignments; the value is TOML, or else a bare string.

    Raises:
        DeclarationError: for an assignment without ``=`` or with an empty key.
    """
    settings: dict[str, object] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", key):
            raise DeclarationError(
                f"{assignment!r} is not an assignment",
                where="--set",
                hint="--set pruning.sparsity=0.6",
            )
        try:
            settings[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = text
    return settings


def _lay_over(table: dict[str, Any], key: str, value: object) -> None:
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents, start=1):
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            name = ".".join(parents[:depth])
            raise DeclarationError(
                f"{name} holds a value, not a table", where=f"--set {key}", hint="check the key"
            )
    table[last] = value


def _validate(
    cls: type[_D], table: Mapping[str, Any], *, source: str, overridden: frozenset[str]
) -> _D:
    def default(value: object) -> str:
        return f"{value!s} (a date or time)"

    try:
        # JSON mode is strict about types and still takes an array for a tuple.
        return cls.model_validate_json(json.dumps(table, default=default), strict=True)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=_urgency)
        message, location = _explain(cls, table, first)
        key = ".".join(str(part) for part in location)
        origin = "--set" if any(_covers(name, key) for name in overridden) else source
        where = f"{origin}: {key}" if key else origin
        hint = "docs/reference.md lists every key"
        raise DeclarationError(message, where=where, hint=hint) from error


def _covers(overridden: str, key: str) -> bool:
    return key == overridden or key.startswith(overridden + ".")


def _urgency(detail: ErrorDetails) -> int:
    """Unknown keys first: a misspelt key also shows up as a missing one."""
    order = {"extra_forbidden": 0, "union_tag_invalid": 1, "missing": 3}
    return order.get(detail["type"], 2)


def _explain(
    cls: type[Declaration], table: Mapping[str, Any], detail: ErrorDetails
) -> tuple[str, Sequence[str | int]]:
    """Render a pydantic error in the words of the file; returns the message and the key."""
    location = _without_tags(table, detail["loc"])
    kind, found = detail["type"], detail["input"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _keys_at(cls, table, location[:-1])
        return f"is not a key here.{_suggest(str(location[-1]), allowed)}", location
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = sorted(re.findall(r"'([^']*)'", str(context.get("expected_tags", ""))))
        key = str(context.get("discriminator", "kind")).strip("'")
        if kind == "union_tag_not_found":
            allowed_tags = _tags_at(cls, table, location)
            return f"is missing; allowed: {', '.join(allowed_tags)}", [*location, key]
        tag = str(context.get("tag", ""))
        return f"found {tag!r}.{_suggest(tag, tags)}", [*location, key]
    if kind == "missing":
        return f"is missing; {_describe(cls, table, location)}", location
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context.get("expected", ""))) or [
            str(context.get("expected", ""))
        ]
        return f"found {found!r}.{_suggest(str(found), choices)}", location
    if kind == "value_error":
        return str(context.get("error", detail["msg"])), location
    shown = repr(found) if not isinstance(found, float) or math.isfinite(found) else str(found)
    if len(shown) > 60:
        shown = shown[:57] + "…"
    wanted = _describe(cls, table, location)
    rule = detail["msg"].removeprefix("Input ").removeprefix("String ")
    return f"found {shown}; {rule}" + (f" ({wanted})" if wanted else ""), location


def _without_tags(table: object, location: Sequence[str | int]) -> list[str | int]:
    """Drop the discriminator values that pydantic puts into the path of a tagged union."""
    path: list[str | int] = []
    node = table
    for part in location:
        if isinstance(node, Mapping):
            if part not in node and node.get("kind") == part:
                continue
            node = node.get(part)
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            node = None
        path.append(part)
    return path


def _class_at(
    cls: type[Declaration], table: Mapping[str, Any], location: Sequence[str | int]
) -> type[Declaration] | None:
    node: Any = table
    current: type[Declaration] | None = cls
    for part in location:
        if isinstance(part, int) and isinstance(node, list):
            node = node[part]
            continue
        if current is None or not isinstance(part, str) or part not in current.model_fields:
            return None
        node = node.get(part, {}) if isinstance(node, Mapping) else {}
        choices = declarations_in(current.model_fields[part].annotation)
        if len(choices) > 1:
            tag = node.get("kind") if isinstance(node, Mapping) else None
            choices = [choice for choice in choices if _tag(choice) == tag]
        current = choices[0] if choices else None
    return current


def declarations_in(annotation: Any) -> list[type[Declaration]]:
    """The declarations that an annotation names: one for a table, several for a tagged union."""
    if isinstance(annotation, type) and issubclass(annotation, Declaration):
        return [annotation]
    found: list[type[Declaration]] = []
    for argument in get_args(annotation):
        found += [each for each in declarations_in(argument) if each not in found]
    return found


def _tag(cls: type[Declaration]) -> str | None:
    field = cls.model_fields.get("kind")
    arguments = get_args(field.annotation) if field else ()
    return str(arguments[0]) if len(arguments) == 1 else None


def _tags_at(
    cls: type[Declaration], table: Mapping[str, Any], location: Sequence[str | int]
) -> list[str]:
    parent = _class_at(cls, table, location[:-1]) if location else None
    if parent is None:
        return []
    field = parent.model_fields[str(location[-1])]
    return [tag for tag in map(_tag, declarations_in(field.annotation)) if tag]


def _keys_at(
    cls: type[Declaration], table: Mapping[str, Any], location: Sequence[str | int]
) -> list[str]:
    at = _class_at(cls, table, location)
    return sorted(at.model_fields) if at else []


def _describe(
    cls: type[Declaration], table: Mapping[str, Any], location: Sequence[str | int]
) -> str:
    """An option's meaning and unit, for an error about its value."""
    named = [part for part in location if isinstance(part, str)]
    parent = _class_at(cls, table, named[:-1]) if named else None
    if parent is None or named[-1] not in parent.model_fields:
        return ""
    field = parent.model_fields[named[-1]]
    extra = field.json_schema_extra
    unit = extra.get("unit") if isinstance(extra, dict) else None
    meaning = field.description or ""
    return f"{meaning}, in {unit}" if unit else meaning


def _suggest(found: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(found, allowed, n=1, cutoff=0.6)
    if not close:
        stem = _stem(found)
        close = [name for name in allowed if _stem(name) == stem][:1]
    listed = f" Allowed: {', '.join(allowed)}." if allowed else ""
    return f" Did you mean {close[0]!r}?{listed}" if close else listed


def _stem(name: str) -> str:
    for unit in _UNITS:
        if name.endswith(unit):
            return name.removesuffix(unit)
    return name
