"""Artifacts by the content of their inputs; written whole or not at all.

An artifact is a folder ``<store>/<stage>/<key>``. Its key is a hash of everything that the stage
reads: declared values, the keys of upstream artifacts and the stage's own source files. A stage
writes into ``<store>/.partial`` and the folder is renamed when complete, so a process that is
killed at any moment leaves either no artifact or a whole one. A lock per key, which the kernel
drops when its holder dies, keeps two processes from doing the same work.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgeprune.errors import StoreError

__all__ = ["Artifact", "Outcome", "Stage", "Store", "canonical_json", "sha256"]

_MANIFEST = "artifact.json"
_LAYOUT = 1
_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Artifact:
    """A complete artifact.

    Attributes:
        stage: the stage that made it.
        key: 16 hexadecimal digits.
        path: its folder, to be read only.
    """

    stage: str
    key: str
    path: Path

    def json(self, name: str) -> Any:
        """The content of one of its JSON files.

        Raises:
            StoreError: when the file is missing or not JSON.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"has no readable {name}", where=str(self.path), hint="invoke clean, then again"
            ) from error


@dataclass(frozen=True)
class Stage:
    """A pure function from typed inputs to an artifact folder.

    Attributes:
        name: what it makes, for example ``trained``; a variant stands after a dash.
        reads: every declared value that the result depends on; JSON types only.
        upstream: the artifacts that it reads, by role.
        code: files and folders below the package whose source the result depends on.
        run: writes the artifact into the empty folder that it is given.
        slot: what tells two uses of a stage apart for ``--explain`` (recipe, target, variant).
    """

    name: str
    reads: Mapping[str, Any]
    upstream: Mapping[str, Artifact]
    code: tuple[str, ...]
    run: Callable[[Path], None]
    slot: str = ""

    def inputs(self) -> dict[str, str]:
        """Everything the key is made of, flat: name to value, so that a change can be named."""
        flat = dict(_flatten(self.reads))
        flat |= {f"upstream {role}": artifact.key for role, artifact in self.upstream.items()}
        flat |= {f"code {name}": digest for name, digest in _source_digests(self.code)}
        return flat

    def key(self) -> str:
        """Hash of the stage's name and inputs."""
        text = canonical_json([_LAYOUT, self.name, self.inputs()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What :meth:`Store.ensure` did.

    Attributes:
        artifact: the artifact.
        ran: whether the stage had to run.
        seconds: how long it ran.
        why: what changed since the last artifact in the same slot; empty when it did not run.
    """

    artifact: Artifact
    ran: bool
    seconds: float = 0.0
    why: tuple[str, ...] = field(default=())


class Store:
    """A folder of artifacts.

    Args:
        root: the folder; made when missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, stage: Stage) -> Artifact | None:
        """The stage's artifact, if there is a whole one."""
        key = stage.key()
        path = self.root / stage.name / key
        return Artifact(stage.name, key, path) if _is_whole(path) else None

    def ensure(
        self, stage: Stage, *, before_run: Callable[[Outcome], None] | None = None
    ) -> Outcome:
        """Return the stage's artifact, running the stage only when there is none.

        Args:
            stage: the stage.
            before_run: told that the stage will run, and why, before it does.

        Raises:
            EdgepruneError: whatever the stage raises; nothing of it stays in the store.
        """
        found = self.find(stage)
        if found is not None:
            self._remember(stage, found)
            return Outcome(found, ran=False)
        key = stage.key()
        final = self.root / stage.name / key
        artifact = Artifact(stage.name, key, final)
        with self._lock(f"{stage.name}-{key}"):
            if _is_whole(final):  # another process was faster
                self._remember(stage, artifact)
                return Outcome(artifact, ran=False)
            why = self.explain(stage)
            if before_run is not None:
                before_run(Outcome(artifact, ran=True, why=why))
            started = time.monotonic()
            partial = self.root / ".partial" / f"{stage.name}-{key}"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            try:
                stage.run(partial)
                _seal(partial, stage, key)
                final.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(final, ignore_errors=True)  # a damaged one
                partial.rename(final)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            _sync(final.parent)
            self._remember(stage, artifact)
        return Outcome(artifact, ran=True, seconds=time.monotonic() - started, why=why)

    def explain(self, stage: Stage) -> tuple[str, ...]:
        """Which inputs differ from the artifact that was last made or used in the same slot."""
        note = self._slot_file(stage)
        try:
            key = json.loads(note.read_text(encoding="utf-8"))["key"]
            manifest = self.root / stage.name / key / _MANIFEST
            old: dict[str, str] = json.loads(manifest.read_text(encoding="utf-8"))["inputs"]
        except (OSError, ValueError, KeyError, TypeError):
            return ("nothing was made before",)
        new = stage.inputs()
        changes = [
            f"{name}: {_short(old.get(name))} → {_short(new.get(name))}"
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        ]
        return tuple(changes) or ("the artifact is gone or damaged",)

    def sweep(self) -> list[Path]:
        """Remove what killed processes left half-written; returns the folders removed."""
        removed = []
        partials = self.root / ".partial"
        for path in sorted(partials.iterdir()) if partials.is_dir() else []:
            with self._lock(path.name, wait=False) as held:
                if held:
                    shutil.rmtree(path, ignore_errors=True)
                    removed.append(path)
        return removed

    def _remember(self, stage: Stage, artifact: Artifact) -> None:
        note = self._slot_file(stage)
        with suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(note.read_text(encoding="utf-8"))["key"] == artifact.key:
                return
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary = note.with_suffix(f".{os.getpid()}")
        temporary.write_text(canonical_json({"key": artifact.key}), encoding="utf-8")
        temporary.replace(note)

    def _slot_file(self, stage: Stage) -> Path:
        slot = hashlib.sha256(stage.slot.encode()).hexdigest()[:16]
        return self.root / ".slots" / f"{stage.name}-{slot}.json"

    @contextmanager
    def _lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spare white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name in sorted(value):
            yield from _flatten(value[name], f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, canonical_json(value)


@lru_cache(maxsize=64)
def _source_digests(code: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    files: set[Path] = set()
    for name in code:
        path = _PACKAGE / name
        if path.is_dir():
            files.update(
                each for each in path.rglob("*") if each.suffix in (".py", ".c", ".h", ".j2")
            )
        elif path.is_file():
            files.add(path)
        else:
            raise FileNotFoundError(f"a stage names source that does not exist: {path}")
    return tuple(
        (str(path.relative_to(_PACKAGE)), hashlib.sha256(path.read_bytes()).hexdigest()[:12])
        for path in sorted(files)
    )


def _seal(folder: Path, stage: Stage, key: str) -> None:
    """Write the manifest last, after the files it lists are on the disk."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[str(path.relative_to(folder))] = path.stat().st_size
            _sync(path)
    manifest = {
        "layout": _LAYOUT,
        "stage": stage.name,
        "key": key,
        "inputs": stage.inputs(),
        "files": files,
    }
    path = folder / _MANIFEST
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    _sync(path)


def _is_whole(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return manifest["layout"] == _LAYOUT and all(
            (folder / name).stat().st_size == size for name, size in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _short(text: str | None) -> str:
    if text is None:
        return "absent"
    return text if len(text) <= 40 else text[:37] + "…"
