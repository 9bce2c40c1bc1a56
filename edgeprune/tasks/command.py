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

    from edgeprune.model_pipeline import ModelPipeline
    from edgeprune.pipeline import Pipeline
    from edgeprune.ssh_target import Ssh
    from edgeprune.target import Target

__all__ = [
    "BUILD",
    "OPTIONS",
    "command",
    "console",
    "open_model_pipeline",
    "open_pipeline",
    "read_target",
    "say",
    "ssh_table",
]

#: Everything that is made lies below it.
BUILD = Path("build")

#: Wide enough for the report where there is no terminal.
_PLAIN_WIDTH = 120

OPTIONS = {
    "recipe": "name or path of a recipe (invoke recipes)",
    "target": "name or path of a target (invoke targets)",
    "model": "a .tflite file to build instead of a recipe's network",
    "labels": "with --model: what the scores mean, in their order: yes,no,stop",
    "optimize": "speed, size or balanced; the target's choice if left out",
    "set_": "override a key: --set pruning.sparsity=0.6, --set target.clock_mhz=80; repeatable",
    "explain": "say which input changed when a stage runs",
    "host": "hosts of a fleet, by their names: kitchen-1,kitchen-2",
    "parallel": "how many hosts of a fleet at a time",
    "canary": "how many hosts of a fleet go first and have to meet the budgets",
    "max_failures": "how many hosts of a fleet may fail; after one more nothing new begins",
    "roll_back": "of a fleet: when more fail, let every host that was updated go back",
}

#: Options that may be given several times.
_REPEATABLE = ("set_", "core", "variant")

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
        iterable = [name for name in names if name in _REPEATABLE]
        return task(help=known, iterable=iterable, default=default)(guarded)

    return decorate


def console() -> Console:
    """Standard output; plain text of a fixed width where it is not a terminal."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def open_pipeline(
    recipe: str, target: str, set_: Iterable[str], explain: bool, optimize: str | None = None
) -> Pipeline:
    """Read recipe and target, with overrides laid over them, and open the store.

    Raises:
        DeclarationError: in the recipe, the target or an override.
    """
    from edgeprune import resources
    from edgeprune.pipeline import Pipeline
    from edgeprune.recipe import Recipe

    of_recipe, of_target = _settings(set_, optimize)
    return Pipeline(
        recipe=Recipe.read(resources.find("recipes", recipe), of_recipe),
        **_workshop(target, of_target, explain),
    )


def open_model_pipeline(
    model: str,
    target: str,
    set_: Iterable[str],
    explain: bool,
    optimize: str | None = None,
    labels: str | None = None,
) -> ModelPipeline:
    """Read the target and open the store, for a model file.

    Raises:
        DeclarationError: in the target or an override, or an override of a recipe's key.
    """
    from edgeprune.model_pipeline import ModelPipeline

    of_target = _target_settings(set_, optimize, "a model file has no recipe")
    return ModelPipeline(
        model=Path(model),
        labels=tuple(label.strip() for label in labels.split(",")) if labels else (),
        **_workshop(target, of_target, explain),
    )


def read_target(target: str, set_: Iterable[str]) -> Target:
    """Read a target that is reached over SSH, with overrides laid over it.

    Raises:
        DeclarationError: in the target or an override.
    """
    from edgeprune import resources
    from edgeprune.target import Target

    settings = _target_settings(set_, None, "this task reads no recipe")
    return Target.read(resources.find("targets", target), settings)


def ssh_table(target: str, set_: Iterable[str]) -> Ssh:
    """Read how a target is reached over SSH, with overrides laid over it.

    Raises:
        DeclarationError: in the target or an override, or for a target of another device.
    """
    return read_target(target, set_).ssh_table()


def _target_settings(set_: Iterable[str], optimize: str | None, reason: str) -> dict[str, object]:
    """Overrides where only a target's keys can be set; ``reason`` says why no others."""
    from edgeprune.errors import DeclarationError

    of_recipe, of_target = _settings(set_, optimize)
    if of_recipe:
        raise DeclarationError(
            f"{reason} whose keys could be set",
            where=f"--set {next(iter(of_recipe))}",
            hint="keys of the target begin with target.",
        )
    return of_target


def _settings(
    set_: Iterable[str], optimize: str | None
) -> tuple[dict[str, object], dict[str, object]]:
    """Overrides of the recipe and of the target."""
    from edgeprune.declaration import overrides

    settings = overrides(set_)
    prefix = "target."
    of_target = {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}
    of_recipe = {k: v for k, v in settings.items() if not k.startswith(prefix)}
    if optimize is not None:
        of_target["optimize"] = optimize
    return of_recipe, of_target


def _workshop(target: str, of_target: dict[str, object], explain: bool) -> dict[str, Any]:
    """What every pipeline is made with."""
    from edgeprune import progress, resources
    from edgeprune.store import Store
    from edgeprune.target import Target

    store = Store(BUILD / "store")
    store.sweep()
    return {
        "target": Target.read(resources.find("targets", target), of_target),
        "build": BUILD,
        "store": store,
        "progress": progress.for_stream(),
        "say": say,
        "explain": explain,
    }


def say(line: str) -> None:
    """Print a line, above the bars where there are any.

    A bar owns the terminal's last row and moves it for what goes through ``sys.stdout`` alone.
    """
    if sys.stdout.isatty():
        print(line)
    else:
        console().print(line, markup=False)
