"""What the documents point to is there."""

from __future__ import annotations

import re
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])

_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    for file, name in _TEST.findall(document.read_text(encoding="utf-8")):
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"\ndef {name}(" in source, f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    for link in _LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), link


def test_the_fault_table_is_backed_by_tests() -> None:
    text = (ROOT / "docs/raspberry-pi.md").read_text(encoding="utf-8")
    lines = iter(text.splitlines())
    table = dropwhile(lambda line: not line.startswith("| fault | what the user sees |"), lines)
    _, _, *faults = takewhile(lambda line: line.startswith("|"), table)
    assert len(faults) > 30
    assert all(_TEST.search(row) for row in faults)
