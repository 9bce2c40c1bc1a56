"""Firmware templates: ``*.j2`` is rendered, everything else is copied as it is."""

from __future__ import annotations

from collections.abc import Mapping

from edgeprune import resources
from edgeprune.errors import DeclarationError, ImageError

__all__ = ["render"]


def render(template: str, part: str, values: Mapping[str, object]) -> dict[str, str]:
    """File name to text of a firmware template.

    Args:
        template: folder below ``firmware_templates``.
        part: folder in it whose files are taken beside the template's own.
        values: what the ``*.j2`` files may use.

    Raises:
        DeclarationError: there is no such template.
        ImageError: a file asks for a value that is not given, or is not valid Jinja.
    """
    import jinja2

    folder = resources.root() / "firmware_templates" / template
    if not folder.is_dir():
        known = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
        raise DeclarationError(
            f"there is no firmware template {template!r}",
            where="template",
            hint=f"one of: {', '.join(known)}",
        )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - C and linker scripts, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    files = {}
    for path in sorted([*folder.glob("*.*"), *(folder / part).glob("*.*")]):
        if path.suffix != ".j2":
            files[path.name] = path.read_text(encoding="utf-8")
            continue
        name = path.relative_to(folder).as_posix()
        try:
            files[path.stem] = environment.get_template(name).render(values)
        except jinja2.TemplateError as error:
            raise ImageError(
                f"can't be rendered: {error.message or error}", where=str(path)
            ) from error
    return files
