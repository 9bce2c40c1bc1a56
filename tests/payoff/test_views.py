"""The table as text, JSON, CSV and pictures."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from rich.console import Console

from edgeprune import payoff as rooms
from edgeprune.errors import DeclarationError, MissingExtraError
from edgeprune.payoff import Payoff, PayoffRecord
from edgeprune.payoff.axes import plot_axes
from edgeprune.payoff.plot import pareto_front
from edgeprune.payoff.run import judged
from edgeprune.publish import publish_files
from edgeprune.target import Budgets
from tests.payoff.table import record, rival

REPOSITORY = Path(__file__).resolve().parents[2]


def _records(**given: object) -> tuple[PayoffRecord, ...]:
    records = [
        rival("dense", "dense", 925, **given),
        rival("dense-tuned", "control", 935, **given),
        record("channel-50", 915, structure="channel", **given),
        record("unstructured-80", 905, sparsity=0.8, **given),
        rival("narrower-32", "narrower", 850, width=32, **given),
        rival("dense-4bit", "4-bit", 930, weights="int4", **given),
    ]
    smaller = {"channel-50": 2, "unstructured-80": 1, "narrower-32": 3, "dense-4bit": 1}
    for index, each in enumerate(records):
        less = smaller.get(each.id, 0) / 5
        costs = {
            key: int(value * (1 - less))
            for key in ("instructions", "flash_bytes")
            if (value := getattr(each, key)) is not None
        }
        records[index] = each.model_copy(update=costs)
    return judged(records, None)


BUDGETS = Budgets(accuracy=0.9, latency_ms=15.0, flash_kib=40.0)
TABLE = Payoff(_records(), ("block 4x4: no kernel",), BUDGETS, ("narrow ones began anew",))


def _text(payoff: Payoff, width: int = 120) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(*rooms.payoff_tables(payoff))
    return stream.getvalue()


def test_the_table_fits_120_columns_and_is_whole() -> None:
    text = _text(TABLE)
    for each in TABLE.records:
        assert each.title in text
        assert f"{each.flash_bytes:,}" in text
        assert f"{each.instructions:,}" in text
    assert "91.5 (89.6–93.1)" in text
    assert "…" not in text
    assert text.count("does not pay") + text.count(" pays ") == 2


def test_columns_without_a_figure_are_left_out() -> None:
    assert "C array" not in _text(TABLE)
    seen = _records(backend="tflm", flash_bytes=None, instructions=None, c_array_bytes=4)
    text = _text(Payoff(seen, (), Budgets()))
    assert "C array" in text
    assert "flash" not in text.splitlines()[0]
    assert "zeros that stay in the file save neither" in " ".join(
        rooms.notes(Payoff(seen, (), Budgets()))
    )


def test_the_host_is_said_to_have_no_flash() -> None:
    on_host = _records(device="host", target="host", flash_bytes=None, instructions=None)
    table = Payoff(on_host, (), Budgets())
    assert "no flash" in " ".join(rooms.notes(table))
    assert "not judged" in _text(table)
    assert {"macs-channel-50", "tflite_bytes-channel-50"} <= _svg_ids(table)


def test_notes_say_what_is_not_in_the_table_and_the_epochs() -> None:
    found = " ".join(rooms.notes(TABLE))
    assert "not in the table: block 4x4: no kernel" in found
    assert "epochs of training and recovery in all: 60 " in found
    shorter = TABLE.records[0].model_copy(update={"epochs": 40})
    mixed = rooms.notes(Payoff((shorter, *TABLE.records[1:]), (), BUDGETS))
    assert "epochs of training and recovery in all: 60; dense: 40" in mixed
    assert "narrow ones began anew" in found


def test_json_follows_its_schema_and_loses_nothing() -> None:
    document = json.loads(rooms.payoff_json(TABLE.records))
    schema = json.loads(rooms.payoff_schema())
    jsonschema.validate(document, schema)
    assert tuple(PayoffRecord.model_validate(each) for each in document) == TABLE.records
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{**document[0], "flash_bytes": "many"}], schema)


def test_the_schema_in_the_docs_is_up_to_date() -> None:
    """``invoke docs`` writes it."""
    text = (REPOSITORY / "docs" / "payoff.schema.json").read_text(encoding="utf-8")
    assert text == rooms.payoff_schema()


def test_csv_has_a_row_for_each_record() -> None:
    rows = list(csv.DictReader(io.StringIO(rooms.payoff_csv(TABLE.records))))
    assert [row["id"] for row in rows] == [each.id for each in TABLE.records]
    assert rows[2]["accuracy.correct"] == "915"
    assert float(rows[2]["accuracy.fraction"]) == 0.915
    assert rows[0]["verdict.pays"] == ""
    verdict = TABLE.records[2].verdict
    assert verdict is not None
    assert rows[2]["verdict.pays"] == str(verdict.pays)
    assert rows[2]["verdict.reason"] == verdict.reason


def test_markdown_holds_both_tables() -> None:
    lines = rooms.payoff_markdown(TABLE).splitlines()
    assert lines[0].startswith("| network | parameters |")
    assert sum(line.startswith("| channel 50 |") for line in lines) == 2
    assert lines[-1] == "- not in the table: block 4x4: no kernel"


def test_the_front_holds_what_nothing_beats() -> None:
    axis = plot_axes("c", "emulator")[0]
    front = [each.id for each in pareto_front(TABLE.records, axis)]
    assert front == ["narrower-32", "channel-50", "dense-4bit", "dense-tuned"]


def _svg_ids(payoff: Payoff) -> set[str]:
    root = ET.fromstring(rooms.payoff_pictures(payoff)["svg"])
    return {element.get("id", "") for element in root.iter()}


def test_the_pictures_hold_every_point() -> None:
    pictures = rooms.payoff_pictures(TABLE)
    assert pictures["png"].startswith(b"\x89PNG")
    ids = _svg_ids(TABLE)
    for each in TABLE.records:
        assert f"instructions-{each.id}" in ids
        assert f"flash_bytes-{each.id}" in ids
    text = pictures["svg"].decode()
    for words in ("int8 accuracy", "flash of the image, KiB", "Pareto front", "budgets of the"):
        assert words in text
    for label in ("channel", "unstructured", "dense, 4-bit", "narrower, by width"):
        assert f">{label}<" in text
    assert ">about 15 ms <" in text
    assert ">40 KiB <" in text


def test_a_budget_far_away_is_told_and_squeezes_nothing() -> None:
    far = Payoff(TABLE.records, (), Budgets(flash_kib=4000.0))
    text = rooms.payoff_pictures(far)["svg"].decode()
    assert "budget 4,000 KiB →" in text
    assert "budgets of the target" not in text


def test_the_same_table_gives_the_same_pictures() -> None:
    assert rooms.payoff_pictures(TABLE) == rooms.payoff_pictures(TABLE)


def test_files_are_made_in_memory_and_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem = str(tmp_path / "out" / "payoff")
    files = rooms.payoff_files(
        TABLE, json=f"{stem}.json", csv=f"{stem}.csv", markdown=f"{stem}.md", plot=f"{stem}.png"
    )
    assert {path.name for path in files} == {
        f"payoff.{e}" for e in ("json", "csv", "md", "png", "svg")
    }
    publish_files(files)
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert written == {path.name: content for path, content in files.items()}

    def stopped(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        publish_files(dict.fromkeys(files, b"half"))
    assert all(path.read_bytes() == content for path, content in files.items())


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as raised:
        rooms.require_matplotlib()
    assert "pip install 'edgeprune[plot]'" in str(raised.value)


def test_there_are_two_backends() -> None:
    assert rooms.known_backend("tflm") == "tflm"
    with pytest.raises(DeclarationError, match="no backend 'rust'"):
        rooms.known_backend("rust")
