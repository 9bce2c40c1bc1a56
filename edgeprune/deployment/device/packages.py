"""Packages that the device installs by itself, beside the releases that run with them.

::

    packages/<digest>/site/            what is put on the import path
    packages/<digest>/installed.json   what was chosen and why, and every file's SHA-256
    packages/<digest>.partial/         one that pip is at work on
    packages/<digest>.trash/           one that is being removed

The digest is that of the plan in a release's manifest. A folder has its name only once all of it is
on the disk and a runtime could be constructed from it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .bounded import Ended, run
from .layout import PARTIAL, TRASH, DeviceError, Layout, sha256_of, sync_folder, write_json

__all__ = ["drop", "install", "keep", "prune"]

_SCHEMA_VERSION = 1
_DIGEST = re.compile(r"[0-9a-f]{16}")
#: Of a runtime that is constructed; a Raspberry Pi Zero 2 needs about 10.
_CONSTRUCTING_S = 120.0
#: Nothing is compiled, nothing is asked, and nothing is written outside of the folder. That pip
#: warns before it tries again tells an index out of reach from one without such a wheel.
_PIP = (
    *("-m", "pip", "install", "--only-binary=:all:", "--no-compile", "--no-cache-dir", "--no-user"),
    *("--no-input", "--disable-pip-version-check", "--retries=3"),
)
#: Arguments: the folder of packages, the runtime's module or nothing, the model.
_CONSTRUCT = """\
import importlib, sys
site, module, model = sys.argv[1:]
sys.path.insert(0, site)
import numpy
if module:
    runtime = importlib.import_module(module + ".interpreter")
    runtime.Interpreter(model_path=model, num_threads=1).allocate_tensors()
"""


def install(layout: Layout, job: dict[str, Any], alive: Callable[[], None]) -> dict[str, Any]:
    """Let pip install requirements, and construct the runtime that they are of.

    Args:
        layout: of the device.
        job: ``digest``; ``release``, which brings the model; ``requirements`` and whether their
            ``dependencies`` come too; ``runtime`` that begins a folder anew, or None for what comes
            besides one; ``limit_s``.
        alive: called every now and then.

    Returns:
        ``packages``, distribution to version of all that is there; or ``pip``, what it printed
        before it failed, or, with ``late``, before its time was over; or ``refusal``, why the
        runtime can't be constructed.
    """
    partial = _folder(layout, job["digest"]).with_suffix(PARTIAL)
    runtime = job["runtime"]
    if runtime is not None:
        drop(layout)
        (partial / "site").mkdir(parents=True)
    try:
        if job["requirements"]:
            ended = _pip(partial, job, alive)
            if ended.code != 0:
                return {"pip": ended.output or ended.why, "late": ended.code is None}
        if runtime is not None:
            model = layout.release(job["release"]) / "model.tflite"
            refusal = _unconstructed(partial / "site", runtime, model, alive)
            if refusal:
                return {"refusal": refusal}
        return {"packages": _packages(partial / "site")}
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def keep(layout: Layout, digest: str, record: dict[str, Any]) -> None:
    """Let what was installed be what releases run with; it is on the disk then.

    Args:
        layout: of the device.
        digest: of the plan.
        record: what else ``installed.json`` says.
    """
    folder = _folder(layout, digest)
    partial = folder.with_suffix(PARTIAL)
    shutil.rmtree(partial / "tmp", ignore_errors=True)
    files = {
        path.relative_to(partial / "site").as_posix(): {
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
        }
        for path in _plain_files(partial / "site")
    }
    full = {**record, "schema_version": _SCHEMA_VERSION, "files": files}
    write_json(partial / "installed.json", full)
    os.sync()
    if folder.exists():
        # It is damaged, or nobody would have installed it again.
        layout.discard(folder)
    partial.rename(folder)
    sync_folder(folder.parent)


def drop(layout: Layout) -> None:
    """Remove what installations left that did not come to their end."""
    for path in _there(layout):
        if path.suffix in (PARTIAL, TRASH):
            layout.discard(path)


def prune(layout: Layout, named: set[str]) -> None:
    """Remove packages that no release names.

    Args:
        layout: of the device.
        named: digests that releases name.
    """
    for path in _there(layout):
        if path.name not in named:
            layout.discard(path)


def _there(layout: Layout) -> list[Path]:
    folder = layout.root / "packages"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _folder(layout: Layout, digest: str) -> Path:
    if not _DIGEST.fullmatch(digest):
        raise DeviceError(f"{digest!r} is not the name of packages")
    return layout.root / "packages" / digest


def _pip(partial: Path, job: dict[str, Any], alive: Callable[[], None]) -> Ended:
    scratch = partial / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    dependencies = () if job["dependencies"] else ("--no-deps",)
    command = (*_PIP, f"--target={partial / 'site'}", *dependencies, *job["requirements"])
    # pip unpacks there first; /tmp may lie in memory, and -m looks into the working directory.
    ended = run(
        [sys.executable, *command],
        cwd=scratch,
        env={**os.environ, "TMPDIR": str(scratch)},
        limit_s=job["limit_s"],
        alive=alive,
    )
    shutil.rmtree(scratch, ignore_errors=True)
    return ended


def _unconstructed(site: Path, runtime: str, model: Path, alive: Callable[[], None]) -> str:
    """Why an interpreter (or, for the compiled model, an array) can't be made; empty if it can."""
    module = "" if runtime == "native" else runtime.replace("-", "_")
    ended = run(
        [sys.executable, "-I", "-B", "-c", _CONSTRUCT, str(site), module, str(model)],
        cwd=site,
        env=dict(os.environ),
        limit_s=_CONSTRUCTING_S,
        alive=alive,
    )
    if ended.code == 0:
        return ""
    return f"was installed, and can't be constructed: {ended.why}"


def _packages(site: Path) -> dict[str, str]:
    # Every request imports this module, and few come here.
    from importlib import metadata

    found = {}
    for each in metadata.distributions(path=[str(site)]):
        name = each.metadata["Name"]
        if name:
            found[re.sub(r"[-_.]+", "-", name).lower()] = each.version
    return found


def _plain_files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        for name in names + [each for each in folders if Path(root, each).is_symlink()]:
            path = Path(root, name)
            if path.is_symlink():
                raise DeviceError(f"pip installed a link: {path.relative_to(folder)}")
            yield path
