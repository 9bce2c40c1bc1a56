"""The truth table as files."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from edgeprune.errors import DeclarationError
from edgeprune.payoff.plot import payoff_pictures
from edgeprune.payoff.records import Backend, Payoff, payoff_csv, payoff_json
from edgeprune.payoff.views import payoff_markdown

__all__ = ["known_backend", "payoff_files"]


def known_backend(name: str) -> Backend:
    """The backend of a name.

    Raises:
        DeclarationError: there is none.
    """
    if name not in get_args(Backend):
        raise DeclarationError(
            f"there is no backend {name!r}",
            where="--backend",
            hint=f"one of: {', '.join(get_args(Backend))}",
        )
    return cast("Backend", name)


def payoff_files(
    payoff: Payoff,
    *,
    json: str | None = None,
    csv: str | None = None,
    markdown: str | None = None,
    plot: str | None = None,
) -> dict[Path, bytes]:
    """What is to be written where.

    Args:
        payoff: the table.
        json: file of the records as JSON.
        csv: file of the records as CSV.
        markdown: file of the tables as Markdown.
        plot: path of the pictures without ``.png`` and ``.svg``.

    Raises:
        MissingExtraError: a plot is asked for and matplotlib is not installed.
    """
    files: dict[Path, bytes] = {}
    if json:
        files[Path(json)] = payoff_json(payoff.records).encode()
    if csv:
        files[Path(csv)] = payoff_csv(payoff.records).encode()
    if markdown:
        files[Path(markdown)] = payoff_markdown(payoff).encode()
    if plot:
        stem = plot.removesuffix(".png").removesuffix(".svg")
        pictures = payoff_pictures(payoff)
        files |= {Path(f"{stem}.{kind}"): content for kind, content in pictures.items()}
    return files
