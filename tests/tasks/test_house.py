"""The tasks around the way, as a user runs them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from edgeprune import overview, resources
from edgeprune.errors import ToolchainError
from edgeprune.reference import reference, report_schema

REPOSITORY = Path(__file__).resolve().parents[2]


def _invoke(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(REPOSITORY), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_of_tasks_reads_as_the_manual(tmp_path: Path) -> None:
    text = _invoke(tmp_path, "--list").stdout
    tasks = dict(re.findall(r"^  (\w+)\s+(\S.*)$", text, re.MULTILINE))
    way = ["ship", "data", "train", "prune", "quantize", "build", "deploy", "check"]
    assert set(tasks) >= {*way, "targets", "recipes", "doctor", "docs", "clean"}
    assert all(meaning.endswith(".") for meaning in tasks.values()), "a line of the list folds"
    assert "Default task: ship" in text


def test_targets_and_recipes_are_listed_with_what_matters(tmp_path: Path) -> None:
    targets = _invoke(tmp_path, "targets").stdout
    recipes = _invoke(tmp_path, "recipes").stdout
    assert all(name in targets for name in resources.available("targets"))
    assert "accuracy" in targets
    assert all(name in recipes for name in resources.available("recipes"))


def test_the_doctor_is_content_where_everything_is_installed(tmp_path: Path) -> None:
    done = _invoke(tmp_path, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "zig" in done.stdout


def test_the_doctor_says_how_to_get_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ToolchainError(f"{name} is not installed", hint=f"get {name}")

    monkeypatch.setattr(overview, "find_toolchain", absent)
    monkeypatch.setattr(overview.importlib.util, "find_spec", lambda name: None)
    findings = {each.name: each for each in overview.examine()}
    assert not any(each.found for each in findings.values())
    assert findings["zig"].needed
    assert findings["zig"].remedy == "get zig"
    assert not findings["arm-none-eabi-gcc"].needed
    assert findings["tensorflow"].remedy == "pip install 'edgeprune[train]'"
    stream = io.StringIO()
    Console(file=stream, width=200).print(overview.doctor_table(list(findings.values())))
    assert "pip install 'edgeprune[train]'" in stream.getvalue()


def test_the_generated_docs_are_up_to_date() -> None:
    """``invoke docs`` writes them."""
    for name, text in (("reference.md", reference()), ("report.schema.json", report_schema())):
        assert (REPOSITORY / "docs" / name).read_text(encoding="utf-8") == text


def test_docs_are_written_and_checked(tmp_path: Path) -> None:
    assert _invoke(tmp_path, "docs", "--check").returncode == 1
    assert not (tmp_path / "docs").exists()
    assert _invoke(tmp_path, "docs").returncode == 0
    assert _invoke(tmp_path, "docs", "--check").returncode == 0


def test_the_reference_has_every_key_with_its_unit() -> None:
    text = reference()
    assert "| `window_ms` | number ≥ 4 ≤ 64 | `30.0` | ms | length of a frame's window |" in text
    assert "| `flash_kib` | number > 0 ≤ 65536 | *none* | KiB | largest image in flash |" in text
    assert '### `[data]` with `kind = "folder"`' in text


def test_clean_keeps_the_store_unless_told(tmp_path: Path) -> None:
    for name in ("store", "cache", "cortex-m4"):
        (tmp_path / "build" / name).mkdir(parents=True)
    (tmp_path / "build" / "tiny.tflite").write_text("x", encoding="utf-8")
    _invoke(tmp_path, "clean")
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["store"]
    _invoke(tmp_path, "clean", "--all")
    assert not list((tmp_path / "build").iterdir())
