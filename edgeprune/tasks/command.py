"""What every task has in common: its options, its console, and how it ends."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from invoke.exceptions import Exit
from invoke.tasks import task

from edgeprune.errors import EdgepruneError

if TYPE_CHECKING:
    from rich.console import Console

    from edgeprune.pipeline import Pipeline

__all__ = ["BUILD", "OPTIONS", "command", "console", "open_pipeline"]

#: Everything that is made lies below it.
BUILD = Path("build")

#: Wide enough for the report where there is no terminal.
_PLAIN_WIDTH = 120

OPTIONS = {
    "recipe": "name or path of a recipe (invoke recipes)",
    "target": "name or path of a target (invoke targets)",
    "set_": "override a key: --set pruning.sparsity=0.6, --set target.clock_mhz=80; repeatable",
    "explain": "say which input changed when a stage runs",
}

_F = TypeVar("_F", bound=Callable[..., Any])


def command(*, default: bool = False, **meanings: str) -> Callable[[_F], Any]:
    """Make an Invoke task whose user errors end in one message and exit code 2.

    Args:
        default: the task that runs when none is named.
        meanings: what the task's own options mean; those of ``OPTIONS`` are known.
    """

    def decorate(body: _F) -> Any:
        @functools.wraps(body)
        def guarded(*arguments: Any, **options: Any) -> Any:
            try:
                return body(*arguments, **options)
            except EdgepruneError as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                raise Exit(code=2) from None

        names = body.__code__.co_varnames[: body.__code__.co_argcount]
        known = {name: text for name, text in (OPTIONS | meanings).items() if name in names}
        iterable = ["set_"] if "set_" in names else []
        return task(help=known, iterable=iterable, default=default)(guarded)

    return decorate


def console() -> Console:
    """Standard output; plain text of a fixed width where it is not a terminal."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def open_pipeline(recipe: str, target: str, set_: Iterable[str], explain: bool) -> Pipeline:
    """Read recipe and target, with overrides laid over them, and open the store.

    Raises:
        DeclarationError: in the recipe, the target or an override.
    """
    from edgeprune import progress, resources
    from edgeprune.declaration import overrides
    from edgeprune.pipeline import Pipeline
    from edgeprune.recipe import Recipe
    from edgeprune.store import Store
    from edgeprune.target import Target

    settings = overrides(set_)
    prefix = "target."
    of_target = {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}
    of_recipe = {k: v for k, v in settings.items() if not k.startswith(prefix)}
    store = Store(BUILD / "store")
    store.sweep()
    return Pipeline(
        recipe=Recipe.read(resources.find("recipes", recipe), of_recipe),
        target=Target.read(resources.find("targets", target), of_target),
        build=BUILD,
        store=store,
        progress=progress.for_stream(),
        say=functools.partial(console().print, markup=False),
        explain=explain,
    )
